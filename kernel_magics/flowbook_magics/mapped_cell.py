"""A cell with ``--map``: a task run of its own for each element, and one that begins them and collects the results."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowbook import engine
from flowbook.cells.definitions import Definition
from flowbook.cells.mapped import is_in_turn
from flowbook.core.annotations import allow_failure, quote
from flowbook.core.plain import one_line, shorten
from flowbook.core.states import State, completed
from flowbook.errors import CellError, ElementsFailed
from flowbook.run.current import current
from flowbook.run.future import Future, wait
from flowbook.run.task_execution import TaskExecution
from flowbook.run.work import Work
from flowbook.tasks import Task, TaskOptions
from flowbook_magics import outputs
from flowbook_magics.cell_code import CellCode
from flowbook_magics.kept_elements import kept, made_from, results_for
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.opened_files import end_watch
from flowbook_magics.places import Places
from flowbook_magics.watching import MappedWatch

_NAMED = 3  # elements that a message names
_COMPLETED_BEFORE = "It succeeded before, and this run is about what failed."


def mapped_task(
    element: Task[..., Any],
    shell: Any,
    cells: NotebookCells,
    cell: NotebookCell,
    code: CellCode,
    context: contextvars.Context | None,
    *,
    from_failed: bool = False,
) -> Task[..., Any]:
    """The task that has the task `element` run for each element; its result is a dict of lists.

    With a context, what an earlier run has said under the cell of that context is removed first. `from_failed` takes
    what completed in the last run, if that failed, and runs the other elements only.
    """
    work = element.work
    task: Task[..., Any] = Task(
        MappedCell(shell, cells, cell, code, work, context, from_failed), TaskOptions(name=cell.label)
    )
    task.description = None
    task.work = replace(task.work, key=work.key, cell=work.cell, quiet=True, gather=work.gather, recovery=None)
    return task


class MappedCell:
    """The cell as a function from the names it reads to the names it writes, each a list with a value per element."""

    __slots__ = ("_cell", "_cells", "_code", "_context", "_element", "_from_failed", "_shell")

    def __init__(
        self,
        shell: Any,
        cells: NotebookCells,
        cell: NotebookCell,
        code: CellCode,
        element: Work,
        context: contextvars.Context | None,
        from_failed: bool,
    ) -> None:
        self._shell = shell
        self._cells = cells
        self._cell = cell
        self._code = code
        self._element = element
        self._context = context
        self._from_failed = from_failed

    @property
    def __name__(self) -> str:
        return self._cell.label

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Have the cell run for each element; returns when all have ended. Raises ElementsFailed, CellError."""
        if self._context is not None:
            outputs.under_cell(self._context, lambda: outputs.clear(self._shell))
        try:
            elements = _elements(self._cell, inputs)
            made = made_from(self._cells, self._cell, len(elements))
            known = results_for(made, self._cell) if self._from_failed else {}
            watch = MappedWatch(self._cells, self._cell, inputs, in_turn=self._is_ordered())
            try:
                watch.shared = self._shared(inputs)
                futures = self._run(elements, watch.shared, known)
            finally:
                end_watch()
                outputs.under_cell(self._context, watch.end_all)
            self._cell.elements = kept(made, futures)
            _check_completed(self._cell, elements, futures)
            return self._collected([future.result() for future in futures])
        except CellError as error:
            said = str(error)
            if self._context is not None:
                outputs.under_cell(self._context, lambda: sys.stderr.write(f"flowbook: {said}\n"))
            raise

    def _run(
        self, elements: Sequence[Mapping[str, Any]], shared: dict[str, Any], known: Mapping[int, Any]
    ) -> list[Future[Any]]:
        mapping = current.get()
        assert isinstance(mapping, TaskExecution)
        if mapping.flow is not None:
            return self._submitted(elements, shared, known, mapping, mapping.flow.runner.submit)
        with Places() as runner:
            return self._submitted(elements, shared, known, mapping, runner.submit)

    def _submitted(
        self,
        elements: Sequence[Mapping[str, Any]],
        shared: dict[str, Any],
        known: Mapping[int, Any],
        mapping: TaskExecution,
        submit: Any,
    ) -> list[Future[Any]]:
        """The futures of the elements' runs, when all have ended; those whose result is `known` use it again."""
        handed_on = self._handed_on()

        def hand_on(state: State) -> None:
            if state.is_completed():
                shared.update({name: state.data[name] for name in handed_on & state.data.keys()})

        work = replace(self._element, cell=None, gather=lambda: shared)
        in_turn, futures = self._is_ordered(), list[Future[Any]]()
        for index, values in enumerate(elements):
            run = engine.new_task_run(
                work,
                (),
                {name: quote(value) for name, value in values.items()},
                wait_for=[allow_failure(future) for future in futures[-1:] if in_turn],
                map_index=index,
                mapped_by=mapping.id,
                flow=mapping.flow,
                name=f"{self._cell.label}[{index}]",
            )
            run.at_end = hand_on if handed_on else None
            if index in known:
                run.enter(completed(known[index], name="Cached", message=_COMPLETED_BEFORE))
            else:
                submit(run, run.awaits)
            futures.append(run.future)
        wait(futures)
        return futures

    def _shared(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs that are the same for all elements; what all of them are in only where the code asks for it."""
        asked = self._code.names().union(*(each.reads for each in self._helpers()))
        left_out = set(self._cell.options.over_names) - asked
        return {name: value for name, value in inputs.items() if name not in left_out}

    def _is_ordered(self) -> bool:
        """Whether the elements run one after the other: they change something that they share."""
        in_turn = is_in_turn(self._cell.analysis, self._cell.options.over_names, self._helpers())
        return in_turn or bool(self._handed_on())

    def _handed_on(self) -> frozenset[str]:
        """The names that code of other cells binds when an element uses it (``global n``), for the next one to see."""
        return self._cells.graph[self._cell.graph_id].late_binds - self._cell.analysis.writes

    def _helpers(self) -> list[Definition]:
        """The functions and classes of other cells that it uses."""
        found = self._cells.graph[self._cell.graph_id].helpers
        return [each for name, of in found for each in self._cells.by_id(of).analysis.definitions.get(name, ())]

    def _collected(self, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The lists of what the elements wrote. Raises CellError for a name that is read and not bound by all."""
        values = {}
        for name in sorted(self._cell.analysis.writes):
            without = [index for index, result in enumerate(results) if name not in result]
            if not without:
                values[name] = [result[name] for result in results]
            elif len(without) < len(results) and self._is_read(name):
                raise CellError(
                    f"Task {self._cell.label!r} binds {name!r} for some elements and not for {_listed(without)}, so "
                    "there is no list of it: bind it on every path, as to None."
                )
        handed_on = self._handed_on()
        values.update((name, value) for result in results for name, value in result.items() if name in handed_on)
        return values

    def _is_read(self, name: str) -> bool:
        graph, own = self._cells.graph, self._cell.graph_id
        return any(graph.inputs(other.graph_id).get(name) == own for other in self._cells)


def _elements(cell: NotebookCell, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each element the names that it is bound to. Raises CellError for what is no list, and for unequal lengths."""
    lists = {}
    for item, name in cell.options.over:
        value = inputs[name]
        if (why := _why_no_list(name, value)) is not None:
            raise CellError(f"Task {cell.label!r} has --map {item}={name}, but {name!r} is {why}.")
        lists[item] = list(value)
    lengths = {name: len(lists[item]) for item, name in cell.options.over}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise CellError(f"Task {cell.label!r} maps over lists of unequal length: {said}. Make them equally long.")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _why_no_list(name: str, value: Any) -> str | None:
    kind = type(value).__name__
    if isinstance(value, str | bytes):
        return f"one {kind}, not a list of them: write [{name}] for a single element"
    if isinstance(value, Mapping):
        return f"a {kind}: map over list({name}) or list({name}.items())"
    if hasattr(value, "columns"):
        return f"a {kind}: map over a list of its rows or of its parts, as of {name}.groupby(…)"
    if hasattr(value, "__next__"):
        return f"a {kind}, which can be gone through only once: make a list of it, as in list({name})"
    try:
        iter(value)
    except TypeError:
        return f"{shorten(one_line(repr(value)), 60)} ({kind}), which has no elements: make it a list"
    return None


def _check_completed(cell: NotebookCell, elements: Sequence[Mapping[str, Any]], futures: Sequence[Future[Any]]) -> None:
    """Raise ElementsFailed, naming them, if some did not complete."""
    broken = [index for index, future in enumerate(futures) if not future.state.is_completed()]
    if not broken:
        return
    parts = []
    for index in broken[:_NAMED]:
        state = futures[index].state
        parts.append(f"{futures[index].name} ({_described(elements[index])}): {state.message or state.name}")
    more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    cause = futures[broken[0]].state.result(raise_on_failure=False)
    error = ElementsFailed(
        f"{len(broken)} of {len(futures)} elements of {cell.label!r} failed: {'; '.join(parts)}{more}"
    )
    raise error from (cause if isinstance(cause, Exception) else None)


def _described(values: Mapping[str, Any]) -> str:
    """What an element is, in a few words: ``region='eu'``."""
    return ", ".join(f"{name}={shorten(one_line(repr(value)), 60)}" for name, value in values.items())


def _listed(indices: Iterable[int]) -> str:
    first = list(indices)
    shown = ", ".join(f"[{index}]" for index in first[:_NAMED])
    return shown if len(first) <= _NAMED else f"{shown} and {len(first) - _NAMED} more"
