"""A task is stale when its code means something else, and only then."""

import subprocess
import sys
from pathlib import Path

import pytest

from flowbook.cells import Cell, NotebookGraph, analyze_cells, cell_hash, code_hash, definition_source


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x  =  1  # why"),
        ("x = f(a, b)", "x = f(\n    a,\n    b,\n)"),
        ("x = 'a'", 'x = "a"'),
        ("%%task --retries 3\nx = 1", "x = 1"),
        ("#| task\nx = 1", "%%task other\n\nx = 1"),
        ("x = 1\n\n\ny = 2", "x = 1; y = 2"),
    ],
)
def test_formatting_never_invalidates(one: str, other: str) -> None:
    assert code_hash(one) == code_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "y = 1"),
        ("!ls a", "!ls b"),
        ("r = !ls a", "r = !ls b"),
        ("%%bash\nls a", "%%bash\nls b"),
        ("x = 1", "%timeit x = 1"),
        ("x = 1", "x = 1.0"),
    ],
)
def test_another_meaning_is_another_hash(one: str, other: str) -> None:
    assert code_hash(one) != code_hash(other)


def test_helpers_count_whatever_their_order() -> None:
    helpers = ["def f(): return 1", "def g(): return 2"]
    assert code_hash("f()", helpers) == code_hash("f()", reversed(helpers))
    assert code_hash("f()", helpers) != code_hash("f()", ["def f(): return 1", "def g(): return 3"])
    assert code_hash("f()", helpers) != code_hash("f()")


def test_the_same_in_every_process() -> None:
    source = "x = {1, 2, 3}\ndef f(a: int = 2) -> None: ..."
    engine = str(Path(__file__).parents[3] / "engine")
    program = f"import sys; sys.path.insert(0, {engine!r})\nfrom flowbook.cells import code_hash\n"
    program += f"print(code_hash({source!r}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == code_hash(source)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f", "@deco\ndef f():\n    return 1"),
        ("C", "class C: ..."),
        ("h", "h = lambda: 2"),
        ("os", None),
        ("nothing", None),
    ],
)
def test_definition_source(name: str, expected: str | None) -> None:
    source = "%%task\nimport os\n@deco\ndef f():\n    return 1\n\nclass C: ...\nh = lambda: 2"
    assert definition_source(source, name) == expected


def test_a_helper_of_a_helper_makes_a_cell_stale() -> None:
    def hash_of_last(inner: str) -> str:
        sources = ["def f(): return g()", inner, "x = f()"]
        cells = [
            Cell(id=str(place), source=source, analysis=analysis)
            for place, (source, analysis) in enumerate(zip(sources, analyze_cells(sources), strict=True))
        ]
        return cell_hash(NotebookGraph.of(cells), "2")

    assert hash_of_last("def g(): return 1") == hash_of_last("def g():\n    return 1  # one")
    assert hash_of_last("def g(): return 1") != hash_of_last("def g(): return 2")
