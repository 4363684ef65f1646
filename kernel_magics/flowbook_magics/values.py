"""The values that a cell reads, each in the version that its place in the notebook sees."""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from flowbook.errors import CellError, did_you_mean
from flowbook_magics.namespace import MISSING
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells

_NOTHING = object()
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+")
_SMALL = (bool, int, float, complex, type(None), type, FunctionType, BuiltinFunctionType, ModuleType)


def inputs_of(cells: NotebookCells, cell: NotebookCell, notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the cell reads, as far as they exist, for a run of it that begins.

    All that it was to wait for has ended. Other cells may have been seen meanwhile to change what it reads; those that
    have not ended are passed over.
    """
    found = {
        name: _value(cells, cell, name, notebook, begins=True) for name in sorted(cells.graph.inputs(cell.graph_id))
    }
    return {name: value for name, value in found.items() if value is not _NOTHING}


def version_before(cells: NotebookCells, cell: NotebookCell, name: str, otherwise: Any) -> Any:
    """The value that the last cell before this one gave to a name that is none of its inputs, if that is known.

    It is MISSING if that cell has unbound the name, or if it is the name of a builtin that only later cells bind.
    """
    for maker in reversed(list(cells)[: cell.position - 1]):
        if name in maker.values:
            return maker.values[name]
        if name in maker.analysis.deletes:
            return MISSING
        if name in maker.analysis.writes - maker.analysis.conditional_writes:
            return otherwise
    is_builtin_still = hasattr(builtins, name) and any(
        name in each.analysis.writes for each in list(cells)[cell.position - 1 :]
    )
    return MISSING if is_builtin_still else otherwise


def names_before(cells: NotebookCells, cell: NotebookCell, notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The public names of the notebook as they are where the cell stands, for code that asks which there are."""
    before, later = set[str](), set[str]()
    for other in cells:
        (before if other.position < cell.position else later).update(other.analysis.writes)
    return {
        name: value
        for name, last in list(notebook.items())
        if not name.startswith("_")
        and (name in before or name not in later)
        and (value := version_before(cells, cell, name, last)) is not MISSING
    }


def outdated_inputs(cells: NotebookCells, cell: NotebookCell) -> set[str]:
    """The inputs of a cell of which the notebook has newer versions or none, or may get them while the cell runs."""
    final = cells.graph.final
    inputs = cells.graph.inputs(cell.graph_id)
    if cells.growing:
        return set(inputs)
    return {
        name
        for name, maker in inputs.items()
        if maker is not None and final.get(name, (None,))[0] != maker and _is_bound_after(cells, maker, name)
    }


def _is_bound_after(cells: NotebookCells, maker: str, name: str) -> bool:
    """Whether a cell behind this one binds the name, or unbinds it: else its object is only changed in place."""
    return any(
        name in each.analysis.writes or name in each.analysis.deletes or name in cells.graph[each.graph_id].late_binds
        for each in list(cells)[cells.by_id(maker).position :]
    )


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
        if (inside := _who_keeps(cells, cell, name)) is not None:
            raise CellError(
                f"Task {cell.label!r} reads {name!r}, which begins with an underscore and so stays inside "
                f"{inside.label!r}, the task that binds it: give it another name, or make a plain cell of that one."
            )
        if _HISTORY.fullmatch(name):
            raise CellError(
                f"Task {cell.label!r} reads {name!r}, which is of the history of cells that were run one by one: "
                "give what it stands for a name in the cell that makes it, and read that."
            )
        if name in cell.analysis.guarded_reads or _may_be_bound_unseen(cells, cell, made_meanwhile):
            continue
        hint = did_you_mean(name, [key for key in notebook if not key.startswith("_")])
        raise CellError(
            f"Task {cell.label!r} reads {name!r}, which no cell that has run defines.{hint} "
            "Run the cell that defines it first, or delete this one."
        )


def not_made_before(cells: NotebookCells, cell: NotebookCell) -> list[str]:
    """A sentence for each name that it reads and no cell before it makes any more, as that was moved or edited."""
    said = []
    for name, maker in sorted(cells.graph.inputs(cell.graph_id).items()):
        if maker is not None or name in cell.analysis.late_reads:
            continue
        behind = next((each for each in list(cells)[cell.position :] if name in each.analysis.writes), None)
        if behind is not None and name in behind.values and not hasattr(builtins, name):
            said.append(
                f"Task {cell.label!r} reads {name!r}, which only {behind.label}, behind it, makes: move that cell up, "
                "or it will be missing when the kernel is restarted."
            )
        elif behind is None and name in cells.lost:
            said.append(
                f"Task {cell.label!r} reads {name!r}, which {cells.lost[name]}: "
                "bind it in another cell, or it will be missing when the kernel is restarted."
            )
    return said


def _may_be_bound_unseen(cells: NotebookCells, cell: NotebookCell, made_meanwhile: Collection[str]) -> bool:
    """Whether a cell that runs first may bind names that its code does not show (``%run``, ``exec``)."""
    before = list(cells)[: cell.position - 1]
    return any(each.graph_id in made_meanwhile and cells.graph[each.graph_id].flags for each in before)


def drop_unread(cells: NotebookCells) -> None:
    """Let go of what plain cells bound, once a later cell binds the name again and no task reads the old version.

    A notebook without tasks then needs no more memory than without us.
    """
    graph = cells.graph
    needed = {
        (maker.graph_id, name)
        for task in cells.tasks
        for name in graph.inputs(task.graph_id)
        for maker in makers_of(cells, task, name)
    }
    needed |= {
        (maker.graph_id, name)
        for name, makers in graph.final.items()
        for maker in (_binding_from(cells, makers[0], name) if makers else ())
    }
    for cell in cells:
        unread = [name for name in cell.values if (cell.graph_id, name) not in needed]
        for name in unread:
            if not cell.is_task and not isinstance(cell.values[name], _SMALL):
                del cell.values[name]
                cell.dropped.add(name)


def makers_of(cells: NotebookCells, cell: NotebookCell, name: str) -> list[NotebookCell]:
    """The cells that may hold the version of `name` that `cell` sees, the likeliest first."""
    maker = cells.graph.inputs(cell.graph_id).get(name)
    return _binding_from(cells, maker, name) if maker is not None else []


def _binding_from(cells: NotebookCells, maker: str, name: str) -> list[NotebookCell]:
    """The `maker` of a version, and the cells before it back to the one that surely binds the name.

    The maker may only have changed the object, perhaps under another name; others may have bound the name or not.
    """
    first = cells.by_id(maker)
    found = []
    for cell in reversed(list(cells)[: first.position]):
        if cell is first or name in cell.analysis.writes or name in cell.values or name in cell.dropped:
            found.append(cell)
        if name in cell.analysis.writes - cell.analysis.conditional_writes:
            break
    return found


def _value(
    cells: NotebookCells, cell: NotebookCell, name: str, notebook: Mapping[str, Any], *, begins: bool = False
) -> Any:
    makers = makers_of(cells, cell, name)
    for maker in makers:
        if name in maker.values:
            return maker.values[name]
        is_passed_over = begins and name not in maker.analysis.writes
        if name in maker.dropped or (maker.is_task and maker.last is None and not is_passed_over):
            return _NOTHING
    if (makers and makers[0].is_task) or (not makers and _is_deleted(cells, cell, name)):
        return _NOTHING
    return notebook.get(name, _NOTHING)


def _who_keeps(cells: NotebookCells, cell: NotebookCell, name: str) -> NotebookCell | None:
    """The task before the cell that binds a private name."""
    before = reversed(list(cells)[: cell.position - 1])
    return next((each for each in before if each.is_task and name in each.analysis.private), None)


def _is_deleted(cells: NotebookCells, cell: NotebookCell, name: str) -> bool:
    """Whether a name has no value at the place of `cell`, because a cell before it has unbound it."""
    for before in reversed(list(cells)[: cell.position - 1]):
        if name in before.analysis.deletes:
            return True
        if name in before.analysis.writes:
            break
    return False


def _who_dropped(cells: NotebookCells, cell: NotebookCell, name: str) -> NotebookCell | None:
    return next((maker for maker in makers_of(cells, cell, name) if name in maker.dropped), None)
