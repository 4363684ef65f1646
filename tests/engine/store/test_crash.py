"""A process that is killed in the middle: what was acknowledged is there, and what ran is Crashed, not Running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest
from tests.sql import sql
from tests.waiting import WITHIN

from flowbook.runs import find_run, recent_runs, run_view

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("store_url")]

Victim = Callable[[str], "subprocess.Popen[str]"]

PREAMBLE = """
import sys, time
from flowbook import flow, task
from flowbook.engine import engine
from flowbook.futures import wait

def ready(word="ready"):
    print(word, flush=True)
    time.sleep(60)

@task
def quick(n):
    return n

@flow
def small(n):
    return quick(n)

"""


@pytest.fixture
def victim() -> Iterator[Victim]:
    """Starts a Python process that runs some code on the test's home; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "FLOWBOOK_LOGGING_LEVEL": "ERROR"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def check_integrity(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        assert sql("PRAGMA integrity_check") == [("ok",)]


def test_kill_in_the_middle_of_a_task(store_url: str, victim: Victim) -> None:
    process = victim(
        """
        @task
        def long():
            engine().journal.flush()
            ready()

        @flow
        def pipeline():
            quick(1)
            long()
            quick(2)

        for n in range(5):
            small(n)
        pipeline()
        """
    )
    assert line_of(process) == "ready"
    running = recent_runs()[0]
    assert (running.flow, running.state_name) == ("pipeline", "Running"), "it lives, so it is not reaped"

    kill(process)

    check_integrity(store_url)
    runs = recent_runs()
    assert [(run.flow, run.state_name) for run in runs] == [("pipeline", "Crashed"), *[("small", "Completed")] * 5]
    assert runs[0].why == f"Its process {process.pid} on {os.uname().nodename} has gone."
    assert runs[0].ended is not None
    view = run_view(runs[0].id)
    assert {node.name: node.look for node in view.nodes.values()} == {"quick": "succeeded", "long": "crashed"}
    assert view.look == "crashed"


@pytest.mark.parametrize("moment", range(3))
def test_kill_at_any_moment_keeps_what_was_acknowledged(store_url: str, victim: Victim, moment: int) -> None:
    process = victim(
        """
        n = 0
        while True:
            small(n)
            print(n, flush=True)
            n += 1
        """
    )
    acknowledged = -1
    while acknowledged < 20 + 7 * moment:
        acknowledged = int(line_of(process))
    kill(process)

    check_integrity(store_url)
    runs = {run.parameters["n"]: run for run in recent_runs(1000)}
    assert [runs[n].state_name for n in range(acknowledged + 1)] == ["Completed"] * (acknowledged + 1)
    assert {run.state_name for run in runs.values()} <= {"Completed", "Crashed"}


def test_tasks_that_wait_or_sleep_before_a_retry_crash_with_their_process(victim: Victim) -> None:
    process = victim(
        """
        from flowbook.task_runners import ThreadPoolTaskRunner

        @task(retries=1, retry_delay_seconds=3600)
        def flaky():
            raise OSError("busy")

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
        def pipeline():
            asleep = flaky.submit()
            quick.submit(asleep)
            while asleep.state.name != "AwaitingRetry":
                time.sleep(0.001)
            engine().journal.flush()
            ready()

        pipeline()
        """
    )
    assert line_of(process) == "ready"
    kill(process)
    run = recent_runs()[0]
    assert run.state_name == "Crashed"
    assert [node.look for node in run_view(run.id).nodes.values()] == ["crashed", "crashed"]


def test_a_flow_asleep_before_its_retry_crashes_with_its_process(victim: Victim) -> None:
    process = victim(
        """
        import threading

        @flow(retries=1, retry_delay_seconds=3600)
        def pipeline():
            threading.Timer(0.3, lambda: (engine().journal.flush(), ready())).start()
            raise OSError("busy")

        pipeline()
        """
    )
    assert line_of(process) == "ready"
    assert find_run("last").state_name == "AwaitingRetry"
    kill(process)
    assert find_run("last").state_name == "Crashed"


def test_sub_flows_crash_with_their_process(victim: Victim) -> None:
    process = victim(
        """
        @flow
        def inner():
            quick(1)
            engine().journal.flush()
            ready()

        @flow
        def outer():
            inner()

        outer()
        """
    )
    assert line_of(process) == "ready"
    kill(process)
    outer = recent_runs()[0]
    assert outer.state_name == "Crashed"
    [node] = run_view(outer.id).nodes.values()
    assert (node.name, node.look) == ("inner", "crashed")
    assert find_run(node.id).state_name == "Crashed"


def test_a_new_process_goes_on_where_the_killed_one_wrote(victim: Victim) -> None:
    first = victim("small(1)\nready()")
    assert line_of(first) == "ready"
    kill(first)
    second = victim("small(2)\nready()")
    assert line_of(second) == "ready"
    assert [run.parameters["n"] for run in recent_runs()] == [2, 1]


def test_processes_that_open_a_new_home_at_the_same_time_all_succeed(victim: Victim) -> None:
    processes = [victim(f"small({n})\nready('done')") for n in range(6)]
    assert [line_of(process) for process in processes] == ["done"] * 6
    assert sorted(run.parameters["n"] for run in recent_runs()) == list(range(6))


def test_what_runs_in_the_background_is_finished_before_the_process_exits(victim: Victim) -> None:
    process = victim(
        """
        @task
        def long():
            time.sleep(0.3)

        long.submit()
        """
    )
    assert process.wait(timeout=WITHIN) == 0
    assert sql("SELECT name, state_name FROM task_run") == [("long", "Completed")]


def test_a_forked_child_writes_a_record_of_its_own(victim: Victim) -> None:
    process = victim(
        """
        import os
        small(1)
        child = os.fork()
        if child == 0:
            small(2)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        small(3)
        ready("done")
        """
    )
    assert line_of(process) == "done"
    assert sorted((run.parameters["n"], run.state_name) for run in recent_runs()) == [
        (n, "Completed") for n in (1, 2, 3)
    ]
