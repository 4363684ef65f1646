"""The code cells of two executed notebooks, beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbook.core.comparison.alignment import aligned
from flowbook.core.comparison.lines import text_change
from flowbook.core.comparison.outputs import output_changes
from flowbook.core.comparison.records import CellPair
from flowbook.core.plain import one_line, shorten

_WIDTH = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    number: int
    id: str
    source: str
    outputs: Sequence[Mapping[str, Any]]


_NOTHING = _Cell(number=0, id="", source="", outputs=())


def cell_pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[CellPair]:
    """The cells of both notebooks in order. Those of one id belong together, then those of the same code."""
    old, new = _code_cells(before), _code_cells(after)
    shared = {cell.id for cell in old} & {cell.id for cell in new} - {""}
    places = aligned([_key(cell, shared) for cell in old], [_key(cell, shared) for cell in new])
    return [_pair(_NOTHING if a is None else old[a], _NOTHING if b is None else new[b]) for a, b in places]


def _pair(old: _Cell, new: _Cell) -> CellPair:
    return CellPair(
        before=old.number or None,
        after=new.number or None,
        about=_about(new.source or old.source),
        code=text_change(old.source, new.source),
        outputs=tuple(output_changes(old.outputs, new.outputs)),
    )


def _key(cell: _Cell, shared: set[str]) -> tuple[str, str]:
    return ("id", cell.id) if cell.id in shared else ("source", cell.source)


def _code_cells(notebook: Mapping[str, Any]) -> list[_Cell]:
    """The cells that have code, numbered among all code cells, as everywhere else."""
    cells = [cell for cell in notebook.get("cells", ()) if cell.get("cell_type") == "code"]
    found = [
        _Cell(number=number, id=str(cell.get("id", "")), source=_joined(cell), outputs=cell.get("outputs", ()))
        for number, cell in enumerate(cells, 1)
    ]
    return [cell for cell in found if cell.source.strip()]


def _joined(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _about(source: str) -> str:
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return shorten(one_line(first), _WIDTH)
