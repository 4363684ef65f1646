"""``flowbook deployment pause|resume|delete``: a schedule can be stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowbook import engine
from flowbook.cli.root import root
from flowbook.promote import promote, request_run
from flowbook.runs import recent_runs
from flowbook.schedule.fires import make_due_runs

FAR = 4_000_000_000.0  # seconds since the epoch: any schedule is due by then


@pytest.fixture
def deployed(tmp_path: Path) -> str:
    path = tmp_path / "tick.ipynb"
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": "x = 1"}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return promote(path, cron="0 0 1 1 *").name


def call(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["deployment", *arguments])


def test_a_paused_deployment_makes_no_runs_until_it_is_resumed(deployed: str) -> None:
    database = engine.engine().database
    assert "Paused 'tick'" in call("pause", deployed).output
    assert "(paused)" in call("ls").output
    assert make_due_runs(database, FAR) == []
    assert "Next run: 20" in call("resume", deployed).output
    assert make_due_runs(database, FAR) != []


def test_a_deleted_deployment_makes_no_runs_and_keeps_its_history(deployed: str) -> None:
    request_run(deployed)
    result = call("delete", deployed, "--yes")
    assert result.output == "Deleted 'tick'. Its runs are still listed by: flowbook runs ls\n"
    assert make_due_runs(engine.engine().database, FAR) == []
    assert recent_runs() == [], "a run that waited for a worker is not waited for any more"
    assert "There is no deployment 'tick'" in call("delete", deployed, "--yes").output


def test_an_unknown_deployment_is_named(deployed: str) -> None:
    for verb in ("pause", "resume", "delete"):
        result = call(verb, "tikc")
        assert result.exit_code == 1
        assert "Did you mean 'tick'?" in result.output
