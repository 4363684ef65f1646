"""Which workers live, told by their processes on this machine and by their heartbeats on others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbook import engine
from flowbook.promote import promote, request_run
from flowbook.runs import find_run, run_folder
from flowbook.schedule import children
from flowbook.schedule.worker import Worker
from flowbook.store.processes import Process, this_process
from flowbook.store.workers import beat, forget, living, register

NOW = 1_800_000_000.0


def test_a_worker_lives_from_its_start_to_its_end() -> None:
    database = engine.engine().database
    assert living(database, NOW) == 0
    register(database, "a", this_process(), NOW)
    assert living(database, NOW) == 1
    forget(database, "a")
    assert living(database, NOW) == 0


def test_a_worker_whose_process_is_gone_does_not_live_and_is_forgotten() -> None:
    database = engine.engine().database
    register(database, "gone", replace(this_process(), started=1.0), NOW)
    assert living(database, NOW) == 0
    register(database, "here", this_process(), NOW)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT id FROM worker").scalars().all() == ["here"]


def test_a_worker_of_another_machine_lives_as_long_as_it_is_heard_of() -> None:
    database = engine.engine().database
    register(database, "far", Process(host="elsewhere", pid=1, started=1.0), NOW)
    assert living(database, NOW + 50) == 1
    assert living(database, NOW + 70) == 0
    beat(database, "far", NOW + 65)
    assert living(database, NOW + 70) == 1


def test_a_process_that_cannot_be_started_ends_its_run(
    make_notebook: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def start(*_args: Any, **_options: Any) -> None:
        raise OSError("too many processes")

    promote(make_notebook("report", "x = 1"))
    asked = request_run("report")
    monkeypatch.setattr(children.subprocess, "Popen", start)
    said: list[str] = []
    assert Worker(limit=1, said=said.append).run_once() == 1
    assert said == ["Run 1 of 'report' could not be started: too many processes."]
    found = find_run(asked.id)
    assert (found.look, found.why) == ("crashed", "The process for the run could not be started: too many processes.")


def test_a_process_that_ends_without_a_word_leaves_its_run_crashed(
    make_notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(make_notebook("report", "x = 1"))
    asked = request_run("report")
    monkeypatch.setattr(children.sys, "executable", "/bin/false")
    Worker(limit=1, said=lambda _: None).run_once()
    found = find_run(asked.id)
    assert found.look == "crashed"
    assert found.why == (
        "The process that executed the run is gone: it exited with status 1. "
        f"See {run_folder(asked.id) / 'output.log'}."
    )
