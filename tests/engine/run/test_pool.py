"""Task runners: what runs side by side, in which order, and what happens to the rest when something fails."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta

import pytest
from tests.waiting import CUT_SHORT, WITHIN

from flowbook import flow, task
from flowbook.errors import CancelledRun, UpstreamTaskError, UsageError
from flowbook.futures import Future, as_completed, wait
from flowbook.runs import run_view
from flowbook.task_runners import ConcurrentTaskRunner, SequentialTaskRunner, TaskRunner, ThreadPoolTaskRunner
from flowbook.testing import Harness

RUNNERS = [SequentialTaskRunner(), ThreadPoolTaskRunner(max_workers=1), ThreadPoolTaskRunner(max_workers=4)]

every_runner = pytest.mark.parametrize("runner", RUNNERS, ids=repr)


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


@task
def double(x: int) -> int:
    return 2 * x


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def fail(message: str = "no") -> int:
    raise ValueError(message)


# --- every runner keeps the same contract -----------------------------------------------------------------------------


@every_runner
def test_results_come_back_in_order(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def fan_out() -> list[int]:
        return [future.result() for future in [double.submit(n) for n in range(20)]]

    assert fan_out() == [2 * n for n in range(20)]


@every_runner
def test_futures_are_arguments_however_deep(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def nested() -> int:
        one, two = double.submit(1), double.submit(2)
        return total.submit([one, two, double.submit(one)]).result()

    assert nested() == 2 + 4 + 4


@every_runner
def test_a_task_after_a_failed_one_is_not_run(runner: TaskRunner) -> None:
    ran: list[int] = []

    @task
    def use(x: int) -> int:
        ran.append(x)
        return x

    @flow(task_runner=runner)
    def chain() -> tuple[Future[int], Future[int]]:
        first = use.submit(fail.submit())
        return first, use.submit(first)

    @flow(task_runner=runner)
    def states() -> list[str]:
        futures = chain.fn()
        wait(futures)
        with pytest.raises(UpstreamTaskError, match="It needs the result of task run 'fail', which is Failed"):
            futures[0].result()
        with pytest.raises(UpstreamTaskError, match="'use', which is NotReady"):
            futures[1].result()
        return [future.state.name for future in futures]

    assert states() == ["NotReady", "NotReady"]
    assert ran == []
    assert chain(return_state=True).is_failed()


@every_runner
def test_wait_for_holds_a_task_back_and_a_failed_one_stops_it(runner: TaskRunner) -> None:
    done: list[str] = []

    @task
    def say(word: str) -> None:
        done.append(word)

    @flow(task_runner=runner)
    def ordered() -> list[str]:
        first = say.submit("first")
        second = say.submit("second", wait_for=[first])
        never = say.submit("never", wait_for=[fail.submit()])
        wait([second, never])
        return [second.state.name, never.state.name]

    assert ordered() == ["Completed", "NotReady"]
    assert done == ["first", "second"]


@every_runner
def test_one_failure_leaves_the_others_alone(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def branches() -> list[str]:
        bad, good = fail.submit(), double.submit(3)
        after = double.submit(good)
        wait([bad, after])
        return [future.state.name for future in (bad, good, after)]

    assert branches() == ["Failed", "Completed", "Completed"]


@every_runner
def test_a_failure_is_raised_as_it_was(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def careless() -> None:
        fail.submit("the file is gone").result()

    with pytest.raises(ValueError, match=r"^the file is gone$"):
        careless()


@every_runner
def test_the_flow_ends_after_everything_it_submitted(runner: TaskRunner) -> None:
    done: list[int] = []

    @task
    def slow(n: int) -> None:
        time.sleep(0.02)
        done.append(n)

    @flow(task_runner=runner)
    def forgetful() -> str:
        for n in range(5):
            slow.submit(n)
        return "returned"

    assert forgetful() == "returned"
    assert sorted(done) == [0, 1, 2, 3, 4]


@every_runner
def test_a_flow_that_returns_a_failed_future_has_failed(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def lenient() -> list[Future[int]]:
        return [double.submit(1), fail.submit("bad row")]

    state = lenient(return_state=True)
    assert state.is_failed()
    assert state.message == "1/2 of the returned runs did not complete: ValueError: bad row"


@every_runner
def test_a_task_may_submit_tasks_and_wait_for_them(runner: TaskRunner) -> None:
    @task
    def tree(depth: int) -> int:
        if depth == 0:
            return 1
        return sum(future.result(timeout=WITHIN) for future in [tree.submit(depth - 1) for _ in range(2)])

    @flow(task_runner=runner)
    def grow() -> int:
        result: int = tree.submit(4).result(timeout=WITHIN)
        return result

    assert grow() == 16


@every_runner
def test_context_variables_are_seen_by_submitted_tasks(runner: TaskRunner) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")

    @task
    def whose() -> str:
        return tenant.get()

    @flow(task_runner=runner)
    def ask() -> list[str]:
        said = []
        for name in ("ada", "grace"):
            tenant.set(name)
            said.append(whose.submit())
        return [future.result() for future in said]

    assert ask() == ["ada", "grace"]


@every_runner
def test_a_retried_flow_submits_again(runner: TaskRunner) -> None:
    attempts: list[int] = []

    @flow(task_runner=runner, retries=2)
    def flaky() -> int:
        attempts.append(double.submit(len(attempts)).result())
        if len(attempts) < 3:
            raise OSError("not yet")
        return sum(attempts)

    assert flaky() == 0 + 2 + 4


# --- the pool of threads ----------------------------------------------------------------------------------------------


def in_parallel(workers: int, body: Callable[[], None], times: int, **options: object) -> None:
    piece = task(**options)(body) if options else task(body)  # type: ignore[call-overload]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=workers))
    def fan_out() -> None:
        wait([piece.submit() for _ in range(times)])

    fan_out()


def test_tasks_run_side_by_side() -> None:
    together = threading.Barrier(4, timeout=WITHIN)
    in_parallel(4, lambda: together.wait() and None, 4)  # type: ignore[func-returns-value]


@pytest.mark.parametrize("options", [{}, {"timeout_seconds": WITHIN}], ids=["plain", "with timeout"])
def test_no_more_than_max_workers_at_once(options: dict[str, object]) -> None:
    crowd = Crowd()

    def body() -> None:
        with crowd:
            time.sleep(0.01)

    in_parallel(3, body, 30, **options)
    assert crowd.most == 3


def test_a_thread_that_made_up_for_a_waiting_one_does_not_stay() -> None:
    crowd = Crowd()

    @task
    def outer() -> int:
        result: int = double.submit(1).result(timeout=WITHIN)
        return result

    @task
    def alone() -> None:
        with crowd:
            time.sleep(0.01)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def one_at_a_time() -> None:
        wait([outer.submit() for _ in range(5)])
        wait([alone.submit() for _ in range(10)])

    one_at_a_time()
    assert crowd.most == 1


def test_runs_asleep_in_a_retry_delay_nobody(harness: Harness) -> None:
    first_attempts = Counter[int]()
    asleep = threading.Semaphore(0)

    @task(retries=1, retry_delay_seconds=3600)
    def flaky(n: int) -> int:
        first_attempts[n] += 1
        if first_attempts[n] == 1:
            asleep.release()
            raise OSError("busy")
        return n

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def crowded() -> timedelta:
        began = harness.clock.now()
        futures = [flaky.submit(n) for n in range(200)]
        for _ in range(200):
            assert asleep.acquire(timeout=WITHIN)
        assert double.submit(1).result(timeout=WITHIN) == 2
        quick = harness.clock.now() - began
        assert [future.result(timeout=WITHIN) for future in futures] == list(range(200))
        return quick

    assert crowded() == timedelta()
    assert harness.run().duration() == 3600  # all slept at the same time


def test_a_retry_is_on_time_though_the_thread_took_other_work() -> None:
    attempts: list[float] = []
    failed, retried = threading.Event(), threading.Event()

    @task(retries=1, retry_delay_seconds=0.1)
    def flaky() -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            failed.set()
            raise OSError("busy")
        retried.set()

    @task
    def long() -> bool:
        return retried.wait(timeout=WITHIN)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def both() -> bool:
        flaky.submit()
        failed.wait(WITHIN)
        time.sleep(0.02)  # now the only thread sleeps until the retry is due
        return bool(long.submit().result(timeout=WITHIN))

    assert both(), "the retry began only after the long task had ended"
    assert attempts[1] - attempts[0] < CUT_SHORT


def test_a_task_may_wait_for_one_that_sleeps_before_its_retry(harness: Harness) -> None:
    attempts: list[int] = []
    failed = threading.Event()
    sleeper: list[Future[int]] = []

    @task(retries=1, retry_delay_seconds=3600)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            failed.set()
            raise OSError("busy")
        return 7

    @task
    def waits() -> int:
        return sleeper[0].result(timeout=WITHIN)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def both() -> int:
        sleeper.append(flaky.submit())
        failed.wait(WITHIN)
        result: int = waits.submit().result(timeout=WITHIN)
        return result

    assert both() == 7
    assert harness.delays("flaky") == [3600]


def test_an_earlier_retry_is_not_held_up_by_a_later_one() -> None:
    ends: list[str] = []
    tried: set[str] = set()

    def flaky(name: str) -> None:
        if name not in tried:
            tried.add(name)
            raise OSError("busy")
        ends.append(name)

    late = task(retries=1, retry_delay_seconds=0.4)(flaky)
    early = task(retries=1, retry_delay_seconds=0.05)(flaky)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def both() -> None:
        first = late.submit("late")
        time.sleep(0.05)
        wait([first, early.submit("early")])

    both()
    assert ends == ["early", "late"]


def test_a_failed_flow_lets_what_runs_finish_and_cancels_what_has_not_begun() -> None:
    running, may_end = threading.Event(), threading.Event()
    futures: list[Future[int]] = []

    @task
    def long() -> int:
        running.set()
        assert may_end.wait(WITHIN)
        return 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def breaks() -> None:
        futures.extend([long.submit(), double.submit(1), double.submit(double.submit(2))])
        assert running.wait(WITHIN)
        threading.Timer(0.05, may_end.set).start()
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        breaks()
    assert [future.state.name for future in futures] == ["Completed", "Cancelled", "Cancelled"]
    with pytest.raises(CancelledRun, match="the flow run ended before its turn"):
        futures[1].result()


def test_a_failed_flow_does_not_wait_for_retries() -> None:
    failed = threading.Event()
    futures: list[Future[None]] = []

    @task(retries=1, retry_delay_seconds=3600)
    def flaky() -> None:
        failed.set()
        raise OSError("busy")

    @flow
    def breaks() -> None:
        futures.append(flaky.submit())
        failed.wait(WITHIN)
        while futures[0].state.name != "AwaitingRetry":
            time.sleep(0.001)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        breaks()
    assert futures[0].state.is_cancelled()


def test_as_completed_yields_in_the_order_of_ending() -> None:
    gate = threading.Event()

    @task
    def slow() -> str:
        gate.wait(WITHIN)
        return "slow"

    @task
    def quick() -> str:
        return "quick"

    @flow
    def race() -> list[str]:
        order = []
        for future in as_completed([slow.submit(), quick.submit()], timeout=WITHIN):
            order.append(future.result())
            gate.set()
        return order

    assert race() == ["quick", "slow"]


def test_names_of_task_runs_are_unique_though_many_threads_submit() -> None:
    @task
    def spread() -> list[str]:
        return [double.submit(n).name for n in range(50)]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def many() -> list[str]:
        return [name for future in [spread.submit() for _ in range(8)] for name in future.result()]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        names = many()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(names)) == 400


def test_edges_of_submitted_tasks_are_recorded() -> None:
    @flow
    def diamond() -> None:
        top = double.submit(1)
        total.submit([double.submit(top), double.submit(top)])

    diamond()
    nodes = run_view("last").nodes
    named = {node.name: node for node in nodes.values()}
    edges = {(nodes[up].name, node.name) for node in nodes.values() for up in node.upstream}
    assert set(named) == {"double", "double-1", "double-2", "total"}
    assert edges == {("double", "double-1"), ("double", "double-2"), ("double-1", "total"), ("double-2", "total")}


def test_tasks_submitted_outside_of_a_flow_run_as_well() -> None:
    assert total.submit([double.submit(1), double.submit(2)]).result(timeout=WITHIN) == 6


def test_the_names_and_refusals_of_runners() -> None:
    assert ConcurrentTaskRunner is ThreadPoolTaskRunner
    with pytest.raises(UsageError, match="max_workers is 0; a task runner needs at least 1 thread"):
        ThreadPoolTaskRunner(max_workers=0)
    with pytest.raises(
        UsageError, match=r"task_runner is 'threads'; give an instance such as ThreadPoolTaskRunner\(\)"
    ):
        flow(task_runner="threads")(lambda: None)  # type: ignore[call-overload]


def test_a_runner_may_be_given_as_its_class() -> None:
    threads: list[str] = []

    @task
    def where() -> None:
        threads.append(threading.current_thread().name)

    @flow(task_runner=SequentialTaskRunner)  # type: ignore[arg-type]
    def here() -> None:
        where.submit()

    here()
    assert threads == [threading.current_thread().name]
