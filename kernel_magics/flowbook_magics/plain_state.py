"""Objects of plain cells that tasks change in place: nobody has the old ones, so a further run is told of it."""

from __future__ import annotations

from collections.abc import Collection
from types import ModuleType

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
        for name, maker in _changed_by(cells, cell)
        if name in maker.changed
    }
    return [
        f"{name!r} has in it what an earlier run of the tasks has left: {maker.label}, a plain cell, made it, and task "
        f"{cell.label!r} changes it in place. Run {maker.label} again first, or make a task of it."
        for name, (maker, cell) in sorted(found.items())
    ]


def _changed_by(cells: NotebookCells, cell: NotebookCell) -> list[tuple[str, NotebookCell]]:
    """The names of plain cells whose objects a task changes in place, and these cells."""
    made = ((name, makers_of(cells, cell, name)) for name in cells.graph[cell.graph_id].changes)
    return [(name, makers[-1]) for name, makers in made if makers and not makers[-1].is_task]
