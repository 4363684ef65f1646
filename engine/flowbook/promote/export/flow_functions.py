"""The steps as the text of the flow: it submits the tasks in notebook order and does itself what plain cells do."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowbook.cells import NotebookGraph
from flowbook.promote.cells import Role
from flowbook.promote.export.bindings import needed_at_once
from flowbook.promote.export.prelude import is_immutable
from flowbook.promote.export.python_cells import Piece
from flowbook.promote.export.steps import BUILTIN, Step, Steps, is_changed, is_ordered
from flowbook.promote.export.task_functions import INDENT, statements
from flowbook.promote.export.words import Words
from flowbook.promote.parameters import Parameter, Schema

_WIDTH = 88
#: Keywords that ``submit`` and ``map`` take for themselves.
_OPTIONS = frozenset({"wait_for", "return_state"})


@dataclass(kw_only=True)
class FlowText:
    """Writes the function of the flow. `tasks` are the names of the functions of the steps."""

    steps: Steps
    graph: NotebookGraph
    words: Words
    tasks: Mapping[Step, str]
    schema: Schema
    known: frozenset[str]
    """The names that annotations may use."""
    runs: dict[Step, str] = field(default_factory=dict)
    settled: set[Step] = field(default_factory=set)
    """The tasks whose end the flow has waited for."""
    globals: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    _lists: dict[str, str] = field(default_factory=dict)

    def write(self, function: str, name: str) -> list[str]:
        """The lines of the flow."""
        for step, task in self.tasks.items():
            self.runs[step] = self.words.free(task.removesuffix("_task") + "_run", "_")
        for segment in _segments(self.steps.steps):
            if segment[0].is_task:
                for step in self._in_order(segment):
                    self._submit(step)
            else:
                self._do(segment[0])
        self._end()
        title = f"@{self.words.api('flow')}(name={json.dumps(name, ensure_ascii=False)})"
        define = "async def" if self.steps.in_loop else "def"
        head = [title, f"{define} {function}({', '.join(self._parameters())}):"]
        if self.globals:
            head.append(f"{INDENT}global {', '.join(sorted(self.globals))}")
        return [*head, *self.lines]

    # Tasks

    def _in_order(self, segment: Sequence[Step]) -> Iterator[Step]:
        """The tasks between two plain cells, those first for which the flow need not wait for another one."""
        left = list(segment)
        while left:
            ready = [step for step in left if not any(other in left for other in step.after)]
            step = next((step for step in ready if not self._must_wait(step)), ready[0])
            left.remove(step)
            yield step

    def _must_wait(self, step: Step) -> bool:
        sources = [place for place in (*step.takes.values(), *step.settles.values()) if isinstance(place, Step)]
        return any(
            place not in self.settled and (len(place.gives) > 1 or step.over or place in step.settles.values())
            for place in sources
        )

    def _submit(self, step: Step) -> None:
        self._settle_globals(step)
        if any(is_changed(self.graph, name) for name in step.over.values()):  # it has its elements when it is submitted
            for other in step.after:
                if other not in self.settled:
                    self._wait_for(other)
        awaited: set[Step] = set()
        elements = {item: self._future_or_value(step.takes[name], name, awaited) for item, name in step.over.items()}
        others = {
            name: self._future_or_value(place, name, awaited)
            for name, place in step.takes.items()
            if name not in step.over.values() or name in step.raw.reads
        }
        after = [self._run(other) for other in step.after if other not in awaited]
        run, task = self.runs[step], self.tasks[step]
        if not step.over:
            self._call(f"{run} = {task}.submit", others, after)
        elif is_ordered(step, self.graph):
            self._submit_in_turn(step, others, after)
        else:
            unmapped = self.words.api("unmapped") if others else ""
            shared = {name: f"{unmapped}({value})" for name, value in others.items()}
            self._call(f"{run} = {task}.map", {**elements, **shared}, after)

    def _submit_in_turn(self, step: Step, others: Mapping[str, str], after: list[str]) -> None:
        """Elements that change something that they share run one after the other."""
        lists = [self._value(step.takes[name], name) for name in step.over.values()]
        names = {item: self.words.free(f"one_{item}", "_") for item in step.over}
        over = lists[0] if len(lists) == 1 else f"zip({', '.join(lists)}, strict=True)"
        run, task = self.runs[step], self.tasks[step]
        self._say(f"{run} = []")
        self._say(f"for {', '.join(names.values())} in {over}:")
        self._call(f"{INDENT}{run}.append({task}.submit", {**names, **others}, [*after, f"*{run}[-1:]"], end="))")

    def _future_or_value(self, place: Step | str, name: str, awaited: set[Step]) -> str:
        if isinstance(place, Step) and place.gives == (name,) and not self._is_one_list(place, name):
            awaited.add(place)
            return self.runs[place]
        return self._value(place, name)

    def _is_one_list(self, step: Step, name: str) -> bool:
        """Whether the results of a mapped cell must be one list, because a cell changes it in place."""
        return bool(step.over) and is_changed(self.graph, name)

    # Values in the flow itself

    def _value(self, place: Step | str, name: str) -> str:
        """An expression for the value of a name; the flow waits for the task that makes it."""
        if place == BUILTIN:
            return f"{self.words.module('builtins')}.{name}"
        if not isinstance(place, Step):
            return name
        if self._is_one_list(place, name):
            return self._gathered(place, name)
        return self._result(place, name)

    def _result(self, place: Step, name: str) -> str:
        self.settled.add(place)
        if len(place.gives) == 1:
            return self._results(place)
        if place.over:
            return f'[each["{name}"] for each in {self._results(place)}]'
        return f'{self.runs[place]}.result()["{name}"]'

    def _results(self, place: Step) -> str:
        if place.over and is_ordered(place, self.graph):
            return f"[each.result() for each in {self.runs[place]}]"
        return f"{self.runs[place]}.result()"

    def _gathered(self, place: Step, name: str) -> str:
        """The variable that holds the one list of a mapped cell's results."""
        key = f"{self.runs[place]}.{name}"
        if key not in self._lists:
            self._lists[key] = self.words.free(f"{name}_list", "_")
            self._say(f"{self._lists[key]} = {self._result(place, name)}")
        return self._lists[key]

    def _run(self, step: Step) -> str:
        return f"*{self.runs[step]}" if step.over else self.runs[step]

    def _settle_globals(self, step: Step) -> None:
        """Bind the globals that a task has made and could not bind itself."""
        for name, place in step.settles.items():
            self.globals.add(name)
            self._say(f"{name} = {self._value(place, name)}")

    # Plain cells

    def _do(self, step: Step) -> None:
        if step.known.role is Role.PARAMETERS:
            self._set_parameters()
        pieces = [piece for piece in step.pieces if not self._is_parameter(step, piece)]
        if not pieces:
            return
        self._settle_globals(step)
        read = {place for place in step.takes.values() if isinstance(place, Step)}
        for other in step.after:
            if other not in self.settled and other not in read:
                self._wait_for(other)
        for name, place in step.takes.items():
            self._say(f"{name} = {self._value(place, name)}")
        self.globals |= step.globals
        self.lines += statements(step, pieces, step.globals, INDENT, self.words)
        self._publish(step.binds & self.steps.published)

    def _wait_for(self, step: Step) -> None:
        self.settled.add(step)
        self._say(self._results(step))

    def _publish(self, names: Iterable[str]) -> None:
        """Parameters that functions look up are globals of the module as well."""
        if said := ", ".join(f"{name}={name}" for name in sorted(names)):
            self._say(f"globals().update({said})")

    def _end(self) -> None:
        """Wait for all tasks, so that one that fails fails the flow, and return what the notebook ends with."""
        returned = [(name, place) for name, place in self.steps.final.items()]
        read = {place for _, place in returned}
        for step in self.tasks:
            if step not in self.settled and step not in read:
                self._wait_for(step)
        # Globals last: the tasks that may bind them anew have ended by then.
        returned.sort(key=lambda one: (not isinstance(one[1], Step), one[0]))
        values = [(name, self._value(place, name)) for name, place in returned]
        if values:
            self._say("return {")
            for name, value in values:
                self._say(f'{INDENT}"{name}": {value},')
            self._say("}")
        elif not self.lines:
            self._say("pass")

    # Parameters

    def _is_parameter(self, step: Step, piece: Piece) -> bool:
        if step.known.role is not Role.PARAMETERS:
            return False
        names = {parameter.name for parameter in self.schema}
        match piece.node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                return name in names
            case ast.Assign(targets=targets):
                return all(isinstance(target, ast.Name) and target.id in names for target in targets)
        return False

    def _parameters(self) -> list[str]:
        """The signature: those that must be given, then those with a default."""
        return [self._signature(each) for each in sorted(self.schema, key=lambda each: each.default is not None)]

    def _signature(self, parameter: Parameter) -> str:
        annotation = self._annotation(parameter)
        said = parameter.name + (f": {annotation}" if annotation else "")
        if parameter.default is None:
            return said
        equals = " = " if annotation else "="
        if has_plain_default(parameter):
            return f"{said}{equals}{default_text(parameter)}"
        if annotation and annotation != "None" and not annotation.endswith("| None"):
            said += " | None"
        return f"{said}{equals}None"

    def _annotation(self, parameter: Parameter) -> str:
        """The annotation, if all that it names is there where the flow is defined."""
        if parameter.annotation is None:
            return ""
        node = ast.parse(f"_: {parameter.annotation}").body[0]
        if any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(node)):
            return ""
        return parameter.annotation if needed_at_once(node, lazy_annotations=False) <= self.known else ""

    def _set_parameters(self) -> None:
        """Defaults that are made anew for each run."""
        for parameter in self.schema:
            if parameter.default is not None and not has_plain_default(parameter):
                self._say(f"if {parameter.name} is None:")
                self._say(f"{INDENT}{parameter.name} = {default_text(parameter)}")
        self._publish(self.steps.published)

    def _call(self, called: str, arguments: Mapping[str, str], after: Sequence[str], *, end: str = ")") -> None:
        """Say a call, over several lines where one is too short. The arguments are in the order of the function's."""
        by_place = not _OPTIONS.isdisjoint(arguments)
        said = [value if by_place else f"{name}={value}" for name, value in arguments.items()]
        said += [f"wait_for=[{', '.join(after)}]"] if after else []
        line = f"{called}({', '.join(said)}{end}"
        if len(line) + len(INDENT) <= _WIDTH or not said:
            self._say(line)
            return
        indent = called[: len(called) - len(called.lstrip())]
        self._say(f"{called}(")
        for each in said:
            self._say(f"{indent}{INDENT}{each},")
        self._say(f"{indent}{end}")

    def _say(self, line: str) -> None:
        self.lines.append(INDENT + line)


def _segments(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Each plain cell by itself, and the tasks between two of them together."""
    tasks: list[Step] = []
    for step in steps:
        if step.is_task:
            tasks.append(step)
            continue
        if tasks:
            yield tasks
        tasks = []
        yield [step]
    if tasks:
        yield tasks


def has_plain_default(parameter: Parameter) -> bool:
    """Whether the default can stand in a signature: nobody can change it, and it is the same for all runs."""
    return parameter.default is not None and is_immutable(ast.parse(parameter.default, mode="eval").body)


def default_text(parameter: Parameter) -> str:
    """The default as code, with double quotes around a plain text."""
    code = parameter.default or "None"
    if code[:1] == "'" == code[-1:] and '"' not in code and "\\" not in code and code.count("'") == 2:
        return f'"{code[1:-1]}"'
    return code
