"""The values that a cell reads, each in the version that its place in the notebook sees."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from flowbook.errors import CellError, did_you_mean
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells

_NOTHING = object()
_SMALL = (bool, int, float, complex, type(None), type, FunctionType, BuiltinFunctionType, ModuleType)


def inputs_of(cells: NotebookCells, cell: NotebookCell, notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the cell reads, as far as they exist."""
    found = {name: _value(cells, cell, name, notebook) for name in sorted(cells.graph.inputs(cell.graph_id))}
    return {name: value for name, value in found.items() if value is not _NOTHING}


def outdated_inputs(cells: NotebookCells, cell: NotebookCell) -> set[str]:
    """The inputs of a cell of which the notebook has newer versions."""
    final = cells.graph.final
    inputs = cells.graph.inputs(cell.graph_id)
    return {name for name, maker in inputs.items() if maker is not None and final.get(name, (maker,))[0] != maker}


def check_inputs(
    cells: NotebookCells,
    cell: NotebookCell,
    notebook: Mapping[str, Any],
    *,
    made_meanwhile: Collection[str] = (),
) -> None:
    """Raise CellError if a value that the cell reads is not there, naming the cell to run first.

    What the cells `made_meanwhile` (ids of the graph) make will be there in time.
    """
    for name, maker in sorted(cells.graph.inputs(cell.graph_id).items()):
        if maker in made_meanwhile or _value(cells, cell, name, notebook) is not _NOTHING:
            continue
        if (dropped := _who_dropped(cells, cell, name)) is not None:
            raise CellError(
                f"Task {cell.label!r} needs {name!r} as {dropped.label} made it, which was not kept because a later "
                f"cell binds {name!r} again: run {dropped.label} again first."
            )
        if name in cell.analysis.late_reads:
            continue
        if maker is not None and cells.by_id(maker).is_task:
            first = cells.by_id(maker).label
            raise CellError(
                f"Task {cell.label!r} needs {name!r} from task {first!r}, which has not run: "
                "run that cell first, or `%flow run`."
            )
        hint = did_you_mean(name, [key for key in notebook if not key.startswith("_")])
        raise CellError(
            f"Task {cell.label!r} reads {name!r}, which no cell that has run defines.{hint} "
            "Run the cell that defines it first."
        )


def drop_unread(cells: NotebookCells) -> None:
    """Let go of what plain cells bound, once a later cell binds the name again and no task reads the old version.

    A notebook without tasks then needs no more memory than without us.
    """
    graph = cells.graph
    needed = {
        (maker.graph_id, name)
        for task in cells.tasks
        for name in graph.inputs(task.graph_id)
        for maker in _makers(cells, task, name)
    }
    needed |= {(maker.graph_id, name) for name, last in graph.final.items() for maker in _handed_on(cells, last, name)}
    for cell in cells:
        unread = [name for name in cell.values if (cell.graph_id, name) not in needed]
        for name in unread:
            if not cell.is_task and not isinstance(cell.values[name], _SMALL):
                del cell.values[name]
                cell.dropped.add(name)


def _makers(cells: NotebookCells, cell: NotebookCell, name: str) -> list[NotebookCell]:
    """The cells that may hold the version of `name` that `cell` sees, the likeliest first."""
    maker = cells.graph.inputs(cell.graph_id).get(name)
    older = cells.graph.nodes[cell.graph_id].alternatives.get(name, ())
    return _handed_on(cells, (maker, *older), name)


def _handed_on(cells: NotebookCells, makers: Iterable[str | None], name: str) -> list[NotebookCell]:
    """The `makers` of a version; one that only changed the object is followed by those it had the object from."""
    found: dict[str, NotebookCell] = {}
    for maker in makers:
        while maker is not None and maker not in found:
            found[maker] = cells.by_id(maker)
            maker = cells.graph.inputs(maker).get(name)
    return list(found.values())


def _value(cells: NotebookCells, cell: NotebookCell, name: str, notebook: Mapping[str, Any]) -> Any:
    makers = _makers(cells, cell, name)
    for maker in makers:
        if name in maker.values:
            return maker.values[name]
        if name in maker.dropped or (maker.is_task and maker.last is None):
            return _NOTHING
    if makers and makers[0].is_task:
        return _NOTHING
    return notebook.get(name, _NOTHING)


def _who_dropped(cells: NotebookCells, cell: NotebookCell, name: str) -> NotebookCell | None:
    return next((maker for maker in _makers(cells, cell, name) if name in maker.dropped), None)
