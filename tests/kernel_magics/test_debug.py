"""``%flow debug``: inputs and traceback of a failed task, of runs of this notebook, of other processes, unattended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

VALIDATE = "%%task validate --define\ncheck = total - limit\nif check > 0:\n    raise ValueError('above the limit')"
SCRIPT = """
import threading
from flowbook import flow, task

@task
def score(model, x, lock):
    return 1 / (x - model["mean"])

@flow
def nightly():
    score({"mean": 3}, 3, threading.Lock())

nightly()
"""


def test_a_failed_cell_gives_its_inputs_and_its_frames_back(nb: Notebook) -> None:
    nb.cells("limit = 1000", "%%task\ntotal = 1347.5", VALIDATE)
    nb.fails("%flow run --all")
    nb.ok("total = limit = None")
    said = nb.ok("%flow debug last")
    assert "ValueError: above the limit" in said
    assert "Bound here as validate had them in run 1 of notebook: limit, total." in said
    assert nb.value("(total, limit)") == (1347.5, 1000)
    assert "`%debug` opens the frames." in said
    assert nb.value("__import__('sys').last_traceback.tb_frame.f_globals['check']") == 347.5


def test_a_run_of_another_process(nb: Notebook, tmp_path: Path) -> None:
    script = tmp_path / "night.py"
    script.write_text(SCRIPT, encoding="utf-8")
    env = {**os.environ, "FLOWBOOK_HOME": nb.home}
    assert subprocess.run([sys.executable, script], env=env, stderr=subprocess.DEVNULL, check=False).returncode == 1
    said = nb.ok("%flow debug last score")
    assert "ZeroDivisionError" in said
    assert 'return 1 / (x - model["mean"])' in said
    assert "Bound here as score had them in run 1 of nightly: model, x." in said
    assert "lock was not kept: it cannot be pickled" in said
    assert "%debug" not in said
    assert nb.value("(model, x)") == ({"mean": 3}, 3)


def test_an_unattended_run_of_a_notebook(nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowbook.engine import close_engines
    from flowbook.promote import promote, request_run
    from flowbook.schedule.worker import Worker

    sources = ["%load_ext flowbook", "# parameters\nlimit: int = 5", "%%task\ntotal = 7", VALIDATE, "1 / 0"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "report.ipynb"
    nbformat.write(notebook, path)
    monkeypatch.setenv("FLOWBOOK_HOME", nb.home)
    try:
        promote(path)
        request_run("report", {"limit": 3})
        Worker(limit=1, pool="default").run_once()
    finally:
        close_engines()
    said = nb.ok("%flow debug last validate")
    assert "ValueError: above the limit" in said
    assert "Bound here as validate had them in run 1 of report: limit, total." in said
    assert nb.value("(total, limit)") == (7, 3)
    assert "Nothing is kept of 'cell 5 · 1 / 0'" in nb.fails('%flow debug last "cell 5 · 1 / 0"')


def test_of_a_mapped_task_the_element_that_failed_first(nb: Notebook) -> None:
    nb.cells(
        "from flowbook import flow, task",
        "@task\ndef half(n):\n    return 2 // n\n\n@flow\ndef all_halves():\n    return half.map([1, 0, 2])",
    )
    nb.fails("%flow run all_halves")
    assert "had them in run 1 of all-halves: n." in nb.ok("%flow debug last")
    assert nb.value("n") == 0


def test_only_so_many_failures_of_a_flow_run_are_kept(nb: Notebook) -> None:
    nb.ok("from flowbook import flow, task\nfrom flowbook.post_mortem import MOST_RUNS")
    nb.ok("@task\ndef never(n):\n    raise ValueError(n)\n\n@flow\ndef many():\n    never.map(range(MOST_RUNS + 5))")
    nb.ok("%flow run many")
    assert "Nothing is kept of" in nb.fails("%flow debug last never-24")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("%flow debug", "No task of run 1 has failed, so there is nothing to debug."),
        ("%flow debug last", "No task of run 1 has failed, so there is nothing to debug."),
        ("%flow debug last lod", "has no task 'lod'. Did you mean 'load'?"),
        ("%flow debug 1 load", "Task 'load' of run 1 has not failed, so there is nothing to debug."),
        ("%flow debug 99", "There is no run '99'."),
    ],
)
def test_mistakes(nb: Notebook, line: str, sentence: str) -> None:
    nb.ok("%%task load\nx = 1", "a")
    nb.ok("%flow run --all")
    assert sentence in nb.fails(line)
