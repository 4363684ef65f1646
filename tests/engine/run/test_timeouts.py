"""Timeouts: a run that is too slow ends on time, whatever it does, and its thread is stopped where Python can."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN, NativeCode

from flowbook import flow, task
from flowbook.errors import TaskTimeoutError, UsageError
from flowbook.futures import Future, wait
from flowbook.runs import find_run, run_view
from flowbook.task_runners import ThreadPoolTaskRunner


def spin(ended: threading.Event) -> None:
    """Work in Python code until stopped."""
    try:
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            sum(range(100))
    finally:
        ended.set()


def timed_out(call: Any) -> float:
    """The seconds until `call` raised TaskTimeoutError."""
    began = time.monotonic()
    with pytest.raises(TaskTimeoutError):
        call()
    return time.monotonic() - began


@pytest.mark.parametrize("submit", [False, True], ids=["called", "submitted"])
def test_a_slow_task_is_timed_out_and_its_thread_stopped(submit: bool) -> None:
    ended = threading.Event()
    slow = task(timeout_seconds=0.5, name="slow")(spin)

    @flow
    def pipeline() -> None:
        if submit:
            slow.submit(ended).result()
        slow(ended)

    with pytest.raises(TaskTimeoutError, match=r"^Task run 'slow' ran longer than its timeout of 0\.5 seconds\.$"):
        pipeline()
    assert ended.wait(WITHIN)
    [node] = run_view("last").nodes.values()
    assert node.state is not None
    assert node.state.name == "TimedOut"
    assert find_run("last").state_name == "TimedOut"


def test_a_timeout_is_a_timeout_error_too() -> None:
    with pytest.raises(TimeoutError):
        task(timeout_seconds=0.05)(spin)(threading.Event())


def test_a_task_in_native_code_ends_on_time_and_a_warning_says_that_it_goes_on(capsys: Any) -> None:
    native = NativeCode()
    timed_out(task(timeout_seconds=0.5, name="native")(native.call))
    native.let_return()
    assert "Task run 'native' has timed out, but its thread cannot be stopped" in capsys.readouterr().err


def test_a_task_in_time_returns_or_raises_as_without_a_timeout() -> None:
    @task(timeout_seconds=WITHIN)
    def divide(a: int, b: int) -> float:
        return a / b

    assert divide(4, 2) == 2
    with pytest.raises(ZeroDivisionError):
        divide(4, 0)


def test_each_attempt_has_its_own_time() -> None:
    attempts: list[int] = []

    @task(retries=2, timeout_seconds=0.5)
    def slow_at_first() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            spin(threading.Event())
        return len(attempts)

    assert slow_at_first() == 3


def test_a_timeout_of_the_user_s_own_is_an_ordinary_failure() -> None:
    @task(timeout_seconds=WITHIN)
    async def reads() -> None:
        raise TimeoutError("the socket")

    @flow
    def pipeline() -> Future[None]:
        future: Future[None] = reads.submit()
        return future

    state = pipeline(return_state=True)  # type: ignore[call-arg]
    assert run_view("last").counts() == {"failed": 1}
    assert "TimeoutError: the socket" in state.message  # type: ignore[attr-defined]
    assert next(iter(run_view("last").nodes.values())).state.name == "Failed"  # type: ignore[union-attr]


@pytest.mark.parametrize("submit", [False, True], ids=["awaited", "submitted"])
def test_a_slow_coroutine_is_cancelled(submit: bool) -> None:
    cancelled: list[bool] = []

    @task(timeout_seconds=0.5)
    async def slow() -> None:
        try:
            await asyncio.sleep(WITHIN)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    @flow
    async def pipeline() -> None:
        if submit:
            slow.submit().result()
        await slow()

    assert timed_out(lambda: asyncio.run(pipeline())) < CUT_SHORT
    assert cancelled == [True]


def test_a_slow_flow_stops_its_tasks_as_well() -> None:
    ended = threading.Event()
    futures: list[Future[None]] = []
    slow = task(spin)

    @flow(timeout_seconds=0.5, task_runner=ThreadPoolTaskRunner(max_workers=1))
    def pipeline() -> None:
        futures.extend([slow.submit(ended), slow.submit(ended)])
        wait(futures)

    assert timed_out(pipeline) < CUT_SHORT
    assert ended.wait(WITHIN)
    assert [future.state.name for future in futures] == ["Cancelled", "Cancelled"]
    assert find_run("last").state_name == "TimedOut"


def test_a_slow_async_flow_stops_its_tasks_as_well() -> None:
    ended = threading.Event()
    slow = task(spin)

    @flow(timeout_seconds=0.5)
    async def pipeline() -> None:
        slow.submit(ended)
        await asyncio.sleep(WITHIN)

    assert timed_out(lambda: asyncio.run(pipeline())) < CUT_SHORT
    assert ended.wait(WITHIN)
    assert find_run("last").state_name == "TimedOut"


def test_a_flow_that_fails_by_the_timeout_of_a_task_lets_the_others_finish() -> None:
    done: list[int] = []
    began = threading.Event()

    @task
    def other() -> None:
        began.set()
        time.sleep(0.3)
        done.append(1)

    @flow
    def pipeline() -> None:
        other.submit()
        began.wait(WITHIN)
        task(timeout_seconds=0.05)(spin)(threading.Event())

    timed_out(pipeline)
    assert done == [1]


def test_a_slow_flow_is_retried_with_a_clean_runner() -> None:
    attempts: list[int] = []

    @task
    def tell(n: int) -> int:
        return n

    @flow(timeout_seconds=1, retries=1)
    def pipeline() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            task(spin).submit(threading.Event()).wait()
        return int(tell.submit(len(attempts)).result())

    assert pipeline() == 2


def test_context_and_waiting_are_the_same_with_a_timeout() -> None:
    @task
    def inner(n: int) -> int:
        return n

    @task(timeout_seconds=WITHIN)
    def outer(n: int) -> int:
        return int(inner.submit(n).result(timeout=WITHIN)) + int(inner(n))

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1), timeout_seconds=WITHIN)
    def pipeline() -> int:
        return sum(future.result(timeout=WITHIN) for future in outer.map([1, 2, 3]))

    assert pipeline() == 12


def test_printing_threads_that_are_stopped_leave_logging_intact() -> None:
    @task(log_prints=True, timeout_seconds=0.05)
    def chatty() -> None:
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            print("again")

    @flow
    def pipeline() -> list[str]:
        futures = [chatty.submit() for _ in range(8)]
        wait(futures)
        return [future.state.name for future in futures]

    for _ in range(3):
        assert pipeline() == ["TimedOut"] * 8


@pytest.mark.parametrize("make", [task, flow], ids=["task", "flow"])
def test_a_timeout_must_be_positive(make: Any) -> None:
    with pytest.raises(UsageError, match=r"timeout_seconds is 0; it must be a number of more than 0, or None\."):
        make(timeout_seconds=0)(lambda: None)
