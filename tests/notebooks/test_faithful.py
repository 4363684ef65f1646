"""A notebook gives the same values as tasks as it does cell by cell.

Each file of the corpus is a small notebook of a kind that people write. Its cells are separated by ``# %%``; one that
is marked ``plain`` stays a plain cell, all others become tasks. And a run of it puts out what plain Jupyter does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.notebooks.plainly import VALUES, different, values_of_plain_cells

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.py"), key=lambda path: path.stem)
AUDITED = sorted((HERE / "audited").glob("*.py"), key=lambda path: path.stem)
"""Those in which cells share what their text does not show, so that it is noticed only as they run."""
PROCESSES = sorted((HERE / "processes").glob("*.py"), key=lambda path: path.stem)
"""Those in which it matters that objects are copies in other processes."""
ALSO_IN_PROCESSES = (
    "aliases_and_views classes_across_cells closures_unpacked graph_walk late_binding methods_at_home".split()
)
LEGAL_ORDERS = """
def _run_in_order(seed):
    # Cells run one by one: of those that may run now the last one of the notebook, or with a seed any.
    import random
    from flowbook import engine
    from flowbook.cells import NotebookGraph
    pick = max if seed is None else random.Random(seed).choice
    def order(graph):
        ids, left, done = list(graph.nodes), set(graph.nodes), []
        while left:
            ready = sorted(ids.index(i) for i in left if not any(e.upstream in left for e in graph.incoming(i)))
            done.append(ids[pick(ready)])
            left.discard(done[-1])
        return tuple(done)
    def submit(run):
        future = plain_submit(run)
        future.wait()
        return future
    plain_submit, plain_order = engine.submit_task, NotebookGraph.topological_order
    engine.submit_task, NotebookGraph.topological_order = submit, order
    try:
        get_ipython().run_line_magic("flow", "run --all")
    finally:
        engine.submit_task, NotebookGraph.topological_order = plain_submit, plain_order
"""


def cells_of(path: Path) -> list[tuple[bool, str]]:
    """(whether it is a task, its source) for each cell."""
    parts = ("\n" + path.read_text(encoding="utf-8")).split("\n# %%")[1:]
    return [(not part.startswith(" plain"), part.partition("\n")[2].strip("\n")) for part in parts]


def _values_of_plain_cells(kernel: Notebook, path: Path) -> dict[str, str]:
    for library in ("networkx", "sklearn"):  # not imported here: it is the kernel that needs them
        if library in path.read_text(encoding="utf-8") and importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    return values_of_plain_cells(kernel, (source for _, source in cells_of(path)))


@pytest.mark.parametrize("path", [*CORPUS, *AUDITED], ids=lambda path: path.stem)
def test_tasks_give_what_plain_cells_give(kernel: Notebook, path: Path) -> None:
    cells, expected = cells_of(path), _values_of_plain_cells(kernel, path)
    kernel.reset()
    for number, (is_task, source) in enumerate(cells):
        kernel.ok(f"%%task t{number} --define\n{source}" if is_task else source, f"cell-{number}")
    kernel.ok(VALUES + LEGAL_ORDERS, silent=True)
    for run in ("%flow run --all", "_run_in_order(None)", "_run_in_order(1)"):
        kernel.ok(run, "run")
        assert different(kernel, expected) == {}, run

    kernel.reset()
    for number, (is_task, source) in enumerate(cells):
        kernel.ok(f"#| task t{number}\n{source}" if is_task else source, f"cell-{number}")
    kernel.ok(VALUES, silent=True)
    assert different(kernel, expected) == {}


IN_PROCESSES = [*PROCESSES, *(path for path in CORPUS if path.stem in ALSO_IN_PROCESSES)]


@pytest.mark.parametrize("path", IN_PROCESSES, ids=lambda path: path.stem)
def test_tasks_in_other_processes_give_what_plain_cells_give(kernel: Notebook, path: Path) -> None:
    is_tried_on_dask = path.stem in ("nested", "aliases_and_views")
    cells, expected = cells_of(path), _values_of_plain_cells(kernel, path)
    for where in ("--isolate process", *(["--runner dask"] if is_tried_on_dask else [])):
        kernel.reset()
        for number, (is_task, source) in enumerate(cells):
            kernel.ok(f"%%task t{number} --define {where}\n{source}" if is_task else source, f"cell-{number}")
        kernel.ok(VALUES, silent=True)
        for _ in range(2):
            kernel.ok("%flow run --all", "run")
            assert different(kernel, expected) == {}, where


@pytest.fixture(scope="module")
def book() -> list[tuple[str, str]]:
    """All notebooks of the corpus in one: (where it is from, its source) for each cell. Each ends with its values."""
    cells = []
    for path in CORPUS:
        if all(importlib.util.find_spec(each) for each in ("networkx", "sklearn") if each in path.read_text()):
            sources = [*(source for _, source in cells_of(path)), VALUES + "_values(dict(globals()))", "%reset -f"]
            cells += [(f"{path.stem}, cell {number}", source) for number, source in enumerate(sources, 1)]
    return cells


# What differs from run to run: how long something took, addresses, the process of the kernel.
_BY_CHANCE = re.compile(r"\d[\d.e+]* ?(?:n|µ|μ|u|m|)s\b|\b0x[0-9a-f]+|\bipykernel_\d+")


def _shown(path: Path) -> list[dict[str, Any]]:
    """What each cell put out, and the number of its prompt."""
    text = _BY_CHANCE.sub("…", path.read_text(encoding="utf-8").replace(str(path.parent), "FOLDER"))
    cells = json.loads(text)["cells"]
    return [{"outputs": cell["outputs"], "count": cell["execution_count"]} for cell in cells]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_puts_out_what_plain_jupyter_does(
    book: list[tuple[str, str]], make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONHASHSEED", "0")
    path = make_notebook("book", *(source for _, source in book))
    expected, ran = tmp_path / "plain" / "book.ipynb", tmp_path / "run" / "book.ipynb"
    for each in (expected, ran):
        each.parent.mkdir()
    plain = nbformat.read(path, as_version=4)
    client = NotebookClient(plain, coalesce_streams=True, resources={"metadata": {"path": str(expected.parent)}})
    nbformat.write(client.execute(), expected)

    command = [sys.executable, "-m", "flowbook.cli", "run", str(path), str(ran), "--cwd", str(ran.parent), "--quiet"]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    both = zip(book, _shown(expected), _shown(ran), strict=True)
    assert [(where, plain, run) for (where, _), plain, run in both if plain != run] == []
    assert sum(bool(cell["outputs"]) for cell in _shown(expected)) > len(CORPUS), "most cells put something out"
