"""The harness for tests of flows: what runs in it, what it says of it, and that nothing of it stays."""

from __future__ import annotations

import builtins
import logging
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import WITHIN

from flowbook import flow, get_run_logger, tags, task
from flowbook.errors import MissingContextError, NotFound
from flowbook.futures import Future, wait
from flowbook.run.runner import Runner
from flowbook.runs import recent_runs
from flowbook.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner
from flowbook.testing import FakeClock, Harness, disable_run_logger, flowbook_test_harness, prefect_test_harness

HOUR = 3600


@task
def add(x: int, y: int = 1) -> int:
    return x + y


def failing(times: int, delay: Any, **options: Any) -> Any:
    """A task that completes after it has failed so often, and logs its argument each time it begins."""
    begun: list[object] = []

    @task(name="flaky", retries=times, retry_delay_seconds=delay, **options)
    def flaky(n: object = None) -> object:
        begun.append(n)
        get_run_logger().info("Attempt for %s", n)
        if begun.count(n) <= times:
            raise OSError("busy")
        return n

    return flaky


# --- the harness ------------------------------------------------------------------------------------------------------


def test_a_harness_has_a_home_of_its_own_and_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", f"sqlite:///{home}/outer.db")

    @flow
    def outer() -> int:
        return add(1)

    outer()
    environment = dict(os.environ)
    threads = set(threading.enumerate())
    with flowbook_test_harness() as harness:
        assert harness.runs() == []
        with flowbook_test_harness() as inner:
            outer()
            outer.with_options(name="again")()
            assert [run.flow for run in inner.runs()] == ["again", "outer"]
            assert inner.home != harness.home
        assert harness.runs() == []
        outer()
        assert len(harness.runs()) == 1
        assert (harness.home / "flowbook.db").is_file()
        assert harness.home != home
    assert not harness.home.exists()
    assert not inner.home.exists()
    assert dict(os.environ) == environment
    assert set(threading.enumerate()) <= threads
    assert len(recent_runs()) == 1
    outer()
    assert [run.number for run in recent_runs()] == [2, 1]
    assert (home / "outer.db").is_file()


def test_a_harness_ends_as_well_where_a_test_fails() -> None:
    environment = dict(os.environ)
    with pytest.raises(AssertionError, match="as I expected"), flowbook_test_harness() as harness:
        add(1)
        raise AssertionError("not as I expected")
    assert not harness.home.exists()
    assert dict(os.environ) == environment


def test_a_harness_ends_after_what_runs_in_the_background() -> None:
    flaky = failing(1, HOUR)
    with flowbook_test_harness():
        future: Future[object] = flaky.delay("done")
    assert future.result() == "done"


def test_loggers_and_print_are_as_before(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger("flowbook")

    def configuration() -> Any:
        start = threading.Thread.start
        return list(root.handlers), root.level, root.propagate, builtins.print, start

    add(1)
    caplog.clear()
    before = configuration()
    with flowbook_test_harness():
        add(2)
        assert caplog.messages == ["Finished in state Completed()"]
    assert configuration() == before


def test_loggers_have_no_handlers_if_they_had_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger("flowbook")
    monkeypatch.setattr(root, "handlers", [])
    with flowbook_test_harness():
        add(1)
        assert root.handlers
        assert caplog.messages == ["Finished in state Completed()"]
    assert root.handlers == []


def test_what_runs_inside_is_no_part_of_the_run_that_is_tested_in(home: Path) -> None:
    @flow
    def tested() -> int:
        with tags() as mine:
            assert mine == set()
        return add(1)

    @task
    def tests() -> None:
        with tags("outer"):
            with flowbook_test_harness() as harness:
                assert tested() == 2
                assert [run.flow for run in harness.runs()] == ["tested"]
            with tags() as mine:
                assert mine == {"outer"}

    @flow
    def outer() -> None:
        tests()
        add(5)

    outer()
    (run,) = recent_runs()
    assert (run.flow, run.total) == ("outer", 2)


def test_the_record_answers_by_name(harness: Harness) -> None:
    @flow(name="etl")
    def etl(n: int) -> int:
        get_run_logger().info("Loading %d", n)
        return add(n) + sub_flow(n)

    @flow(name="part")
    def sub_flow(n: int) -> int:
        return add(n, 2) + int(add.submit(n, 3).result())

    etl(1)
    etl(2)
    newest, first = harness.runs()
    assert (newest.flow, newest.parameters, first.parameters) == ("etl", {"n": 2}, {"n": 1})
    assert harness.runs(1) == [newest]
    for name in ("last", "etl", newest.name, newest.number, newest.id):
        assert harness.run(name).id == newest.id
    assert harness.run("prev").id == harness.run(first.name).id == first.id
    assert [node.name for node in harness.run("part").nodes.values()] == ["add", "add-1"]
    assert [state.name for state in harness.states("part")] == ["Pending", "Running", "Completed"]
    assert [line.message for line in harness.logs()] == ["Loading 2"]
    assert [line.message for line in harness.logs(run="prev")] == ["Loading 1"]
    assert harness.logs(run="part") == []
    harness.assert_completed()
    harness.assert_completed("part")
    harness.assert_all_ended()
    with pytest.raises(
        NotFound, match=r"^There is no task run 'ad' in the record, but 'add', .*\. Did you mean 'add'\?$"
    ):
        harness.states("ad")
    with pytest.raises(NotFound, match="There is no run 'elt'"):
        harness.run("elt")


def test_the_newest_task_run_of_a_name_counts_unless_a_flow_run_is_named(harness: Harness) -> None:
    seen: list[int] = []

    @task(retries=2)
    def flaky(good_from: int) -> None:
        seen.append(good_from)
        get_run_logger().info("Call %d", len(seen))
        if seen.count(good_from) < good_from:
            raise OSError("busy")

    @flow
    def pipeline() -> None:
        flaky(3)

    pipeline()
    flaky(1)
    assert (harness.attempts("flaky"), harness.attempts("flaky", "pipeline")) == (1, 3)
    assert [line.message for line in harness.logs("flaky")] == ["Call 4"]
    assert [line.message for line in harness.logs("flaky", "last")] == ["Call 1", "Call 2", "Call 3"]
    assert harness.delays("flaky", "last") == [0, 0]
    with pytest.raises(NotFound, match=r"no task run 'nothing' in the record, but 'flaky'\."):
        harness.states("nothing", "last")


def test_a_task_that_did_not_begin_has_no_attempts(harness: Harness) -> None:
    @flow
    def pipeline() -> None:
        wait([add.submit(failing(0, 0).submit(1), wait_for=[broken.submit()])])

    @task
    def broken() -> None:
        raise ValueError("bad row")

    pipeline()
    assert harness.attempts("add") == 0
    assert [state.name for state in harness.states("add")] == ["NotReady"]


# --- assertions -------------------------------------------------------------------------------------------------------


def test_what_is_as_expected_passes(harness: Harness) -> None:
    flaky = failing(1, 10)

    @flow
    def pipeline() -> None:
        flaky("monday")

    pipeline()
    harness.assert_completed()
    harness.assert_states("flaky", "Running", "AwaitingRetry", "Retrying", "Completed")
    harness.assert_states("flaky", "Running", "AwaitingRetry", "Retrying", "Completed", run="pipeline")
    harness.assert_logged("for monday", task="flaky")
    harness.assert_logged("Attempt")
    harness.assert_all_ended()


def test_other_states_are_told_with_their_times() -> None:
    flaky = failing(1, 10)
    with flowbook_test_harness(clock=FakeClock(datetime(2026, 1, 1, 12, tzinfo=UTC))) as harness:
        flaky("monday")
        with pytest.raises(AssertionError) as failure:
            harness.assert_states("flaky", "Running", "Completed")
        assert str(failure.value) == (
            "Task run 'flaky' did not enter Running, Completed, but:\n"
            "  12:00:00.000000 Running()\n"
            "  12:00:00.000000 AwaitingRetry('Attempt 1 failed with OSError: busy. Retrying in 10.0 seconds...')\n"
            "  12:00:10.000000 Retrying()\n"
            "  12:00:10.000000 Completed()"
        )
        with pytest.raises(AssertionError, match="did not enter no state, but:"):
            harness.assert_states("flaky")


def test_a_run_that_did_not_complete_is_told_with_its_failures(harness: Harness) -> None:
    @task
    def load() -> int:
        raise ValueError("bad row")

    @flow
    def etl() -> None:
        add(1)
        wait([add.submit(load.submit())])
        load()

    etl(return_state=True)  # type: ignore[call-arg]
    with pytest.raises(AssertionError) as failure:
        harness.assert_completed("etl")
    assert str(failure.value) == (
        f"Flow run {harness.run().name!r} of 'etl' is Failed('ValueError: bad row').\n"
        "  load: Failed('ValueError: bad row')\n"
        "  add-1: NotReady(\"It needs the result of task run 'load', which is Failed: ValueError: bad row\")\n"
        "  load-1: Failed('ValueError: bad row')"
    )


def test_a_log_without_the_words_is_told(harness: Harness) -> None:
    flaky = failing(0, 0)
    flaky("monday")
    with pytest.raises(AssertionError) as failure:
        harness.assert_logged("for tuesday", task="flaky")
    assert str(failure.value) == "No line of the log holds 'for tuesday'. It was said:\n  INFO Attempt for monday"
    add(1)
    with pytest.raises(AssertionError, match=r"\n  \(nothing\)$"):
        harness.assert_logged("for tuesday", task="add")


def test_runs_that_go_on_are_told(harness: Harness) -> None:
    may_end = threading.Event()

    @task
    def work() -> None:
        may_end.wait(WITHIN)

    @flow
    def pipeline() -> None:
        future = work.submit()
        while not future.state.is_running():
            time.sleep(0.001)
        try:
            harness.assert_all_ended()
        finally:
            may_end.set()

    with pytest.raises(AssertionError) as failure:
        pipeline()
    name = harness.run().name
    assert str(failure.value) == f"These runs have not ended:\n  Flow run {name!r}: Running\n  Task run 'work': Running"
    harness.assert_all_ended()


# --- everything inline ------------------------------------------------------------------------------------------------


class NeverStarts:
    """A task runner that is not there, such as a cluster."""

    def start(self) -> Runner:
        raise ConnectionError("no cluster")


@pytest.mark.parametrize("runner", [NeverStarts(), ThreadPoolTaskRunner(max_workers=4), SequentialTaskRunner()])
def test_inline_tasks_run_where_they_are_submitted(runner: Any) -> None:
    order: list[tuple[str, str]] = []

    @task(retries=1, retry_delay_seconds=10)
    def note(name: str) -> str:
        order.append((name, threading.current_thread().name))
        if order.count(order[-1]) == 1 and name == "b":
            raise OSError("busy")
        return name

    @flow(task_runner=runner)
    def pipeline() -> list[str]:
        future = note.submit("a")
        order.append(("submitted", threading.current_thread().name))
        return [future.result(), *note.map(["b", "c"]).result(), part()]

    @flow(task_runner=runner)
    def part() -> str:
        return str(note.submit("d").result())

    here = threading.current_thread().name
    with flowbook_test_harness(inline=True) as harness:
        assert pipeline() == ["a", "b", "c", "d"]
        assert [note.submit("e").result(), note.delay("f").result()] == ["e", "f"]
        assert harness.run("pipeline").duration() == 10
    assert order == [(name, here) for name in ("a", "submitted", "b", "b", "c", "d", "e", "f")]


def test_inline_ends_with_its_harness() -> None:
    @task
    def where() -> str:
        return threading.current_thread().name

    @flow
    def pipeline() -> str:
        return str(where.submit().result())

    here = threading.current_thread().name
    with flowbook_test_harness(inline=True):
        assert pipeline() == here
        with flowbook_test_harness():
            assert pipeline() != here
        assert pipeline() == here
    assert pipeline() != here


# --- a task's bare function -------------------------------------------------------------------------------------------


@task
def talks(n: int) -> int:
    get_run_logger().warning("Talking")
    return n


def test_the_function_of_a_task_can_be_called_without_a_run(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MissingContextError, match="outside of a flow or task run"):
        talks.fn(1)
    with disable_run_logger():
        assert talks.fn(1) == 1
        with disable_run_logger():
            assert talks.fn(2) == 2
        assert talks.fn(3) == 3
    assert caplog.messages == []
    with pytest.raises(MissingContextError):
        talks.fn(1)
    assert not recent_runs()


def test_runs_are_silent_while_their_loggers_are_disabled(harness: Harness) -> None:
    with disable_run_logger():
        talks(1)
    assert harness.logs("talks") == []
    talks(1)
    harness.assert_logged("Talking", task="talks")


# --- pytest, Prefect and the documentation ----------------------------------------------------------------------------


def test_it_has_prefect_s_name_as_well() -> None:
    assert prefect_test_harness is flowbook_test_harness


@pytest.mark.slow
def test_the_plugin_loads_next_to_nothing() -> None:
    code = "import sys, pytest; k = set(sys.modules); import flowbook.pytest_plugin; print(*set(sys.modules) - k)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"flowbook", "flowbook.pytest_plugin"}


def test_pytest_finds_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"flowbook": "flowbook.pytest_plugin"}


ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_does_as_it_says(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    assert len(blocks) == GUIDE.count("```python")
    for name, code in blocks:
        with (tmp_path / name).open("a") as file:
            file.write(code)
    installed = "flowbook" in {plugin.name for plugin in entry_points(group="pytest11")}
    plugin = [] if installed else ["-p", "flowbook.pytest_plugin"]  # an older editable install does not know it yet
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FLOWBOOK_HOME": str(tmp_path / "home")},
    )
    written = sum(code.count("def test_") for _, code in blocks)
    assert f"{written} passed" in done.stdout, done.stdout
    assert not (tmp_path / "home").exists()
