"""The cells of a notebook as steps of a flow: what each takes from which one, and which ones it waits for.

A name lives in one of three places. Where functions look it up when they are called, it is a global of the module, as
it is one of the notebook. What a task makes is in the result of its run. All else is a variable of the flow's function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowbook.cells import Analysis, NotebookGraph, ReasonKind, analyze_cells
from flowbook.cells.cell_lines import cell_line, marked_line, place_of
from flowbook.cells.expressions import BUILTINS
from flowbook.cells.mapped import is_in_turn
from flowbook.cells.scopes import awaits
from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.export.prelude import Prelude, late_names
from flowbook.promote.export.python_cells import Piece, PythonCell
from flowbook.promote.notebook import CellMistake

DISPLAY = "display"
"""A name that IPython gives every cell, and that can be imported."""
GLOBAL, FLOW, BUILTIN = "global", "flow", "builtin"


@dataclass(kw_only=True, eq=False)
class Step:
    """A cell as a step of the flow."""

    known: KnownCell
    cell: PythonCell
    pieces: tuple[Piece, ...]
    raw: Analysis
    """What its code does, whatever its ``--in`` and ``--out`` say."""
    label: str
    said: Any = None
    """What its ``%%task`` line says; None for a plain cell, also if it has to be a task because it awaits."""
    is_task: bool = False
    is_async: bool = False
    in_loop: bool = False
    """Whether the flow does it itself, in its own event loop, which what other cells await belongs to."""
    takes: dict[str, Step | str] = field(default_factory=dict)
    """Name -> where its value comes from: the step that made it, or where it lives."""
    gives: tuple[str, ...] = ()
    """What the task returns."""
    binds: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    """The globals of the module that it binds."""
    looks_up: frozenset[str] = frozenset()
    """The globals of the module that must be there when it runs."""
    settles: dict[str, Step] = field(default_factory=dict)
    """Those of them that the flow has to bind first, from the result of a task."""
    after: list[Step] = field(default_factory=list)
    """The tasks that it waits for."""

    @property
    def over(self) -> Mapping[str, str]:
        """What ``--map`` says: name of one element -> name of all of them."""
        return dict(self.said.map) if self.said is not None else {}

    @property
    def is_cached(self) -> bool:
        """Whether its result may be taken from an earlier run, so that its code does not run."""
        return self.said is not None and self.said.cache != "off"

    @property
    def runs_apart(self) -> bool:
        """Whether the flow, and not the task itself, has to bind the globals that it makes."""
        return self.is_cached or bool(self.over)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """All of them, in notebook order. `final` tells where each name of the notebook lives in the end."""

    steps: tuple[Step, ...]
    shared: frozenset[str]
    """The names that are globals of the module."""
    published: frozenset[str]
    """The parameters of the flow that functions look up when they are called."""
    final: Mapping[str, Step | str]
    shows: bool
    """Whether something calls IPython's ``display``."""

    @property
    def in_loop(self) -> bool:
        """Whether the flow needs an event loop."""
        return any(step.in_loop for step in self.steps)


def steps_of(
    cells: Sequence[PythonCell],
    prelude: Prelude,
    graph: NotebookGraph,
    params: Sequence[str],
    labels: Mapping[str, str],
) -> Steps:
    """The steps of the cells. Raises CellMistake for what cannot be written as a flow."""
    raws = analyze_cells(cell.known.cell.source for cell in cells)
    made = [_step(cell, raw, prelude, graph, labels) for cell, raw in zip(cells, raws, strict=True)]
    steps = tuple(step for step in made if step.is_task or step.pieces or step.known.role is Role.PARAMETERS)
    shared = _shared(steps, cells, prelude)
    return _Linker(steps, shared, prelude, graph, frozenset(params)).link()


def _step(cell: PythonCell, raw: Analysis, prelude: Prelude, graph: NotebookGraph, labels: Mapping[str, str]) -> Step:
    known = cell.known
    line = cell_line(known.cell.source) if known.role is Role.TASK else None
    pieces = tuple(piece for piece in cell.pieces if piece not in prelude)
    is_async = any(awaits(piece.node) for piece in pieces)
    inside = known.analysis.private if line is not None else frozenset()
    in_loop = graph.shares_loop(known.id)
    if in_loop and line is not None and line.said.map:
        raise CellMistake(
            known.cell,
            1,
            "it shares an event loop with other cells, and so cannot be mapped in a module; make what belongs to the "
            "loop in the function that uses it.",
        )
    if line is not None:
        _check_connections(cell, graph)
    return Step(
        known=known,
        cell=cell,
        pieces=pieces,
        raw=raw,
        label=labels[known.id],
        said=None if line is None or in_loop else line.said,
        is_task=(line is not None or is_async) and not in_loop,
        is_async=is_async,
        in_loop=in_loop,
        binds=frozenset((raw.writes | raw.deletes) - inside - prelude.names),
    )


def _check_connections(cell: PythonCell, graph: NotebookGraph) -> None:
    """Raise CellMistake for a connection to SQLite that other tasks use: in the notebook they may, in a module not."""
    id_ = cell.known.id
    read = {name for node in graph.nodes.values() for name, maker in node.inputs.items() if maker == id_}
    for piece in cell.pieces:
        match piece.node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(keywords=keywords) as call) if name in read:
                function = ast.unparse(call.func)
                if function == "sqlite3.connect" and all(each.arg != "check_same_thread" for each in keywords):
                    raise CellMistake(
                        cell.known.cell,
                        piece.node.lineno,
                        f"other tasks use {name}, which sqlite3 allows only where the connection is made with "
                        "check_same_thread=False.",
                    )


def place_of_step(step: Step) -> str:
    """Where the notebook has the task executed: ``threads``, ``processes`` or ``dask``."""
    return "threads" if step.said is None else place_of(step.said)


def _shared(steps: Iterable[Step], cells: Iterable[PythonCell], prelude: Prelude) -> frozenset[str]:
    """The names that functions look up or bind when they are called, and modules that cannot be imported on top."""
    late: set[str] = set()
    for cell in cells:
        analysis = cell.known.analysis
        inside = analysis.private if cell.known.role is Role.TASK else frozenset[str]()
        for name, definitions in analysis.definitions.items():
            if name not in inside:
                late |= {each for one in definitions for each in late_names(one)} - inside
    bound = {name for step in steps for name in step.binds}
    modules = {name for step in steps if not step.is_task for name in step.raw.imports}
    builtin = {name for step in steps if not step.is_task for name in step.binds & BUILTINS}
    return frozenset(((late | modules | builtin) & bound) - prelude.names)


class _Linker:
    """Goes through the steps in notebook order and keeps where each name lives."""

    def __init__(
        self,
        steps: Sequence[Step],
        shared: frozenset[str],
        prelude: Prelude,
        graph: NotebookGraph,
        params: frozenset[str],
    ) -> None:
        self.steps, self.prelude, self.graph, self.params = steps, prelude, graph, params
        self.late, self.shared, self.published = shared, shared - params, shared & params
        self.lives: dict[str, Step | str] = {}
        self.users: dict[str, list[Step]] = {}
        self.tasks = {step.known.id: step for step in steps if step.is_task}
        self.places = {step.known.id: place for place, step in enumerate(steps)}
        self.hidden: set[str] = set()
        self.shows = False

    def link(self) -> Steps:
        for step in self.steps:
            if step.known.role is Role.PARAMETERS:
                self.lives.update(dict.fromkeys(self.params, FLOW))
            self._take(step)
            self._wait(step)
            self._give(step)
        for step in self.steps:
            step.gives = tuple(name for name in step.gives if self._is_wanted(step, name))
        constants = dict.fromkeys(self.prelude.constants, GLOBAL)
        final = {name: place for name, place in {**constants, **self.lives}.items() if self._is_value(name, place)}
        return Steps(
            steps=tuple(self.steps), shared=self.shared, published=self.published, final=final, shows=self.shows
        )

    def _is_value(self, name: str, place: Step | str) -> bool:
        """Whether a name that is bound in the end is of interest: no module, function or class, and not private."""
        return not name.startswith("_") and name not in self.hidden and (place in (FLOW, GLOBAL) or name in place.gives)  # type: ignore[union-attr]

    # What it takes

    def _take(self, step: Step) -> None:
        asked = step.raw.reads | step.raw.builtins | step.known.analysis.reads | step.raw.conditional_writes
        asked -= set(step.over)
        needed = ((step.raw.reads - step.raw.late_reads) - set(step.over)).union(step.over.values())
        self.shows = self.shows or (DISPLAY in step.raw.builtins and DISPLAY not in self.lives)
        for name in sorted(asked - self.prelude.names):
            place = self.lives.get(name)
            if place is not None:
                self._take_one(step, name, place)
            elif name in needed:
                self._from_outside(step, name)
        inputs = self.graph.inputs(step.known.id)
        step.looks_up = frozenset(name for name in (*inputs, *asked) if name in self.late and name in self.lives)
        step.settles = {name: place for name in sorted(step.looks_up) if isinstance(place := self.lives[name], Step)}
        self.lives.update(dict.fromkeys(step.settles, GLOBAL))
        if step.is_cached and step.said.cache == "inputs":
            step.takes.update({name: self.lives[name] for name in sorted(step.looks_up - step.binds)})

    def _take_one(self, step: Step, name: str, place: Step | str) -> None:
        if name not in self.shared and (isinstance(place, Step) or step.is_task):
            step.takes[name] = place

    def _from_outside(self, step: Step, name: str) -> None:
        if name in BUILTINS:
            if step.is_task and name in step.raw.writes:
                step.takes[name] = BUILTIN
        elif not self.prelude.has_star and name not in step.raw.guarded_reads:
            line = _line_of(step, name)
            raise CellMistake(
                step.known.cell, line, f"`{name}` is read, and no cell above binds it; bind it there, or take it out."
            )

    # What it waits for

    def _wait(self, step: Step) -> None:
        before: dict[Step, None] = {}
        for edge in self.graph.incoming(step.known.id):
            other = self.tasks.get(edge.upstream)
            if other is None:
                continue
            if self.places[edge.upstream] > self.places[step.known.id]:
                raise CellMistake(
                    step.known.cell,
                    1,
                    f"--after {other.label} names a task that stands below; move this cell below it to export it.",
                )
            before[other] = None
        for name in sorted(step.binds & self.late):  # it must not change under those that look it up
            before.update(dict.fromkeys(other for other in self.users.pop(name, ()) if other.is_task))
        for name in step.looks_up | (step.binds & self.late):
            self.users.setdefault(name, []).append(step)
        before.pop(step, None)
        step.after = sorted(before, key=lambda each: self.places[each.known.id])

    # What it gives

    def _give(self, step: Step) -> None:
        globals_ = step.binds & self.shared
        if step.is_task and step.runs_apart:
            self._refuse_own_lookups(step, globals_)
        else:
            step.globals = globals_
        for name in step.raw.deletes & step.binds:
            self.lives.pop(name, None)
        given = step.known.analysis.writes & step.binds
        self.hidden -= given
        self.hidden |= given & (step.raw.imports.keys() | step.raw.defined)
        if not step.is_task:
            self.lives.update({name: GLOBAL if name in self.shared else FLOW for name in given})
            return
        own = sorted(given - step.globals, key=lambda name: _line_of(step, name))
        step.gives = tuple(own)
        self.lives.update(dict.fromkeys(step.globals & given, GLOBAL))
        if clashing := sorted(set(own) & self.published):
            raise CellMistake(
                step.known.cell,
                _line_of(step, clashing[0]),
                f"the parameter {clashing[0]!r} is bound again, and a function looks it up: "
                "give one of the two another name.",
            )
        self.lives.update(
            {name: step for name in own if name not in step.raw.conditional_writes or self._has(step, name)}
        )

    def _has(self, step: Step, name: str) -> bool:
        """Whether a name that the cell may leave alone has a value all the same, or somebody reads it."""
        return bool(step.over) or name in step.takes or self._is_read(step, name)

    def _is_read(self, step: Step, name: str) -> bool:
        return any(
            name in other.raw.reads or name in self.graph.inputs(other.known.id)
            for other in self.steps
            if other is not step
        )

    def _is_wanted(self, step: Step, name: str) -> bool:
        """What may be unbound in the end, such as the variable of a loop, is returned only where somebody reads it."""
        read = self._is_read(step, name)
        if name in step.known.analysis.imports or name in step.known.analysis.defined:
            return read
        return read or name in step.takes or name not in step.raw.conditional_writes or bool(step.over)

    def _refuse_own_lookups(self, step: Step, globals_: frozenset[str]) -> None:
        if step.over:
            return
        for name, definitions in step.known.analysis.definitions.items():
            late = {each for one in definitions for each in late_names(one)} & globals_
            if late and name in step.binds:
                raise CellMistake(
                    step.known.cell,
                    _line_of(step, name),
                    f"{name!r} looks up {min(late)!r}, which the same task binds, and with --cache its code "
                    "may not run: define the function in a plain cell.",
                )


def is_changed(graph: NotebookGraph, name: str) -> bool:
    """Whether some cell changes the object of a name in place."""
    return any(
        reason.subject == name and reason.kind is ReasonKind.MUTATES for edge in graph.edges for reason in edge.reasons
    ) or any(name in node.cell.analysis.mutates for node in graph.nodes.values())


def is_ordered(step: Step, graph: NotebookGraph) -> bool:
    """Whether the elements of a mapped cell run one after the other."""
    helpers = [
        each
        for name, maker in graph[step.known.id].helpers
        for each in graph[maker].cell.analysis.definitions.get(name, ())
    ]
    return is_in_turn(step.known.analysis, tuple(step.over.values()), helpers)


def _line_of(step: Step, name: str) -> int:
    """The first line of the cell that names it: where its code does not, that is the ``%%task`` line."""
    for piece in step.cell.pieces:
        for node in ast.walk(piece.node):
            if getattr(node, "id", getattr(node, "name", None)) == name:
                return int(getattr(node, "lineno", piece.node.lineno))
    marked = marked_line(step.known.cell.source)
    return marked.number + 1 if marked is not None else 1
