"""A process that stood still for longer than its lease has lost its run, and writes nothing more of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.sql import sql
from tests.waiting import WITHIN, until

from flowbook import engine
from flowbook.core.states import StateType
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.store.reaper import reap

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("store_url")]

KERNEL = """
import sys, time
from pathlib import Path
from flowbook import flow, task

@task
def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.05)
    return "late"

@flow
def pipeline(path):
    return wait_for(path)

try:
    print(pipeline(sys.argv[1]))
except BaseException as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that executes a flow run until the file ``go`` is there."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KERNEL, str(tmp_path / "go")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def test_what_stood_still_beyond_its_lease_is_fenced(
    kernel: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = kernel()
    run = until(lambda: next((one for one in recent_runs() if one.state_type == StateType.RUNNING), None))
    until(lambda: run_view(run.id).nodes)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    assert reap(engine.engine().database) == []  # its lease has not run out
    sql("UPDATE flow_run SET lease = 1")
    assert reap(engine.engine().database) == [run.id]
    before = [(event[0], event[1]) for event in sql("SELECT seq, kind FROM event ORDER BY seq")]
    (tmp_path / "go").touch()
    os.kill(process.pid, signal.SIGCONT)
    said, _ = process.communicate(timeout=WITHIN)
    assert said.startswith("CancelledRun: This process was taken for dead")
    found = find_run(run.id)
    assert found.state_type == StateType.CRASHED
    assert "has not been heard of" in (found.message or "")
    assert [(event[0], event[1]) for event in sql("SELECT seq, kind FROM event ORDER BY seq")] == before


def test_one_that_lives_is_believed_after_a_long_sleep_of_the_machine(
    kernel: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = kernel()
    run = until(lambda: next((one for one in recent_runs() if one.state_type == StateType.RUNNING), None))
    sql("UPDATE flow_run SET lease = 1")
    assert reap(engine.engine().database) == []
    (tmp_path / "go").touch()
    assert process.communicate(timeout=WITHIN)[0] == "late\n"
    assert find_run(run.id).state_type == StateType.COMPLETED
