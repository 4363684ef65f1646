"""Plain cells among tasks: they are not run again, so it is said where what they hold is not what it would be.

Tasks change objects of theirs in place, and nobody has the old ones; or what they were made from is made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import ModuleType

from flowbook.cells.freshness import cell_hash
from flowbook_magics.freshness import input_tokens, parts_changed
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.values import makers_of


def note_changes(cells: NotebookCells, cell: NotebookCell) -> None:
    """A task has run: what it has changed of plain cells is not as they made it any more."""
    audit = cell.audit
    if audit is None:
        return
    seen = None if audit.reached is None else audit.reached.names_of(audit.changed)  # None: in another process
    if seen is None or seen:
        for name, maker in _changed_by(cells, cell):
            if (seen is None and not isinstance(maker.values.get(name), ModuleType)) or (seen and name in seen):
                maker.changed.add(name)


def what_goes_on(cells: NotebookCells, run: Collection[str]) -> list[str]:
    """A sentence for each name that tasks of `run` change, and that earlier runs have changed since it was made."""
    found = {
        name: (maker, cell)
        for cell in cells.tasks
        if cell.graph_id in run
        for name, maker in (*parts_changed(cells, cell), *_changed_by(cells, cell))
        if name in maker.changed or name not in cells.graph[cell.graph_id].changes
    }
    return [
        f"{name!r} has in it what an earlier run of the tasks has left: {maker.label}, a plain cell, made it, and task "
        f"{cell.label!r} changes it in place. Run {maker.label} again first, or make a task of it."
        for name, (maker, cell) in sorted(found.items())
    ]


def note_inputs(cells: NotebookCells, cell: NotebookCell, too_new: Iterable[str]) -> None:
    """A plain cell has run: what it was made from. Names are `too_new` that later cells had bound before."""
    cell.tried = {**input_tokens(cells, cell), **dict.fromkeys(too_new, "too new")}
    cell.ran_as = cell_hash(cells.graph, cell.graph_id)


def what_is_outdated(cells: NotebookCells, part: Collection[str], run: Collection[str]) -> str:
    """A sentence about the plain cells that tasks of `part` read from and that would make something else now.

    What they have read was made anew since, or is about to be by a task of `run`. It is empty if there is none.
    """
    outdated: dict[str, str] = {}
    for cell in cells:
        if cell.ran_as:
            made, tokens = cells.graph.inputs(cell.graph_id), input_tokens(cells, cell)
            new = [
                name
                for name, maker in sorted(made.items())
                if maker in run or maker in outdated or cell.tried.get(name) != tokens[name]
            ]
            if new or cell.ran_as != cell_hash(cells.graph, cell.graph_id):
                outdated[cell.graph_id] = ", ".join(new) or "what it calls"
    needed, readers = _needed(cells, part, outdated)
    if not needed:
        return ""
    said = ", ".join(f"{graph_id} ({outdated[graph_id]})" for graph_id in needed)
    return (
        f"Plain cells are not run again, though what they read is made anew: {said}. {', '.join(readers)} "
        f"{'goes' if len(readers) == 1 else 'go'} on with what they made before: run them, then `%flow run`, or make "
        "them tasks."
    )


def _needed(cells: NotebookCells, part: Collection[str], outdated: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The `outdated` cells from which tasks of `part` read, also through one another; and these tasks."""
    needed, readers = set[str](), list[str]()
    for cell in reversed(list(cells)):
        if cell.graph_id in (part if cell.is_task else needed):
            read = outdated.keys() & cells.graph.inputs(cell.graph_id).values()
            needed |= read
            if read and cell.is_task:
                readers.insert(0, cell.label)
    return [cell.graph_id for cell in cells if cell.graph_id in needed], readers


def _changed_by(cells: NotebookCells, cell: NotebookCell) -> list[tuple[str, NotebookCell]]:
    """The names of plain cells whose objects a task changes in place, and these cells."""
    made = ((name, makers_of(cells, cell, name)) for name in cells.graph[cell.graph_id].changes)
    return [(name, makers[-1]) for name, makers in made if makers and not makers[-1].is_task]
