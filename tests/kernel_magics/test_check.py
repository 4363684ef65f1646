"""``%flow check`` in a kernel, ``%deploy`` of what it finds, and ``%flow export`` of the same cells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

CELLS = ["%load_ext flowbook", "day = 1", "%%task\nout = day + hidden", "%flow check", "%deploy", "%deploy --force"]


def save(nb: Notebook, path: Path, *sources: str, counts: tuple[int | None, ...] = ()) -> None:
    """The notebook of the kernel is this file."""
    numbers = [*counts, *[None] * len(sources)]
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "execution_count": count, "source": source}
        for n, (source, count) in enumerate(zip(sources, numbers, strict=False))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel}
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}", silent=True)


@pytest.fixture
def saved(nb: Notebook, tmp_path: Path) -> Notebook:
    """A kernel whose notebook reads a name that no cell defines."""
    save(nb, tmp_path / "report.ipynb", *CELLS)
    nb.ok("hidden = 5", silent=True)
    return nb


def test_what_is_found_is_a_table_and_text(saved: Notebook) -> None:
    text = saved.ok("%flow check", "c3")
    assert text.startswith("error    Cell 3, line 2: 'hidden' is used, and no cell defines it")
    assert "\n         -> Define it in a cell before, or make it a parameter.\n" in text
    assert text.endswith("1 error in report.ipynb.")
    (shown,) = saved.outputs["c3"].items
    html = shown["data"]["text/html"]
    assert all(f">{text}</th>" in html for text in ("Cell", "Line", "Why", "What to do"))
    assert ">Cell 3</td>" in html
    assert ">2</td>" in html


def test_an_error_stops_deploy_unless_forced(saved: Notebook) -> None:
    output = saved.fails("%deploy", "c4")
    assert output.startswith("UsageError: Cell 3, line 2: 'hidden' is used, and no cell defines it")
    assert "`%deploy --force` does it all the same." in output
    forced = saved.ok("%deploy --force", "c5")
    assert forced.startswith("Deployed 'report', version 1: ")
    assert "Warning: Cell 3, line 2: 'hidden' is used" in forced


def test_a_clean_notebook_is_said_to_be_so(nb: Notebook, tmp_path: Path) -> None:
    save(nb, tmp_path / "report.ipynb", "%load_ext flowbook", "day = 1", "%flow check")
    assert nb.ok("%flow check", "c2") == "Nothing found: report.ipynb can run unattended."
    assert "Nothing found" in nb.outputs["c2"].items[0]["data"]["text/html"]


def test_how_far_the_notebook_is_ahead_of_what_is_deployed(nb: Notebook, tmp_path: Path) -> None:
    path, cells = tmp_path / "report.ipynb", ["%load_ext flowbook", "day = 1", "week = 2", "%deploy", "%flow check"]
    nb.ok("%load_ext flowbook")
    for changes, where in (
        ({}, "as this notebook is saved"),
        ({1: "day = 1  # the first"}, "this notebook has changed since only in comments, text or layout"),
        ({2: "week = 3"}, "this notebook is 1 cell ahead"),
        ({1: "day = 3", 2: "week = 3"}, "this notebook is 2 cells ahead"),
    ):
        save(nb, path, *(changes.get(place, cell) for place, cell in enumerate(cells)))
        if not changes:
            assert "Deployed" not in nb.ok("%flow check", "c4")
            nb.ok("%deploy", "c3")
        assert nb.ok("%flow check", "c4").endswith(f"\nDeployed as 'report', version 1; {where}.")


def test_what_ran_before_the_extension_was_loaded_has_run(nb: Notebook, tmp_path: Path) -> None:
    save(
        nb, tmp_path / "report.ipynb", "# parameters\nday = 1", "%load_ext flowbook", "%%task\nout = day", "%flow check"
    )
    nb.ok("%unload_ext flowbook")
    nb.ok("# parameters\nday = 1", "c0")
    nb.ok("%load_ext flowbook", "c1")
    nb.ok("%%task\nout = day", "c2")
    assert "Nothing found" in nb.ok("%flow check", "c3")


def test_what_this_kernel_has_run_counts(nb: Notebook, tmp_path: Path) -> None:
    save(nb, tmp_path / "report.ipynb", "day = 1", "%%task\nout = day", "%flow check", counts=(9, None))
    nb.ok("day = 1", "c0")
    nb.ok("%%task\nout = day", "c1")
    assert "Nothing found" in nb.ok("%flow check", "c2")
    nb.ok("day = 2", "c0")
    output = nb.ok("%flow check", "c2")
    assert "Cell 1: It was changed since it ran." in output
    assert "Cell 2: It ran before cell 1" in output
    assert "Task out: Its result is stale: day changed." in output


def test_a_cell_that_is_not_saved_is_said(saved: Notebook) -> None:
    output = saved.ok("%flow check  # now", "new")
    assert output.endswith("This cell is not in report.ipynb as it is saved, and that is what was checked.")


def test_without_a_file_the_cells_that_ran_are_checked(nb: Notebook) -> None:
    nb.ok("import os\nos.environ.pop('FLOWBOOK_NOTEBOOK', None)\nname = str(input)", "a")
    nb.ok("def ask():\n    return input()", "b")
    output = nb.ok("%flow check", "c")
    assert "warning  Cell 2, line 2: input() has nobody to ask" in output
    assert "The notebook's file is not known, so the cells that have run were checked" in output


def test_without_a_file_a_kernel_does_not_compile_the_grammar_of_iris_either() -> None:
    """Which takes seconds. The kernel of the other tests has imported all that it needs."""
    first = "import sys, types; from flowbook_magics.check import as_run; as_run(types.SimpleNamespace(ran={}))"
    subprocess.run([sys.executable, "-c", f"{first}; sys.exit('lark' in sys.modules)"], check=True)


def test_what_is_typed_wrong_is_a_sentence(saved: Notebook) -> None:
    assert "%flow check has no option --strict." in saved.fails("%flow check --strict", "d")
    assert "%flow check [FLOW]" in saved.ok("%flow --help", "d")


def test_export_writes_the_notebook_as_it_is_saved(nb: Notebook, tmp_path: Path) -> None:
    line = f"%flow export {tmp_path}/report.py"
    save(nb, tmp_path / "report.ipynb", "%load_ext flowbook", "day = 1", "%%task\nout = day + 1", line)
    said = nb.ok(line, "c3")
    assert said == f"Wrote {tmp_path}/report.py: flow 'report' and its task. `python {tmp_path}/report.py` runs it.\n"
    assert "out = day + 1" in (tmp_path / "report.py").read_text()
    said = nb.ok(line + " ", "d")
    assert "flowbook: This cell is not in report.ipynb as it is saved" not in said  # blanks make no difference
    said = nb.ok(line + " --force", "e")
    assert said.endswith("flowbook: This cell is not in report.ipynb as it is saved, and that is what was written.\n")
    nb.ok("import runpy; values = runpy.run_path(" + repr(str(tmp_path / "report.py")) + ")['report']()", "f")
    assert nb.value("values") == {"out": 2, "day": 1}


def test_export_of_a_kernel_without_a_file_writes_what_has_run(nb: Notebook, tmp_path: Path) -> None:
    nb.cells("rate = 2", "%%task\nx = rate + 1", "%%flow nightly\nrate + 1")
    said = nb.ok(f"%flow export {tmp_path}/all.py", "d")
    assert "so it has the cells that have run, in the order of their first run." in said
    assert "x = rate + 1" in (tmp_path / "all.py").read_text()
    nb.ok(f"%flow export {tmp_path}/one.py nightly", "d")
    assert "return rate + 1" in (tmp_path / "one.py").read_text()
    (tmp_path / "mine.py").write_text("mine = 1")
    assert "was not written by %flow export" in nb.fails(f"%flow export {tmp_path}/mine.py", "d")
    nb.ok(f"%flow export {tmp_path}/mine.py --force", "d")


def test_what_cannot_go_to_another_process_is_found_as_it_fails(nb: Notebook, tmp_path: Path) -> None:
    made = "import threading\nlock = threading.Lock()\nguards = dict(first=lock)"
    first = "%%task first --isolate process\nwith lock:\n    x = 1"
    second = "%%task second --isolate process\ny = guards"
    save(nb, tmp_path / "report.ipynb", "%load_ext flowbook", made, first, second, "%flow check")
    nb.ok(made, "c1")
    for number, source in ((2, first), (3, second)):
        assert "cannot be pickled" in nb.fails(source, f"c{number}")
    said = nb.ok("%flow check", "c4")
    assert (
        "error    Cell 3, line 2: 'lock' is sent to the process of this cell; cell 2, line 2, makes it a lock" in said
    )
    assert (
        "warning  Cell 4, line 2: 'guards' is sent to the process of this cell, and it holds at guards['first'] a"
        in said
    )
