"""Runs that are cancelled from elsewhere: everything ends soon, as Cancelled, and nothing strikes what follows."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN, NativeCode, until

from flowbook import flow, task
from flowbook.engine import engine
from flowbook.errors import CancelledRun, NotFound, UsageError
from flowbook.flow_runs import cancel_flow_run
from flowbook.futures import Future, as_completed, wait
from flowbook.promote import promote, request_run
from flowbook.run import requests
from flowbook.run.ids import new_id
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.store.claiming import Claimant, claim_due
from flowbook.store.processes import this_process
from flowbook.store.queue import take_over
from flowbook.store.workers import register
from flowbook.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("store_url")

REASON = "Cancelled on request of "


class Canceller:
    """Cancels a run from another thread, and knows when."""

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self.problem: Exception | None = None
        self._threads: list[threading.Thread] = []

    def cancel(self, run: str = "last", after: float = 0.05) -> None:
        thread = threading.Timer(after, self._cancel, (run,))
        self._threads.append(thread)
        thread.start()

    def _cancel(self, run: str) -> None:
        self.asked_at = time.monotonic()
        try:
            cancel_flow_run(run)
        except Exception as error:
            self.problem = error

    def took(self) -> float:
        """The seconds since the request."""
        assert self.problem is None, self.problem
        assert self.asked_at is not None
        return time.monotonic() - self.asked_at

    def stop(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def canceller(store_url: str) -> Iterator[Canceller]:
    engine()  # what is imported on first use is not what these tests wait for
    made = Canceller()
    yield made
    made.stop()


def cancelled(call: Callable[[], Any], canceller: Canceller) -> None:
    """`call` ends in time, with the error that a cancelled run has."""
    with pytest.raises(CancelledRun, match=REASON):
        call()
    assert canceller.took() < CUT_SHORT


def busy() -> None:
    """Work in Python code, which can be interrupted anywhere, and leave the others some of the processor."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        time.sleep(0.001)


def test_a_flow_that_sleeps_in_the_main_thread(canceller: Canceller) -> None:
    @flow
    def pipeline() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    cancelled(pipeline, canceller)
    run = find_run("last")
    assert run.state_name == "Cancelled"
    assert run.message is not None
    assert run.message.startswith(REASON)
    assert run.message.endswith(f"pid {os.getpid()}.")


def test_a_callback_of_an_event_loop_which_drops_what_is_raised_there(
    canceller: Canceller, capfd: pytest.CaptureFixture[str]
) -> None:
    left = threading.Event()

    @task
    async def waits() -> None:
        try:
            asyncio.get_running_loop().call_soon(busy)
            await asyncio.sleep(WITHIN)
        finally:
            left.set()

    @flow
    def pipeline() -> None:
        canceller.cancel()
        waits.submit().result()

    cancelled(pipeline, canceller)
    assert left.wait(CUT_SHORT)
    assert "has not ended" not in capfd.readouterr().err


@pytest.mark.parametrize("blocks", [True, False])
def test_a_coroutine_in_the_pool(canceller: Canceller, blocks: bool) -> None:
    left = threading.Event()

    @task
    async def waits() -> None:
        try:
            if blocks:
                busy()
            await asyncio.sleep(WITHIN)
        finally:
            left.set()

    @flow
    def pipeline() -> None:
        canceller.cancel()
        waits.submit().result()

    cancelled(pipeline, canceller)
    assert left.wait(CUT_SHORT)


@pytest.mark.parametrize("where", ["main thread", "pool"])
def test_a_finalizer_in_which_what_is_raised_is_dropped(canceller: Canceller, where: str) -> None:
    left = threading.Event()

    class Finalized:
        def __del__(self) -> None:
            canceller.cancel()
            busy()

    @task
    def drops() -> None:
        try:
            Finalized()
            busy()
        finally:
            left.set()

    @flow
    def pipeline() -> None:
        if where == "pool":
            drops.submit().result()
        else:
            drops()

    cancelled(pipeline, canceller)
    assert left.wait(CUT_SHORT)
    assert find_run("last").state_name == "Cancelled"


def test_the_state_is_returned_when_it_was_asked_for(canceller: Canceller) -> None:
    @flow
    def pipeline() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    state: Any = pipeline(return_state=True)  # type: ignore[call-arg]
    assert state.is_cancelled()
    with pytest.raises(CancelledRun, match=REASON):
        state.result()


def test_a_flow_in_another_thread(canceller: Canceller) -> None:
    errors: list[BaseException] = []

    @flow
    def pipeline() -> None:
        canceller.cancel()
        busy()

    def thread() -> None:
        try:
            pipeline()
        except BaseException as error:
            errors.append(error)

    began = threading.Thread(target=thread)
    began.start()
    began.join(WITHIN)
    assert [type(error) for error in errors] == [CancelledRun]
    assert canceller.took() < CUT_SHORT


def test_code_can_be_profiled_after_a_flow_in_another_thread(home: Path) -> None:
    script = """
import sys, threading
from flowbook import flow
from flowbook.engine import engine
from flowbook.run.ids import new_id
@flow
def pipeline():
    engine().watcher.find(run.id).cancel("because")
    while True:
        threading.Event().wait(0.001)
run = pipeline.begin({}, flow_run_id=new_id())
thread = threading.Thread(target=pipeline.finish, args=(run,), kwargs={"return_state": True})
thread.start()
thread.join()
calls = []
sys.setprofile(lambda *event: calls.append(event[1]))
(lambda: None)()
sys.setprofile(None)
assert "call" in calls
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=CUT_SHORT, capture_output=True)


@pytest.mark.slow
def test_a_thread_that_is_deaf_in_native_code_is_left_behind(
    canceller: Canceller, capfd: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException] = []
    native = NativeCode()

    @flow
    def pipeline() -> None:
        canceller.cancel()
        native.call()

    def thread() -> None:
        try:
            pipeline()
        except BaseException as error:
            errors.append(error)

    began = threading.Thread(target=thread)
    began.start()
    until(lambda: recent_runs() and find_run("last").ended is not None)
    assert not errors, "its native call has not returned"
    assert find_run("last").state_name == "Cancelled"
    native.let_return()
    began.join(WITHIN)
    assert [type(error) for error in errors] == [CancelledRun]
    assert "goes on until it returns" in capfd.readouterr().err


def test_a_timeout_of_the_flow_is_no_shelter(canceller: Canceller) -> None:
    ended = threading.Event()

    @flow(timeout_seconds=3600)
    def pipeline() -> None:
        try:
            canceller.cancel()
            busy()
        finally:
            ended.set()

    cancelled(pipeline, canceller)
    assert ended.wait(WITHIN)


@pytest.mark.parametrize("how", ["result", "wait", "as_completed", "return"])
def test_mapped_tasks_in_the_pool(canceller: Canceller, how: str) -> None:
    began = threading.Semaphore(0)
    left = threading.Semaphore(0)

    @task
    def spin(n: int) -> None:
        began.release()
        try:
            busy()
        finally:
            left.release()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def pipeline() -> None:
        futures: list[Future[None]] = spin.map(range(5))
        began.acquire()
        began.acquire()
        canceller.cancel(after=0)
        if how == "result":
            futures[4].result()
        elif how == "wait":
            wait(futures)
        elif how == "as_completed":
            list(as_completed(futures))

    cancelled(pipeline, canceller)
    assert run_view("last").counts() == {"cancelled": 5}
    assert left.acquire(timeout=WITHIN)
    assert left.acquire(timeout=WITHIN), "both threads have left their tasks"


def test_a_run_that_waits_for_its_retry(canceller: Canceller) -> None:
    @task(retries=1, retry_delay_seconds=3600)
    def flaky() -> None:
        canceller.cancel()
        raise OSError("busy")

    @flow
    def direct() -> None:
        flaky()

    @flow
    def submitted() -> None:
        flaky.submit().wait()

    @flow(retries=1, retry_delay_seconds=3600)
    def itself() -> None:
        canceller.cancel()
        raise OSError("busy")

    for pipeline in (direct, submitted, itself):
        cancelled(pipeline, canceller)
    assert [run.state_name for run in recent_runs()] == ["Cancelled"] * 3
    assert run_view(1).counts() == run_view(2).counts() == {"cancelled": 1}


def test_a_run_that_waits_for_a_slot(canceller: Canceller) -> None:
    began = threading.Event()

    @task
    def first() -> None:
        began.set()
        busy()

    @flow(concurrency_limit={"first": 1})
    def pipeline() -> None:
        first.submit()
        began.wait(WITHIN)
        canceller.cancel()
        first()

    cancelled(pipeline, canceller)
    assert run_view("last").counts() == {"cancelled": 2}


def test_subflows_are_cancelled_with_their_parent(canceller: Canceller) -> None:
    @task
    def spin() -> None:
        busy()

    @flow
    def inner() -> None:
        spin.submit()
        spin()

    @task
    def calls() -> None:
        inner()

    @flow
    def outer() -> None:
        calls.submit()
        canceller.cancel("outer-run", after=0.2)
        inner()

    cancelled(lambda: outer.with_options(flow_run_name="outer-run")(), canceller)
    states = [find_run(number) for number in (1, 2, 3)]
    assert [run.state_name for run in states] == ["Cancelled"] * 3
    assert all(set(run_view(run.id).counts()) == {"cancelled"} for run in states)


def test_a_subflow_may_be_cancelled_alone(canceller: Canceller) -> None:
    @flow(flow_run_name="inner-run")
    def inner() -> None:
        canceller.cancel("inner-run")
        time.sleep(WITHIN)

    @flow
    def outer() -> str:
        try:
            inner()
        except CancelledRun:
            return "went on"
        return "nothing"

    assert outer() == "went on"
    assert canceller.took() < CUT_SHORT
    assert find_run("inner-run").state_name == "Cancelled"
    assert find_run("last").state_name == "Completed"


@pytest.mark.parametrize("moment", ["sleeping", "awaiting a task", "waiting for threads", "before a retry", "blocking"])
def test_an_async_flow(canceller: Canceller, moment: str) -> None:
    @task
    def spin() -> None:
        busy()

    @task
    async def sleep() -> None:
        await asyncio.sleep(WITHIN)

    @task(retries=1, retry_delay_seconds=WITHIN)
    async def flaky() -> None:
        raise OSError("busy")

    @flow
    async def pipeline() -> None:
        canceller.cancel()
        if moment == "sleeping":
            await asyncio.sleep(WITHIN)
        elif moment == "awaiting a task":
            await asyncio.gather(sleep(), sleep())
        elif moment == "waiting for threads":
            spin.submit()
        elif moment == "before a retry":
            await flaky()
        else:
            time.sleep(WITHIN)

    async def program() -> str:
        beside = asyncio.create_task(asyncio.sleep(0.2, "beside"))
        with pytest.raises(CancelledRun, match=REASON):
            await pipeline()
        await asyncio.sleep(0)  # a cancellation that was meant for the flow does not arrive here
        this = asyncio.current_task()
        assert this is not None
        assert not this.cancelling()
        return await beside

    assert asyncio.run(program()) == "beside"
    assert canceller.took() < CUT_SHORT
    assert find_run("last").state_name == "Cancelled"
    assert set(run_view("last").counts()) <= {"cancelled"}
    messages = {node.state.message for node in run_view("last").nodes.values() if node.state}
    assert all(message is not None and REASON in message for message in messages)


def test_an_async_flow_inside_another(canceller: Canceller) -> None:
    @flow
    async def inner() -> None:
        await asyncio.sleep(WITHIN)

    @flow(flow_run_name="outer-run")
    async def outer() -> None:
        canceller.cancel("outer-run")
        await inner()

    with pytest.raises(CancelledRun):
        asyncio.run(outer())
    assert canceller.took() < CUT_SHORT
    assert [find_run(number).state_name for number in (1, 2)] == ["Cancelled", "Cancelled"]


def test_a_generator_is_cancelled_while_it_makes_a_value(canceller: Canceller) -> None:
    closed: list[bool] = []

    @flow
    def numbers() -> Iterator[int]:
        try:
            yield 1
            canceller.cancel()
            busy()
        finally:
            closed.append(True)

    taken: list[int] = []
    with pytest.raises(CancelledRun, match=REASON):
        taken.extend(numbers())
    assert canceller.took() < CUT_SHORT
    assert (taken, closed) == ([1], [True])
    assert find_run("last").state_name == "Cancelled"


def test_a_generator_is_cancelled_between_two_values(canceller: Canceller) -> None:
    closed: list[bool] = []

    @flow
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    values = numbers()
    assert next(values) == 1
    cancel_flow_run("last")
    while find_run("last").ended is None:
        time.sleep(0.01)
    with pytest.raises(CancelledRun, match=REASON):
        next(values)
    assert closed == [True]
    assert find_run("last").state_name == "Cancelled"


def test_an_async_generator_is_cancelled(canceller: Canceller) -> None:
    @flow
    async def numbers() -> AsyncIterator[int]:
        yield 1
        canceller.cancel()
        await asyncio.sleep(WITHIN)

    async def program() -> list[int]:
        values = numbers()
        taken = [await anext(values)]
        with pytest.raises(CancelledRun, match=REASON):
            await anext(values)
        await asyncio.sleep(0)
        return taken

    assert asyncio.run(program()) == [1]
    assert canceller.took() < CUT_SHORT
    assert find_run("last").state_name == "Cancelled"


def test_only_the_run_that_was_meant_is_cancelled(canceller: Canceller) -> None:
    @flow
    async def sleeps(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "slept"

    async def program() -> list[Any]:
        runs = [sleeps.with_options(flow_run_name=name)(seconds) for name, seconds in (("one", WITHIN), ("other", 0.3))]
        canceller.cancel("one", after=0.1)
        return await asyncio.gather(*runs, return_exceptions=True)

    one, other = asyncio.run(program())
    assert isinstance(one, CancelledRun)
    assert other == "slept"


def test_the_hooks_for_a_cancellation_are_run(canceller: Canceller) -> None:
    told: list[tuple[str, str]] = []

    @flow(on_cancellation=[lambda flow, run, state: told.append((flow.name, state.name))])
    def pipeline() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    cancelled(pipeline, canceller)
    assert told == [("pipeline", "Cancelled")]


@pytest.mark.slow
def test_code_that_swallows_the_interrupt_is_left_behind_and_stopped_at_its_next_task(canceller: Canceller) -> None:
    calls: list[int] = []

    @task
    def tiny() -> None:
        calls.append(1)

    @flow
    def stubborn() -> None:
        canceller.cancel()
        with suppress(BaseException):
            time.sleep(WITHIN)
        while find_run("last").ended is None:
            time.sleep(0.01)
        tiny()

    with pytest.raises(CancelledRun):
        stubborn()
    assert not calls
    assert find_run("last").state_name == "Cancelled"


def test_code_that_answers_with_an_error_is_cancelled_all_the_same(canceller: Canceller) -> None:
    @flow(retries=3)
    def stubborn() -> None:
        canceller.cancel()
        try:
            time.sleep(WITHIN)
        except BaseException:
            raise OSError("connection lost") from None

    cancelled(stubborn, canceller)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_nothing_strikes_once_the_flow_has_ended(where: str) -> None:
    @task
    def tiny(n: int) -> int:
        return n

    @flow
    def endless() -> None:
        n = 0
        while True:
            n = tiny(n)

    leaked: list[BaseException] = []

    def one_run() -> None:
        run = endless.begin({}, flow_run_id=new_id())
        over = threading.Event()

        def strike() -> None:
            time.sleep(random.uniform(0, 0.01))
            while not over.is_set():
                found = engine().watcher.find(run.id)
                if found is not None:
                    found.cancel("because")
                time.sleep(0.001)

        striker = threading.Thread(target=strike)
        striker.start()
        try:
            state = endless.finish(run, return_state=True)
            for _ in range(5_000):
                pass
        except BaseException as error:
            leaked.append(error)
        else:
            assert (state.name, state.message) == ("Cancelled", "because")
        over.set()
        striker.join()

    def all_runs() -> None:
        for _ in range(25):
            one_run()

    engine()
    if where == "main thread":
        all_runs()
    else:
        thread = threading.Thread(target=all_runs)
        thread.start()
        thread.join()
    assert leaked == []


def test_ctrl_c_is_still_an_interrupt(canceller: Canceller) -> None:
    @flow
    def pipeline() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(WITHIN)

    with pytest.raises(KeyboardInterrupt):
        pipeline()
    assert find_run("last").message == "Cancelled by an interrupt."


def test_a_handler_of_the_user_for_the_signal_is_left_alone(canceller: Canceller) -> None:
    before = signal.signal(signal.SIGURG, lambda *_: None)
    handler = signal.getsignal(signal.SIGURG)

    @flow
    def pipeline() -> None:
        canceller.cancel()
        busy()

    try:
        cancelled(pipeline, canceller)
        assert signal.getsignal(signal.SIGURG) is handler
    finally:
        signal.signal(signal.SIGURG, before)


def test_what_has_ended_cannot_be_cancelled() -> None:
    @flow
    def pipeline() -> None:
        pass

    pipeline()
    name = find_run("last").name
    with pytest.raises(UsageError, match=f"Flow run '{name}' has ended already: it is Completed."):
        cancel_flow_run("last")
    with pytest.raises(NotFound):
        cancel_flow_run("nobody")


@pytest.mark.slow
def test_a_run_in_the_queue_is_cancelled_at_once(make_notebook: Any) -> None:
    promote(make_notebook("report", "x = 1"))
    asked = request_run("report")
    state = cancel_flow_run(asked.number)
    assert state.is_cancelled()
    assert find_run(asked.id).state_name == "Cancelled"
    assert claim_due(engine().database, Claimant(process=this_process(), pool="default"), time.time() + 60, 10) == []


def test_a_run_that_a_worker_has_claimed_is_cancelled_before_its_process_has_it(make_notebook: Any) -> None:
    database = engine().database
    promote(make_notebook("report", "x = 1"))
    asked = request_run("report")
    claimant = Claimant(process=this_process(), pool="default")
    register(database, new_id(), claimant, "worker", 1, time.time())
    (claimed,) = claim_due(database, claimant, time.time(), 1)
    assert cancel_flow_run(asked.id).is_cancelled()
    assert take_over(database, asked.id, claimed.fence, this_process()) is False


def test_a_request_is_gone_when_the_run_has_ended(canceller: Canceller) -> None:
    @flow
    def pipeline() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    cancelled(pipeline, canceller)
    assert engine().requests.pending() == []


@pytest.mark.slow
def test_short_flows_never_look_and_the_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(requests.Watcher, "_look", lambda *_: looks.append(1))

    @flow
    def short() -> None:
        pass

    @flow
    def longer() -> None:
        while not looks:
            time.sleep(0.01)

    for _ in range(20):
        short()
    assert looks == []
    longer()
    assert len(looks) == 1
    until(lambda: all(thread.name != "flowbook-requests" for thread in threading.enumerate()))


@pytest.mark.slow
def test_a_database_that_cannot_be_read_for_a_while_does_no_harm(
    canceller: Canceller, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failures = iter([OSError("disk full"), OSError("disk full")])
    pending = engine().requests.pending

    def unreliable() -> Any:
        error = next(failures, None)
        if error is not None:
            raise error
        return pending()

    monkeypatch.setattr(engine().requests, "pending", unreliable)
    reason = "somebody asked"

    @flow
    def pipeline() -> None:
        engine().requests.cancel(find_run("last").id, reason)
        time.sleep(WITHIN)

    with pytest.raises(CancelledRun, match=reason):
        pipeline()
    assert capfd.readouterr().err.count("cannot be read, trying again: disk full") == 1


def test_the_home_stays_clean(home: Path, store_url: str, canceller: Canceller) -> None:
    @flow
    def pipeline() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    cancelled(pipeline, canceller)
    files = sorted(path.suffix for path in home.iterdir()) if home.exists() else []
    assert files == ([".db", ".db-shm", ".db-wal"] if store_url.startswith("sqlite") else [])


def test_a_run_can_be_cancelled_after_no_thread_could_be_started_for_another(
    canceller: Canceller, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            monkeypatch.undo()
            raise RuntimeError("can't start new thread")

    @flow
    def patient() -> None:
        canceller.cancel()
        time.sleep(WITHIN)

    monkeypatch.setattr(requests.threading, "Thread", NoThread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        patient()
    cancelled(patient, canceller)
