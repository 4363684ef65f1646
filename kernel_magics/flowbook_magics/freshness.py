"""Whether the result of a task is still what it would be, and if not, why."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import PosixPath, WindowsPath
from types import FunctionType, ModuleType

from flowbook.cells import ReasonKind
from flowbook.cells.effects import EVENT_LOOP
from flowbook.cells.freshness import cell_hash
from flowbook.cells.records import Edge
from flowbook.cells.resources import ANY_FILE, describe
from flowbook.core.plain import duration_text
from flowbook_magics.notebook_cells import LastRun, NotebookCell, NotebookCells
from flowbook_magics.surveys import Survey

_COMPARED = (bool, int, float, complex, str, bytes, type(None))
_FEW = 100
_TIMES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta)
_TOLD_BY_REPR = (*_TIMES, Decimal, PosixPath, WindowsPath, range)
"""Two of these may be equal and yet tell apart: 1.0 and 1.00, noon in two zones."""


def input_tokens(cells: NotebookCells, cell: NotebookCell) -> dict[str, object]:
    """For each input of a task, something that changes when the input does: the run that made it, or its value."""
    return {
        name: _token(cells.by_id(maker), name) if maker is not None else None
        for name, maker in cells.graph.inputs(cell.graph_id).items()
    }


def why_stale(cells: NotebookCells, cell: NotebookCell) -> str | None:
    """Why the task must run again, in a few words; None while it is fresh."""
    last = cell.last
    if last is None:
        return "never run" if cell.failure is None else f"its last run is {cell.failure}"
    if last.undone:
        return last.undone
    if last.code != cell_hash(cells.graph, cell.graph_id):
        return "its code changed"
    plain = _plain_before(cells, cell)
    if differing := [key for key in {**last.plain, **plain} if plain.get(key) != last.plain.get(key)]:
        changed_cells = (cells.by_key(key) for key in differing)
        return f"{', '.join(each.label if each is not None else 'a plain cell' for each in changed_cells)} changed"
    if last.options != cell.options.affecting_result():
        return "its options changed"
    if cell.options.cache_for is not None and time.time() - last.ended >= cell.options.cache_for:
        return f"its result is older than {duration_text(cell.options.cache_for)}"
    tokens = input_tokens(cells, cell)
    changed = [name for name in {**tokens, **last.inputs} if tokens.get(name) != last.inputs.get(name)]
    if changed:
        return f"{', '.join(sorted(changed))} changed"
    return next((f"{left} has changed since" for left in _left_anew(cells, cell, last)), None)


def _left_anew(cells: NotebookCells, cell: NotebookCell, last: LastRun) -> Iterator[str]:
    """The shared resources that it looks at, and that a task before it has changed again since it ran."""
    for edge in cells.graph.incoming(cell.graph_id):
        before = cells.by_id(edge.upstream).last
        if before is not None and before.ended > last.ended:
            changed = {reason.subject for reason in edge.reasons if reason.kind is ReasonKind.RESOURCE}
            changed &= before.touches - touched_by(cells, cell) - _FLEETING - RANDOM
            yield from (describe(each) for each in sorted(changed))


def stale_tasks(cells: NotebookCells) -> dict[str, str]:
    """Why each stale task is stale, by its graph id: for itself, or because of another one that is.

    What follows from a stale task is stale. So is the task whose object a stale one changes in place: the change must
    not be made twice to the same object.
    """
    stale = {cell.graph_id: reason for cell in cells.tasks if (reason := why_stale(cells, cell))}
    return _spread(cells, stale, lambda _cell, _name: True)


def run_again(cells: NotebookCells, failed: Iterable[str]) -> frozenset[str]:
    """The tasks to run when those that `failed` (ids of the graph) run again: these, and what follows from them.

    With one that has changed an object in place, or begun to, goes the task that makes the object.
    """
    reasons = dict.fromkeys(failed, "it failed")
    return frozenset(_spread(cells, reasons, lambda cell, name: has_changed(cells, cell, name)))


def runs_with(cells: NotebookCells, tasks: Iterable[str]) -> frozenset[str]:
    """These tasks (ids of the graph) and what follows from them, with what makes the objects that they change."""
    return frozenset(_spread(cells, dict.fromkeys(tasks, ""), lambda _cell, _name: True))


def has_changed(cells: NotebookCells, cell: NotebookCell, name: str) -> bool:
    """Whether the task was run on the very object that `name` is for it now."""
    return name in cell.tried and cell.tried[name] == input_tokens(cells, cell).get(name)


def _spread(
    cells: NotebookCells, reasons: dict[str, str], remakes: Callable[[NotebookCell, str], bool]
) -> dict[str, str]:
    """The tasks with `reasons`, and those that must run because these do."""
    found, pending = dict(reasons), list(reasons)
    while pending:
        cell = cells.by_id(pending.pop())
        for other, named in _because_of(cells, cell, remakes):
            if other.is_task and other.graph_id not in found:
                found[other.graph_id] = f"{named} is stale"
                pending.append(other.graph_id)
    return found


def _because_of(
    cells: NotebookCells, cell: NotebookCell, remakes: Callable[[NotebookCell, str], bool]
) -> Iterator[tuple[NotebookCell, str]]:
    """The cells that must run because this one must, each with what to call this one as the reason."""
    yield from _follows(cells, cell)
    yield from _remade(cells, cell, remakes)
    yield from _written_anew(cells, cell)
    yield from _drawn_anew(cells, cell)


def _follows(cells: NotebookCells, cell: NotebookCell) -> Iterator[tuple[NotebookCell, str]]:
    for edge in cells.graph.outgoing(cell.graph_id):
        yield cells.by_id(edge.downstream), cell.label


def _remade(
    cells: NotebookCells, cell: NotebookCell, remakes: Callable[[NotebookCell, str], bool]
) -> Iterator[tuple[NotebookCell, str]]:
    """What makes the objects that it changes in place, and those that it has changed when it last ran."""
    inputs = cells.graph.inputs(cell.graph_id)
    found = {
        (maker, name)
        for name in cells.graph[cell.graph_id].changes
        if (maker := inputs[name]) is not None and remakes(cell, name)
    }
    for (key, name), run in cell.last.changed.items() if cell.last is not None else ():
        before = cells.by_key(key)
        if before is not None and _run_of(before) == run:
            found.add((before.graph_id, name))
    for maker, name in sorted(found):
        yield cells.by_id(maker), f"{cell.label}, which changes {name} in place,"


def _has_changed(cells: NotebookCells, cell: NotebookCell, name: str, maker: NotebookCell) -> bool:
    """Whether the task was run on the very object that `maker` has made as `name`, and has changed it in place."""
    if cell.last is not None and cell.last.changed.get((maker.key, name)) == _run_of(maker):
        return True
    return name in cells.graph[cell.graph_id].changes and has_changed(cells, cell, name)


def _drawn_anew(cells: NotebookCells, cell: NotebookCell) -> Iterator[tuple[NotebookCell, str]]:
    """The cells before it that draw from the same random numbers, if one seeds them: it has to go on from there."""
    for resource in touched_by(cells, cell) & RANDOM:
        users = _seeded_before(cells, cell, resource)
        yield from ((each, f"{cell.label}, which goes on with its random numbers,") for each in users)


def _seeded_before(cells: NotebookCells, cell: NotebookCell, resource: str) -> list[NotebookCell]:
    """The cells before it that draw from the same random numbers, if one seeds them."""
    users = [each for each in list(cells)[: cell.position - 1] if resource in touched_by(cells, each)]
    return users if any("seed" in each.source for each in users) else []


RANDOM = frozenset(("random", "numpy.random"))
_FLEETING = frozenset(("pyplot", "stdin", EVENT_LOOP))
"""What a cell that runs by itself does not find as another one has left it, or does not mind."""


def touched_by(cells: NotebookCells, cell: NotebookCell) -> frozenset[str]:
    """The shared resources that a cell changes, or did before it was edited."""
    before = cell.last.touches if cell.last is not None else frozenset[str]()
    return cells.graph[cell.graph_id].touches | before


def _written_anew(cells: NotebookCells, cell: NotebookCell) -> Iterator[tuple[NotebookCell, str]]:
    """The cells before it that write to a file to which it writes: what it adds must not be there twice."""
    own = _written_by(cells, cell)
    for other in list(cells)[: cell.position - 1] if own else ():
        if file := min(own & _written_by(cells, other), default=None):
            yield other, f"{cell.label}, which writes to {file} as well,"


def _written_by(cells: NotebookCells, cell: NotebookCell) -> frozenset[str]:
    """The files to which a cell writes as its code shows, or has written when it last ran."""
    touched = (name for name in cells.graph[cell.graph_id].touches if name != ANY_FILE)
    return cell.wrote.union(name.removeprefix("files:") for name in touched if name.startswith("files:"))


def _plain_before(cells: NotebookCells, cell: NotebookCell) -> dict[str, str]:
    """The sources of the plain cells that have set what it uses besides names: random numbers, settings, files."""
    makers = (
        cells.by_id(edge.upstream)
        for edge in cells.graph.incoming(cell.graph_id)
        if any(reason.kind is ReasonKind.RESOURCE for reason in edge.reasons)
    )
    return {maker.key: maker.source for maker in makers if not maker.is_task}


def done_by_itself(cells: NotebookCells, cell: NotebookCell, beside: Collection[str] = ()) -> str:
    """Why a cell that is about to run will not do what it does in a run of all ('' if it will).

    It runs by itself, or with those tasks `beside` it (ids of the graph), which do their part in their order.
    """
    inputs = sorted(cells.graph.inputs(cell.graph_id).items())
    kept = [(name, cells.by_id(maker)) for name, maker in inputs if maker is not None and maker not in beside]
    for name, maker in kept:
        if _has_changed(cells, cell, name, maker):
            return f"it has changed {name} more than once"
    others = [other for other in cells.tasks if other.graph_id not in beside and other.last is not None]
    if cell.last is not None:
        for other, _ in (*_written_anew(cells, cell), *_drawn_anew(cells, cell)):
            if other in others and other.last is not None and other.last.ended < cell.last.ended:
                return f"it has gone on more than once from where {other.label} had ended"
    for other in others:
        for name, maker in kept if other.position > cell.position else ():
            if _has_changed(cells, other, name, maker):
                return f"{other.label} had changed {name} before it ran"
    for edge in cells.graph.outgoing(cell.graph_id):
        behind = cells.by_id(edge.downstream)
        if behind in others and (resource := _gone_on_with(cells, cell, behind, edge)):
            return f"{behind.label} had changed {describe(resource)} before it ran"
    return ""


def _gone_on_with(cells: NotebookCells, cell: NotebookCell, behind: NotebookCell, edge: Edge) -> str:
    """A shared resource that a task behind a cell changes, and that the cell needs as it was before ('' if none)."""
    shared = {reason.subject for reason in edge.reasons if reason.kind is ReasonKind.RESOURCE}
    changed = (shared & touched_by(cells, behind)) - _FLEETING
    return min((each for each in changed if each not in RANDOM or _seeded_before(cells, cell, each)), default="")


def remember(cells: NotebookCells, cell: NotebookCell, task_run_id: str, duration: float, undone: str) -> None:
    """The task has just run: what it was made from is what it will be compared with. `undone`: see `LastRun`."""
    cell.last = LastRun(
        task_run_id=task_run_id,
        code=cell_hash(cells.graph, cell.graph_id),
        options=cell.options.affecting_result(),
        inputs=input_tokens(cells, cell),
        duration=duration,
        ended=time.time(),
        changed=_objects_changed(cells, cell),
        touches=cells.graph[cell.graph_id].touches,
        plain=_plain_before(cells, cell),
        undone=undone,
    )


def _objects_changed(cells: NotebookCells, cell: NotebookCell) -> dict[tuple[str, str], str]:
    """Whose objects it has changed in place, as its code shows and as was seen (`LastRun.changed`)."""
    objects = cell.audit.changed if cell.audit is not None else frozenset[int]()
    if not objects and not cells.graph[cell.graph_id].changes:
        return {}
    inputs = cells.graph.inputs(cell.graph_id)
    makers = [(inputs[name], name) for name in cells.graph[cell.graph_id].changes]
    makers += [(_maker_before(cells, cell, name), name) for name in _versions_of(cells, cell)]
    found = {(cells.by_id(maker), name) for maker, name in makers if maker is not None}
    if objects:
        upstream = map(cells.by_id, cells.graph.upstream(cell.graph_id))
        found |= {(each, name) for each in upstream for name in Survey(each.values).names_of(objects)}
    return {(maker.key, name): _run_of(maker) for maker, name in found}


def _versions_of(cells: NotebookCells, cell: NotebookCell) -> set[str]:
    """The names of which it makes new versions without binding them: it changes their objects, or parts of these."""
    return cells.versions_of(cell) - cell.analysis.writes - cells.graph[cell.graph_id].changes


def _maker_before(cells: NotebookCells, cell: NotebookCell, name: str) -> str | None:
    """The last cell before this one that binds a name."""
    before = reversed(list(cells)[: cell.position - 1])
    return next((each.graph_id for each in before if name in each.analysis.writes), None)


def _run_of(maker: NotebookCell) -> str:
    """What tells the last run of a cell from others."""
    return maker.last.task_run_id if maker.last is not None else f"run {maker.runs}"


def parts_changed(cells: NotebookCells, cell: NotebookCell) -> list[tuple[str, NotebookCell]]:
    """The names of plain cells whose objects, or parts of them, its last run changed, and that have not run since."""
    changed = cell.last.changed.items() if cell.last is not None else ()
    makers = ((name, cells.by_key(key), run) for (key, name), run in changed)
    return [
        (name, maker)
        for name, maker, run in makers
        if maker is not None and not maker.is_task and _run_of(maker) == run and not callable(maker.values.get(name))
    ]


def leave(cells: NotebookCells, cell: NotebookCell) -> None:
    """The cell is about to be deleted. What it has changed is to be made anew, and what followed from that, too."""
    if cell.last is None and cell.failure is None:
        return
    for other, named in _because_of(cells, cell, lambda _cell, _name: True):
        if other.last is not None:
            other.last = replace(other.last, undone=f"{named} is deleted")


def _token(maker: NotebookCell, name: str) -> object:
    if maker.is_task:
        return maker.last.task_run_id if maker.last else None
    found = _comparable(maker.values.get(name))
    return found if found is not None else (maker.key, maker.runs)


def _comparable(value: object) -> tuple[object, ...] | None:
    """What tells a value from another one, or None if only its place can."""
    if isinstance(value, _COMPARED):
        return (type(value), value)
    if type(value) in _TOLD_BY_REPR:
        return (type(value), repr(value))
    if (type(value) is tuple or type(value) is frozenset) and len(value) <= _FEW:
        parts = [_comparable(part) for part in value]
        return None if None in parts else (type(value), type(value)(parts))
    if isinstance(value, ModuleType):
        return (ModuleType, value.__name__)
    if isinstance(value, FunctionType) and not value.__closure__:
        # Its code, and what that uses, is part of the hash of the cells that call it; the defaults were computed.
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        if all(isinstance(default, _COMPARED) for default in defaults):
            return (FunctionType, *defaults)
    return None
