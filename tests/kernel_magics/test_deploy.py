"""``%deploy``: what it says about the deployment it made, and about what stands in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel_magics.conftest import Notebook

MISTAKES = {
    "--schedule 'every day'": "every day",
    "--schedule '0 7 * * *' --tz Europe/Zürich": "Europe/Zürich",
    "--set dya=3": "Did you mean 'day'?",
    "--set day=soon": "day",
    "nightly": "nightly",
}
CELLS = ["%load_ext flowbook", "day: int = 1\nnames = ['a']", "%%task\nout = [day, *names]", "%deploy --name nightly"]


DEPLOYS = ["%deploy", "%deploy --schedule '0 7 * * 1-5' --tz Europe/Zurich", *(f"%deploy {line}" for line in MISTAKES)]


@pytest.fixture
def saved(nb: Notebook, tmp_path: Path) -> Notebook:
    """A kernel whose notebook is a saved file."""
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for n, source in enumerate([*CELLS, *DEPLOYS])
    ]
    cells[1]["metadata"] = {"tags": ["parameters"]}
    path = tmp_path / "report.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    nb.ok(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}", silent=True)
    return nb


def test_it_says_what_was_made_and_what_to_do_next(saved: Notebook) -> None:
    output = saved.ok(CELLS[3], "d")
    assert output.startswith("Deployed 'nightly', version 1: ")
    assert "It has no schedule. Run it with: flowbook deployment run nightly" in output
    assert output.endswith("A worker runs it. Start one with: flowbook worker start")
    assert "not in the saved file" not in output
    assert "version 2" in saved.ok(CELLS[3], "d")


def test_a_schedule_shows_the_next_times_in_its_zone(saved: Notebook) -> None:
    output = saved.ok("%deploy --schedule '0 7 * * 1-5' --tz Europe/Zurich", "d")
    assert output.startswith("Deployed 'report', version 1")
    assert output.count(" 07:00 CE") == 5


def test_a_notebook_that_is_not_saved_is_refused(saved: Notebook) -> None:
    output = saved.fails("%deploy --name other", "d")
    assert "this cell is not in report.ipynb: save the notebook, and run the cell again." in output
    assert "version 1" in saved.ok(CELLS[3], "d")


@pytest.mark.parametrize(("line", "says"), MISTAKES.items())
def test_a_mistake_deploys_nothing(saved: Notebook, line: str, says: str) -> None:
    output = saved.fails(f"%deploy {line}", "d")
    assert output.startswith("UsageError: ")
    assert says in output
    assert output.count("\n") == 1
    assert "version 1" in saved.ok("%deploy", "d")


def test_the_run_is_named_after_the_file(saved: Notebook) -> None:
    saved.ok("%%task\nx = 1", "a")
    saved.ok("%flow run --all", "b")
    assert "report" in saved.ok("%runs", "c")
