"""Cells that stand elsewhere than before: what they have made and shared is to be as where they stand now."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from flowbook.cells import ReasonKind
from flowbook.errors import CellError
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.publisher import Publisher


def arrange(cells: NotebookCells, publisher: Publisher, keys: Sequence[str]) -> None:
    """Have the cells stand as the front end has them. If no run can keep that order, this is said, and they stay."""
    shared, last = _shared_before(cells), _last_makers(cells)
    try:
        if not cells.arrange(keys):
            return
    except CellError as error:
        sys.stderr.write(f"flowbook: {error} Until then the tasks keep the order that they had.\n")
        return
    here = frozenset(keys)  # others may be of another notebook in this kernel, and are behind those where one works
    _note_moves(cells, shared, here)
    for name, maker in _last_makers(cells).items():
        before = last[name]
        if maker is not before and {maker.key, before.key} <= here and publisher.writer(name) == before.key:
            _bind(publisher, name, maker)


def settle(cells: NotebookCells, publisher: Publisher, here: Collection[str]) -> None:
    """Names have the version of the plain cell that is the last to bind them, whichever was run last or is deleted.

    If it is known which cells are `here`, others do not count: those of consoles, and of other notebooks.
    """
    mine = [cell for cell in cells if not here or cell.key in here or cell.came_before]
    for name, maker in _last_makers(mine).items():
        if not maker.is_task and publisher.writer(name) not in (None, maker.key):
            _bind(publisher, name, maker)


def _bind(publisher: Publisher, name: str, maker: NotebookCell) -> None:
    if name not in maker.dropped:
        values = {name: maker.values[name]} if name in maker.values else {}
        publisher.publish(values, [name], maker.key, always=True)


def _last_makers(cells: Iterable[NotebookCell]) -> dict[str, NotebookCell]:
    """By each name, the last cell that has bound or unbound it."""
    return {
        name: cell
        for cell in cells
        for name in ((cell.values.keys() | cell.dropped) & cell.analysis.writes) | cell.analysis.deletes
    }


def _shared_before(cells: NotebookCells) -> dict[str, frozenset[str]]:
    """By the key of each cell, the keys of those before it with which it shares something, also through others."""
    kinds = (ReasonKind.RESOURCE, ReasonKind.FLAG)
    found: dict[str, frozenset[str]] = {}
    for cell in cells:
        edges = cells.graph.incoming(cell.graph_id)
        keys = [cells.by_id(edge.upstream).key for edge in edges if any(each.kind in kinds for each in edge.reasons)]
        found[cell.key] = frozenset(keys).union(*(found.get(key, ()) for key in keys))
    return found


def _note_moves(cells: NotebookCells, before: Mapping[str, frozenset[str]], here: frozenset[str]) -> None:
    """Those `here` are stale that share something in another order than `before` (what `_shared_before` was)."""
    after = _shared_before(cells)
    for cell in cells.tasks:
        differing = (after[cell.key] ^ before[cell.key]) & here if cell.key in here else ()
        other = next((each for each in cells if each.key in differing), None)
        if cell.last is not None and other is not None:
            place = "before" if other.position < cell.position else "behind"
            cell.last = replace(cell.last, undone=f"{other.label} stands {place} it now")
