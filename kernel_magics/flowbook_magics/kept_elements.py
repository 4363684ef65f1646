"""What the elements of a mapped cell gave that completed, where others did not: kept until the cell completes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbook.cells.freshness import cell_hash
from flowbook.run.future import Future
from flowbook_magics.freshness import input_tokens
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What the results of elements are made from. The same again gives the same results."""

    code: str
    options: tuple[object, ...]
    inputs: Mapping[str, object]
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptElements:
    """The results of the elements that completed, by their places."""

    made: Made
    results: Mapping[int, Any]


def made_from(cells: NotebookCells, cell: NotebookCell, count: int) -> Made:
    """What the results of the `count` elements are made from now."""
    return Made(
        code=cell_hash(cells.graph, cell.graph_id),
        options=cell.options.affecting_result(),
        inputs=input_tokens(cells, cell),
        count=count,
    )


def kept(made: Made, futures: Sequence[Future[Any]]) -> KeptElements | None:
    """What to keep of the elements, which have ended; None if there is no other one to run again."""
    results = {index: future.state.data for index, future in enumerate(futures) if future.state.is_completed()}
    return KeptElements(made=made, results=results) if len(results) < len(futures) else None


def results_for(made: Made, cell: NotebookCell) -> Mapping[int, Any]:
    """The results that are kept and still hold, by the places of their elements."""
    return cell.elements.results if cell.elements is not None and cell.elements.made == made else {}
