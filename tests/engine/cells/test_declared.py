"""``--in`` and ``--out`` count instead of what is found in the code."""

from __future__ import annotations

import pytest

from flowbook.cells import Analysis, Cell, NotebookGraph, analyze, declare
from flowbook.errors import CellError

PRELUDE = analyze("import math\ndef tidy(x):\n    return x\nfactor = 2")


def declared(source: str, reads: str | None = None, writes: str | None = None) -> Analysis:
    def names(text: str | None) -> list[str] | None:
        return None if text is None else text.split()

    return declare(analyze(source), "task 't'", reads=names(reads), writes=names(writes), earlier=[PRELUDE])


@pytest.mark.parametrize(
    ("source", "reads", "expected"),
    [
        ("y = x + z", "x", {"x"}),
        ("y = x + z", "", set()),
        ("y = eval('x')", "x", {"x"}),
        ("y = math.sqrt(tidy(x)) * factor", "x", {"x", "math", "tidy"}),
        ("x.append(z)", "z", {"x", "z"}),
        ("def f():\n    return x + z", "x", {"x"}),
        ("y = sum(x)", "sum", {"sum"}),
    ],
)
def test_declared_reads(source: str, reads: str, expected: set[str]) -> None:
    found = declared(source, reads=reads)
    assert found.reads == expected
    assert not found.late_reads
    assert found.writes == analyze(source).writes


@pytest.mark.parametrize(
    ("source", "writes", "expected"),
    [
        ("a = 1\nb = 2", "b", {"b"}),
        ("a = 1", "", set()),
        ("if x:\n    a = 1", "a", {"a"}),
        ("exec('a = 1')", "a", {"a"}),
        ("x.append(1)\na = 1", "a x", {"a"}),
    ],
)
def test_declared_writes(source: str, writes: str, expected: set[str]) -> None:
    found = declared(source, writes=writes)
    assert found.writes == expected
    assert not found.conditional_writes
    assert found.private == analyze(source).writes - expected
    assert found.mutates == analyze(source).mutates


def test_an_output_that_is_not_bound_is_refused() -> None:
    with pytest.raises(CellError, match=r"Task 't' declares --out totl, .* Did you mean 'total'\?"):
        declared("total = 1", writes="totl")


def test_without_a_declaration_nothing_changes() -> None:
    assert declared("y = x") == analyze("y = x")


@pytest.mark.parametrize(
    ("source", "writes"),
    [
        ("_k = 3\ndef _inner(v):\n    return _k * v * factor\ndef f(v):\n    return _inner(v)", None),
        ("k = 3\ndef inner(v):\n    return k * v * factor\ndef f(v):\n    return inner(v)", "f"),
    ],
)
def test_a_function_that_uses_names_inside_its_cell_reads_what_they_read(source: str, writes: str | None) -> None:
    cells = [
        Cell(id="1", source="factor = 2", analysis=analyze("factor = 2")),
        Cell(id="2", source=source, analysis=declared(source, writes=writes), is_task=True),
        Cell(id="3", source="y = f(1)", analysis=analyze("y = f(1)"), is_task=True),
    ]
    assert NotebookGraph.of(cells).inputs("3") == {"f": "2", "factor": "1"}
