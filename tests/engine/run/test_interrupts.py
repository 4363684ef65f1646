"""Ctrl-C, exits and cancellation: everything ends soon, and the record says so."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN, NativeCode, until

from flowbook import flow, task
from flowbook.engine import engine
from flowbook.errors import CancelledRun
from flowbook.futures import Future, as_completed, wait
from flowbook.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner


class Interrupter:
    """Presses Ctrl-C, in the main thread, and knows when."""

    def __init__(self) -> None:
        self.pressed: list[float] = []
        self._timers: list[threading.Timer] = []

    def press(self, after: float = 0.0) -> None:
        timer = threading.Timer(after, self._press)
        self._timers.append(timer)
        timer.start()

    def _press(self) -> None:
        self.pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
            timer.join()


@pytest.fixture
def ctrl_c() -> Iterator[Interrupter]:
    engine()  # what is imported on first use is not what these tests interrupt
    interrupter = Interrupter()
    yield interrupter
    interrupter.stop()


def states_in(home: Path) -> dict[str, list[str]]:
    """The names of the states in the database, of flow runs and of task runs."""
    engine().journal.flush()
    with closing(sqlite3.connect(home / "flowbook.db")) as connection:
        return {
            table: [name for (name,) in connection.execute(f"SELECT state_name FROM {table} ORDER BY created")]
            for table in ("flow_run", "task_run")
        }


def interrupted(call: Callable[[], Any], ctrl_c: Interrupter) -> float:
    """The seconds that `call` went on after Ctrl-C."""
    with pytest.raises(KeyboardInterrupt):
        call()
    return time.monotonic() - ctrl_c.pressed[0]


def busy_until(event: threading.Event) -> None:
    """Work in Python code, which an interrupt can end."""
    deadline = time.monotonic() + WITHIN
    while not event.is_set() and time.monotonic() < deadline:
        sum(range(100))


def test_ctrl_c_while_the_flow_waits_for_tasks_in_the_pool(home: Path, ctrl_c: Interrupter) -> None:
    began, never = threading.Semaphore(0), threading.Event()
    futures: list[Future[None]] = []

    @task
    def spin() -> None:
        began.release()
        busy_until(never)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def pipeline() -> None:
        futures.extend(spin.submit() for _ in range(5))
        began.acquire()
        began.acquire()
        ctrl_c.press()
        wait(futures)

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"] * 5}
    assert all(future.state.is_cancelled() for future in futures)


def test_ctrl_c_that_the_system_gives_to_another_thread(home: Path, ctrl_c: Interrupter) -> None:
    """The main thread notices it no earlier than a wait ends, as if it had come just before the wait."""
    began, never = threading.Event(), threading.Event()

    @task
    def spin() -> None:
        began.set()
        busy_until(never)

    @flow
    def pipeline() -> None:
        future = spin.submit()
        began.wait(WITHIN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        ctrl_c.press(0.1)
        future.result()

    try:
        assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_a_signal_that_another_thread_got_in_a_fork() -> None:
    script = """
import os, signal, threading
from flowbook.run.stopping import lose_no_interrupt
lose_no_interrupt()
pid = os.fork()
if pid:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
lose_no_interrupt()
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    threading.Event().wait(%r)
except KeyboardInterrupt:
    os._exit(3)
"""
    assert subprocess.run([sys.executable, "-c", script % WITHIN], timeout=CUT_SHORT).returncode == 3


class Finalized:
    """Its finalizer is busy until it is interrupted."""

    def __init__(self, begins: Callable[[], None]) -> None:
        self._begins = begins

    def __del__(self) -> None:
        self._begins()
        busy_until(threading.Event())


def test_ctrl_c_that_strikes_in_a_finalizer(home: Path, ctrl_c: Interrupter) -> None:
    """Python drops what is raised there."""
    never = threading.Event()

    @flow
    def pipeline() -> None:
        Finalized(ctrl_c.press)
        busy_until(never)

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home)["flow_run"] == ["Cancelled"]


def test_ctrl_c_that_strikes_in_a_finalizer_in_the_pool(home: Path, ctrl_c: Interrupter) -> None:
    never, left = threading.Event(), threading.Event()

    @task
    def spin() -> None:
        try:
            Finalized(ctrl_c.press)
            busy_until(never)
        finally:
            left.set()

    @flow
    def pipeline() -> None:
        spin.submit().result()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert left.wait(CUT_SHORT)
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_ctrl_c_while_the_flow_itself_works(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()

    @task
    def spin() -> None:
        busy_until(never)

    @flow
    def pipeline() -> None:
        spin.submit()
        spin.submit(wait_for=[spin.submit()])
        ctrl_c.press(0.05)
        busy_until(never)

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"] * 3}


def test_ctrl_c_while_the_flow_has_returned_and_its_tasks_go_on(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()

    @task
    def spin() -> None:
        ctrl_c.press(0.05)
        busy_until(never)

    @flow
    def pipeline() -> str:
        spin.submit()
        return "done"

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_ctrl_c_in_a_task_called_directly(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()

    @task(retries=3)
    def spin() -> None:
        ctrl_c.press(0.05)
        busy_until(never)

    @flow(retries=3)
    def pipeline() -> None:
        spin()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_ctrl_c_while_a_task_sleeps_before_its_retry(home: Path, ctrl_c: Interrupter) -> None:
    @task(retries=1, retry_delay_seconds=3600)
    def flaky() -> None:
        ctrl_c.press(0.1)
        raise OSError("busy")

    @flow
    def direct() -> None:
        flaky()

    @flow
    def submitted() -> None:
        wait([flaky.submit()])

    assert interrupted(direct, ctrl_c) < CUT_SHORT
    ctrl_c.pressed.clear()
    assert interrupted(submitted, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"] * 2, "task_run": ["Cancelled"] * 2}


def test_ctrl_c_while_a_flow_sleeps_before_its_retry(home: Path, ctrl_c: Interrupter) -> None:
    @flow(retries=1, retry_delay_seconds=3600)
    def flaky() -> None:
        ctrl_c.press(0.1)
        raise OSError("busy")

    assert interrupted(flaky, ctrl_c) < CUT_SHORT
    assert states_in(home)["flow_run"] == ["Cancelled"]


def test_ctrl_c_while_a_task_is_deaf_in_native_code(home: Path, ctrl_c: Interrupter) -> None:
    native, left = NativeCode(), threading.Event()
    awake: list[bool] = []
    futures: list[Future[int]] = []

    @task(retries=5)
    def deaf() -> int:
        try:
            native.call()
            awake.append(True)
        finally:
            left.set()
        return 1

    @flow
    def pipeline() -> None:
        futures.append(deaf.submit())
        native.called.wait(WITHIN)
        ctrl_c.press()
        wait(futures)

    interrupted(pipeline, ctrl_c)
    assert not left.is_set()
    assert futures[0].state.message == "Cancelled by an interrupt; its thread goes on until its native call returns."
    native.let_return()
    assert left.wait(WITHIN)
    assert not awake, "the interrupt that was waiting for it ends the thread"
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_code_that_answers_an_interrupt_with_an_error_is_not_retried(home: Path, ctrl_c: Interrupter) -> None:
    calls: list[int] = []
    never = threading.Event()

    @task(retries=5)
    def stubborn() -> None:
        calls.append(1)
        try:
            busy_until(never)
        except BaseException:
            raise OSError("connection lost") from None

    @flow
    def pipeline() -> None:
        future = stubborn.submit()
        while not calls:
            time.sleep(0.001)
        ctrl_c.press()
        future.wait()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    time.sleep(0.1)
    assert states_in(home)["flow_run"] == ["Cancelled"]
    assert states_in(home)["task_run"] == ["Cancelled"]
    assert len(calls) == 1


def test_an_impatient_second_ctrl_c(home: Path, ctrl_c: Interrupter) -> None:
    native = [NativeCode() for _ in range(3)]
    deaf = task(NativeCode.call, name="deaf")

    @flow
    def pipeline() -> None:
        futures = [deaf.submit(code) for code in native]
        for code in native:
            code.called.wait(WITHIN)
        for n in range(4):
            ctrl_c.press(0.1 * n)
        wait(futures)

    interrupted(pipeline, ctrl_c)
    for code in native:
        code.let_return()
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"] * 3}


def test_ctrl_c_ends_the_code_of_a_task_with_a_timeout(home: Path, ctrl_c: Interrupter) -> None:
    ended, never = threading.Event(), threading.Event()

    @task(timeout_seconds=3600)
    def spin() -> None:
        try:
            ctrl_c.press(0.05)
            busy_until(never)
        finally:
            ended.set()

    @flow
    def pipeline() -> None:
        spin.submit().wait()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert ended.wait(WITHIN)
    assert states_in(home)["task_run"] == ["Cancelled"]


def test_ctrl_c_ends_tasks_that_wait_for_tasks(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()

    @task
    def spin() -> None:
        ctrl_c.press(0.05)
        busy_until(never)

    @task
    def waits() -> None:
        spin.submit().result()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def pipeline() -> None:
        waits.submit().result()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home)["task_run"] == ["Cancelled"] * 2


def test_ctrl_c_ends_a_flow_that_a_task_called(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()

    @task
    def spin() -> None:
        ctrl_c.press(0.05)
        busy_until(never)

    @flow
    def inner() -> None:
        spin.submit()

    @task
    def calls() -> None:
        inner()

    @flow
    def outer() -> None:
        calls.submit()

    assert interrupted(outer, ctrl_c) < CUT_SHORT
    states = states_in(home)
    assert states["flow_run"] == ["Cancelled"] * 2
    assert set(states["task_run"]) == {"Cancelled"}


def test_ctrl_c_ends_coroutines_in_the_pool(home: Path, ctrl_c: Interrupter) -> None:
    @task
    async def sleep() -> None:
        ctrl_c.press(0.05)
        await asyncio.sleep(WITHIN)

    @flow
    def pipeline() -> None:
        sleep.submit().wait()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_between_two_steps_of_the_engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def tiny(n: int) -> int:
        return n

    @flow
    def endless() -> None:
        # In seconds of this process's CPU. It repeats because Python itself drops an interrupt in a weakref's callback.
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.02, 0.5)
        n = 0
        while True:
            n = tiny(n)

    @flow
    def in_threads() -> list[int]:
        return [future.result(timeout=WITHIN) for future in [tiny.submit(n) for n in range(8)]]

    tiny(0)
    log = logging.getLogger("flowbook")  # pytest's own handlers have locks that an interrupt may leave taken
    monkeypatch.setattr(
        log, "handlers", [handler for handler in log.handlers if "flowbook" in type(handler).__module__]
    )
    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    try:
        for _ in range(25):
            with pytest.raises(KeyboardInterrupt):
                endless()
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    states = states_in(home)
    assert states["flow_run"] == ["Cancelled"] * 25
    assert set(states["task_run"]) <= {"Completed", "Cancelled"}
    assert in_threads() == list(range(8)), "no lock was left behind"


def test_ctrl_c_while_many_threads_print(home: Path, ctrl_c: Interrupter) -> None:
    printed: list[bool] = []  # no event, whose lock an interrupt may leave taken

    @task(log_prints=True)
    def chatty() -> None:
        while True:
            print("again")
            printed.append(True)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def pipeline() -> None:
        printed.clear()
        futures = [chatty.submit() for _ in range(8)]
        until(lambda: printed)
        ctrl_c.press()
        wait(futures)

    for _ in range(5):
        ctrl_c.pressed.clear()
        assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    states = states_in(home)
    assert states["flow_run"] == ["Cancelled"] * 5
    assert set(states["task_run"]) == {"Cancelled"}


def test_an_interrupt_ends_a_sequential_flow(home: Path, ctrl_c: Interrupter) -> None:
    never = threading.Event()
    began: list[int] = []

    @task
    def spin(n: int) -> None:
        began.append(n)
        ctrl_c.press(0.05)
        busy_until(never)

    @flow(task_runner=SequentialTaskRunner())
    def pipeline() -> None:
        for n in range(3):
            spin.submit(n)

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert began == [0]
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}


def test_ctrl_c_ends_an_async_flow(home: Path, ctrl_c: Interrupter) -> None:
    @task
    async def sleep() -> None:
        await asyncio.sleep(WITHIN)

    @task
    def spin() -> None:
        busy_until(threading.Event())

    @flow
    async def inner() -> None:
        await sleep()

    @flow
    async def pipeline() -> None:
        spin.submit()
        ctrl_c.press(0.1)
        await asyncio.gather(sleep(), inner())

    assert interrupted(lambda: asyncio.run(pipeline()), ctrl_c) < CUT_SHORT
    states = states_in(home)
    assert states["flow_run"] == ["Cancelled"] * 2
    assert set(states["task_run"]) == {"Cancelled"}


def test_ctrl_c_ends_an_async_task_of_a_sync_flow_where_a_loop_runs(home: Path, ctrl_c: Interrupter) -> None:
    @task
    async def sleep() -> None:
        ctrl_c.press(0.1)
        await asyncio.sleep(WITHIN)

    @flow(task_runner=SequentialTaskRunner())
    def pipeline() -> None:
        sleep.submit()

    async def cell() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a kernel
        pipeline()

    assert interrupted(lambda: asyncio.run(cell()), ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"]}
    assert not [thread for thread in threading.enumerate() if thread.name == "flowbook-coroutine"]


def test_ctrl_c_ends_a_task_outside_of_flows(home: Path, ctrl_c: Interrupter) -> None:
    @task(retries=1)
    def spin() -> None:
        ctrl_c.press(0.05)
        busy_until(threading.Event())

    assert interrupted(spin, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": [], "task_run": ["Cancelled"]}


@pytest.mark.parametrize("how", ["result", "as_completed", "list"])
def test_ctrl_c_while_the_flow_waits_for_futures(home: Path, ctrl_c: Interrupter, how: str) -> None:
    @task
    def spin(n: int) -> None:
        busy_until(threading.Event())

    @flow
    def pipeline() -> None:
        futures = spin.map([1, 2])
        ctrl_c.press(0.1)
        if how == "result":
            futures[0].result(timeout=WITHIN)
        elif how == "as_completed":
            list(as_completed(futures, timeout=WITHIN))
        else:
            futures.result()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"] * 2}


def test_ctrl_c_while_a_task_waits_for_a_slot(home: Path, ctrl_c: Interrupter) -> None:
    began = threading.Event()

    @task
    def spin() -> None:
        began.set()
        busy_until(threading.Event())

    @flow(concurrency_limit={"spin": 1})
    def pipeline() -> None:
        spin.submit()
        began.wait(WITHIN)
        ctrl_c.press(0.1)
        spin()

    assert interrupted(pipeline, ctrl_c) < CUT_SHORT
    assert states_in(home) == {"flow_run": ["Cancelled"], "task_run": ["Cancelled"] * 2}


def test_ctrl_c_while_a_background_task_is_waited_for(home: Path, ctrl_c: Interrupter) -> None:
    ended = threading.Event()

    @task
    def spin() -> None:
        busy_until(ended)

    future = spin.delay()
    ctrl_c.press(0.1)
    assert interrupted(future.result, ctrl_c) < CUT_SHORT
    ended.set()
    future.wait(WITHIN)
    assert future.state.is_completed(), "it is a run of its own, and nobody has stopped it"


def test_an_interrupt_is_raised_though_a_state_was_asked_for(ctrl_c: Interrupter) -> None:
    @flow
    def pipeline() -> None:
        ctrl_c.press()
        time.sleep(WITHIN)

    assert interrupted(lambda: pipeline(return_state=True), ctrl_c) < CUT_SHORT


@pytest.mark.parametrize("submit", [False, True], ids=["called", "submitted"])
def test_an_exit_is_a_crash(home: Path, submit: bool) -> None:
    @task(retries=3)
    def leave() -> None:
        sys.exit(3)

    @flow(retries=3)
    def pipeline() -> None:
        if submit:
            leave.submit().result()
        leave()

    with pytest.raises(SystemExit) as exit:
        pipeline()
    assert exit.value.code == 3
    assert states_in(home) == {"flow_run": ["Crashed"], "task_run": ["Crashed"]}


def test_the_result_of_a_cancelled_run_is_an_error_of_its_own(ctrl_c: Interrupter) -> None:
    futures: list[Future[int]] = []

    @task
    def one() -> int:
        return 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def pipeline() -> None:
        gate = threading.Event()
        task(lambda: busy_until(gate)).submit()
        futures.append(one.submit())
        ctrl_c.press(0.05)
        futures[0].result()

    interrupted(pipeline, ctrl_c)
    with pytest.raises(CancelledRun, match="the flow run ended before its turn"):
        futures[0].result()
