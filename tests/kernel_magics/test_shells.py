"""Without a front end that names cells: as nbclient executes a notebook, and in a plain IPython."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

RUN = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for source in {cells!r}:
    result = shell.run_cell(source, store_history=True)
    print("->", "ok" if result.success else type(result.error_in_exec or result.error_before_exec).__name__, flush=True)
"""


def in_terminal(home: Path, *cells: str) -> str:
    """What a plain IPython prints for these cells."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(cells=["%load_ext flowbook", "%colors nocolor", *cells])],
        capture_output=True,
        text=True,
        timeout=60,
        env={**__import__("os").environ, "FLOWBOOK_HOME": str(home), "IPYTHONDIR": str(home / "ipython")},
        check=False,
    )
    return done.stdout + done.stderr


def test_cells_without_ids_are_known_by_their_content(nb: Notebook) -> None:
    for source in ("k = 2", "%%task load\nraw = [1, k]", "#| task\ntop = max(raw)\nprint(top)", "%flow run"):
        nb.ok(source)
    assert nb.value("top") == 2
    assert nb.output("%flow run").startswith("Nothing to run")
    nb.ok("k = 2")
    nb.ok("%%task load\nraw = [1, k]")
    assert list(nb.tasks()) == ["load", "top"]
    nb.ok("k = 9")
    nb.ok("%flow run --all")
    assert nb.value("top, k") == (2, 9)


def test_a_duplicate_name_without_ids_is_an_error(nb: Notebook) -> None:
    nb.ok("%%task load\nraw = 1")
    assert "The task name 'load' is taken by cell 1" in nb.fails("%%task load\nraw = 2")


@pytest.mark.slow
def test_a_notebook_executed_by_nbclient(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    sources = [
        "%load_ext flowbook",
        "%%task load\nraw = [1, 2]",
        "%%task\ntop = max(raw)\ntop",
        "%flow run --all",
        "top",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=60).execute(cwd=str(tmp_path))
    assert notebook.cells[2].outputs[0]["data"]["text/plain"] == "2"
    assert notebook.cells[4].outputs[0]["data"]["text/plain"] == "2"
    assert "2 succeeded" in json.dumps(notebook.cells[3].outputs)
    notebook.cells[2].source = "%%task --retry 1\ntop = max(raw)"
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="Did you mean '--retries'"):
        nbclient.NotebookClient(notebook, timeout=60).execute(cwd=str(tmp_path))


@pytest.mark.slow
def test_a_plain_ipython(tmp_path: Path) -> None:
    output = in_terminal(
        tmp_path,
        "import threading; k = 2; meet = threading.Barrier(2, timeout=60)",
        "# comment\n%%task load\nprint('loading'); raw = [1, k]",
        "#| task one --define\nmeet.wait(); one = max(raw); one",
        "%%task two --define\nmeet.wait(); two = await __import__('asyncio').sleep(0, min(raw))",
        "%flow run",
        "%tasks",
        "print('values', one, two)",
        "%%task load\nprint('edited'); raw = [7, k]",
        "%flow run",
        "print('values', one, two)",
        "%%task bad\n\nword = 'x'\n!echo {word}\n1/0",
        "%flow run",
        "%%task load --retry 3\nx = 1",
        "%flow rnu",
    )
    lines = output.splitlines()
    assert [line for line in lines if line.startswith("->")] == [
        *["-> ok"] * 12,
        "-> ZeroDivisionError",
        "-> FlowRunFailed",
        "-> UsageError",
        "-> UsageError",
    ]
    assert [line for line in lines if line.startswith("values")] == ["values 2 1", "values 7 2"]
    assert "Succeeded" in output
    assert "----> 5 1/0" in output
    assert "\nCell In[13], line 5\n" in output
    assert "run_cell_magic" not in output
    assert "\033[2K" not in output
    assert "Did you mean '--retries'?" in output
    assert "Did you mean 'run'?" in output
