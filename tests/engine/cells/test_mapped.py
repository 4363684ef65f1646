"""What a cell that runs once per element does: its elements are its own, and it reads what they are elements of."""

from __future__ import annotations

import pytest

from flowbook.cells import Cell, NotebookGraph, analyze, map_over
from flowbook.errors import CellError

OVER = (("row", "rows"),)


@pytest.mark.parametrize(
    ("source", "reads", "writes"),
    [
        ("part = row", {"rows"}, {"part"}),
        ("part = f(row, k)", {"f", "k", "rows"}, {"part"}),
        ("part = [row for row in row]", {"rows"}, {"part"}),
        ("part = row, len(rows)", {"rows"}, {"part"}),
        ("import math\ndef f(x):\n    return x\nclass C: ...\npart = f(row)", {"rows"}, {"part"}),
        ("part = lambda: row", {"rows"}, {"part"}),
        ("print('once per row')", {"rows"}, set()),
    ],
)
def test_reads_and_writes(source: str, reads: set[str], writes: set[str]) -> None:
    found = map_over(analyze(source), "cell 1", OVER)
    assert (found.reads, found.writes) == (reads, writes)


def test_a_function_is_given_to_others_where_it_is_declared() -> None:
    found = map_over(analyze("def f():\n    return row"), "cell 1", OVER, writes=["f"])
    assert found.writes == {"f"}


@pytest.mark.parametrize("source", ["row = 1", "for row in [1]: pass", "del row", "import row", "row += 1"])
def test_a_cell_that_binds_the_element_is_refused(source: str) -> None:
    with pytest.raises(CellError, match="Cell 1 binds 'row' itself, which --map binds to an element of 'rows'"):
        map_over(analyze(source), "cell 1", OVER)


@pytest.mark.parametrize("change", ["row.append(1)", "row[0] = 1", "kept = row", "def f(): row.append(1)\nf()"])
def test_whoever_reads_the_list_before_is_waited_for(change: str) -> None:
    mapped = map_over(analyze(change), "cell 3", OVER)
    cells = [
        Cell(id="1", source="rows = [[1]]", analysis=analyze("rows = [[1]]")),
        Cell(id="2", source="n = len(rows)", analysis=analyze("n = len(rows)"), is_task=True),
        Cell(id="3", source=change, analysis=mapped, is_task=True),
        Cell(id="4", source="kept[0].append(1)", analysis=analyze("kept[0].append(1)"), is_task=True),
    ]
    graph = NotebookGraph.of(cells)
    waits = {edge.upstream for edge in graph.incoming("4" if change == "kept = row" else "3")}
    assert "2" in waits
