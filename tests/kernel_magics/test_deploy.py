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
    "--every often": "write a duration as 10s",
    "--every 15m --schedule '0 7 * * *'": "Both `cron` and `interval` are given",
    "--every 15m --catchup some": "it must be one, all or skip",
    "--overlap skp": "Did you mean 'skip'?",
    "--data gone.csv": "The data file 'gone.csv' of deployment 'report' is not there",
    "--data gone.csv --no-data": "both --data and --no-data",
    "--pool nihgtly": "There is no work pool 'nihgtly'.",
    "--set 'day={{ schedule_time }}'": "Did you mean 'scheduled_time'?",
}
CELLS = ["%load_ext flowbook", "day: int = 1\nnames = ['a']", "%%task\nout = [day, *names]", "%deploy --name nightly"]


EVERY = "%deploy --every 1h30m --tz Asia/Tokyo --catchup skip --overlap skip --set 'day={{ scheduled_time }}'"
DRY_RUN = "%deploy --every 15m --dry-run"
DEPLOYS = [
    "%deploy",
    "%deploy --schedule '0 7 * * 1-5' --tz Europe/Zurich",
    EVERY,
    DRY_RUN,
    *(f"%deploy {line}" for line in MISTAKES),
]


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


def test_how_it_runs_is_said_on_its_line(saved: Notebook) -> None:
    assert "Next runs: " in saved.ok(EVERY, "d")
    listed = saved.ok("%schedule list", "e")
    assert "Every 1 hour 30 minutes, Asia/Tokyo" in listed
    shown = saved.ok(
        "from flowbook import engine as e; from flowbook.store.deployments import all_deployments\n"
        "(d,) = all_deployments(e.engine().database); print(dict(d.parameters), d.settings.collision.value)",
        "f",
    )
    assert shown == "{'day': '{{ scheduled_time }}'} CANCEL_NEW\n"


def test_a_dry_run_stores_nothing(saved: Notebook) -> None:
    output = saved.ok(DRY_RUN, "d")
    assert output.startswith("Nothing was stored. It would be deployed: 'report', version 1: ")
    assert "Next runs: " in output
    assert "report.ipynb is no deployment yet. `%deploy` makes it one." in saved.fails("%schedule list", "e")
    assert "version 1" in saved.ok("%deploy", "d")


def test_schedules_of_the_notebook_are_listed_paused_and_removed(saved: Notebook) -> None:
    saved.ok(DEPLOYS[1], "d")
    assert saved.ok("%schedule next --limit 3", "e").count(" 07:00 CE") == 3
    assert saved.ok("%schedule pause", "e").startswith("Paused 'report'. `%schedule resume` goes on.")
    assert "deployment paused" in saved.ok("%schedule list", "e")
    assert saved.ok("%schedule next", "e") == "No run is planned."
    resumed = saved.ok("%schedule resume", "e")
    assert resumed.startswith("Resumed 'report'.\n")
    assert resumed.count(" 07:00 CE") == 5
    removed = saved.ok("%schedule rm", "e")
    assert removed.startswith("Took Weekdays at 07:00, Europe/Zurich away from 'report', which is version 2 now.")
    assert "It has no schedule." in removed
    assert "Deployment 'report' has no schedule." in saved.fails("%schedule rm", "e")


def test_of_several_deployments_of_a_notebook_one_is_named(saved: Notebook) -> None:
    saved.ok(DEPLOYS[1], "d")
    saved.ok(CELLS[3], "d")
    assert "This notebook has the deployments 'nightly', 'report': say which one with --name." in saved.fails(
        "%schedule pause", "e"
    )
    assert saved.ok("%schedule pause --name report", "e").startswith("Paused 'report'.")
    assert "has no deployment 'reprot'. Did you mean 'report'?" in saved.fails("%schedule pause --name reprot", "e")


def test_what_schedule_does_not_know(saved: Notebook) -> None:
    assert "%schedule has no verb 'puase'. Did you mean 'pause'?" in saved.fails("%schedule puase", "e")
    assert "%schedule needs a verb. Use `%schedule list`, `%schedule next`" in saved.fails("%schedule", "e")
    shown = saved.ok("%schedule --help", "e")
    assert all(f"%schedule {verb}" in shown for verb in ("list", "next", "pause", "resume", "rm"))


def test_runs_are_cancelled_and_retried_from_a_notebook(saved: Notebook) -> None:
    saved.ok(CELLS[3], "d")
    saved.ok("from flowbook.promote import request_run; asked = request_run('nightly')", "e")
    assert " is Cancelled." in saved.ok("%runs cancel last", "f")
    assert "has ended already: it is Cancelled" in saved.fails("%runs cancel last", "f")
    assert saved.ok("%runs retry last", "f").endswith("is waiting for a worker, to begin anew.")
    assert "%runs retry needs a run: its number, its name, or `last`" in saved.fails("%runs retry", "f")
    assert "There is no run '17'." in saved.fails("%runs cancel 17", "f")
    shown = saved.ok("%runs --help", "f")
    assert "%runs retry [RUN]" in shown
    assert "%runs cancel [RUN]" in shown
