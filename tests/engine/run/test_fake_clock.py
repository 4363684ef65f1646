"""The clock for tests: what would take hours takes no time, in the order in which it would have happened."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.examples import examples
from tests.waiting import CUT_SHORT, WITHIN

from flowbook import flow, get_run_logger, task
from flowbook.cache_policies import INPUTS
from flowbook.errors import NotFound, TaskTimeoutError, UsageError
from flowbook.futures import as_completed, wait
from flowbook.task_runners import ThreadPoolTaskRunner
from flowbook.testing import FakeClock, Harness, flowbook_test_harness

HOUR = 3600

Schedule = list[int]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock does not believe of a slow machine that nothing happens there."""
    monkeypatch.setattr("flowbook.run.fake_clock._PATIENCE", 2 * WITHIN)


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


def story(harness: Harness, name: str, run: str | int | None = None) -> list[tuple[str, float]]:
    """The states that a task run entered, and when: in seconds since its flow run began."""
    begun = harness.run("last" if run is None else run).created
    assert begun is not None
    return [(state.name, (state.time or 0) - begun) for state in harness.states(name, run)]


# --- the clock --------------------------------------------------------------------------------------------------------


def test_a_clock_stands_still_until_it_is_advanced() -> None:
    start = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=2)))
    clock = FakeClock(start)
    assert clock.now() == start
    assert clock.now().tzinfo is UTC
    clock.advance(90)
    clock.advance(timedelta(days=1))
    assert clock.now() == start + timedelta(days=1, seconds=90)
    assert clock.time() == clock.now().timestamp()
    assert repr(clock) == "<FakeClock at 2026-03-02T07:01:30+00:00>"


def test_a_clock_starts_now_by_default() -> None:
    assert abs(FakeClock().now() - datetime.now(UTC)) < timedelta(seconds=WITHIN)


def test_a_clock_cannot_go_back_nor_start_without_a_time_zone() -> None:
    with pytest.raises(UsageError, match=r"A clock cannot be advanced by -1; give seconds or a timedelta from 0 up\."):
        FakeClock().advance(-1)
    with pytest.raises(UsageError, match="cannot be advanced by inf"):
        FakeClock().advance(float("inf"))
    with pytest.raises(UsageError, match="which has no time zone; add tzinfo=UTC, say"):
        FakeClock(datetime(2026, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize("how", ["called", "submitted", "mapped", "alone", "inline"])
def test_a_retry_takes_no_time_and_is_recorded_when_it_would_have_been(how: str) -> None:
    flaky = failing(2, [HOUR, 2 * HOUR])

    @flow
    def pipeline() -> None:
        if how == "called":
            flaky(1)
        elif how == "mapped":
            flaky.map([1]).result()
        else:
            flaky.submit(1)

    began = time.monotonic()
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    with flowbook_test_harness(clock=clock, inline=how == "inline") as harness:
        flaky(1) if how == "alone" else pipeline()
        assert [(state.name, state.timestamp) for state in harness.states("flaky")] == [
            ("Running", datetime(2026, 1, 1, 0, tzinfo=UTC)),
            ("AwaitingRetry", datetime(2026, 1, 1, 0, tzinfo=UTC)),
            ("Retrying", datetime(2026, 1, 1, 1, tzinfo=UTC)),
            ("AwaitingRetry", datetime(2026, 1, 1, 1, tzinfo=UTC)),
            ("Retrying", datetime(2026, 1, 1, 3, tzinfo=UTC)),
            ("Completed", datetime(2026, 1, 1, 3, tzinfo=UTC)),
        ]
        assert harness.clock is clock
        assert clock.now() == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert time.monotonic() - began < WITHIN


def test_a_flow_sleeps_before_its_retry_as_well(harness: Harness) -> None:
    attempts: list[datetime] = []

    @flow(retries=1, retry_delay_seconds=HOUR)
    def pipeline() -> None:
        attempts.append(harness.clock.now())
        if len(attempts) == 1:
            raise OSError("busy")

    pipeline()
    assert attempts[1] - attempts[0] == timedelta(hours=1)
    assert harness.run("pipeline").duration() == HOUR


def test_time_stands_still_while_somebody_is_at_work(harness: Harness) -> None:
    flaky = failing(1, HOUR)
    asleep, may_end = threading.Event(), threading.Event()

    @task
    def work() -> datetime:
        assert asleep.wait(WITHIN)
        time.sleep(0.1)  # enough for a clock that does not wait for us
        return harness.clock.now()

    @flow
    def pipeline() -> timedelta:
        working = work.submit()
        sleeping = flaky.submit()
        sleeping.add_done_callback(lambda _: may_end.set())
        while sleeping.state.name != "AwaitingRetry":
            time.sleep(0.001)
        asleep.set()
        begun = harness.clock.now()
        assert working.result() == begun
        assert not may_end.is_set()
        sleeping.result()
        return harness.clock.now() - begun

    assert pipeline() == timedelta(hours=1)
    assert story(harness, "work")[-1] == ("Completed", 0)


def test_time_stands_still_while_a_coroutine_is_at_work(harness: Harness) -> None:
    flaky = failing(1, HOUR)

    @flow
    async def pipeline() -> timedelta:
        begun = harness.clock.now()
        sleeping = flaky.submit()
        while sleeping.state.name != "AwaitingRetry":
            await asyncio.sleep(0)
        time.sleep(0.1)
        passed = harness.clock.now() - begun
        sleeping.result()
        return passed

    assert asyncio.run(pipeline()) == timedelta()


@task
def nothing() -> None: ...


@flow
def submits() -> None:
    nothing.submit()


@flow
async def submits_and_awaits() -> None:
    nothing.submit()


WAITS: dict[str, Callable[[], Any]] = {
    "for a result": lambda: nothing.submit().result(),
    "for a future of several": lambda: next(as_completed([nothing.submit()])),
    "for a sub-flow": lambda: submits(),
    "for an input": lambda: nothing(wait_for=[nothing.submit()]),  # type: ignore[call-arg]
    "for a coroutine": lambda: asyncio.run(submits_and_awaits()),
}


@pytest.mark.parametrize("what", WAITS)
def test_time_stands_still_from_the_end_of_a_wait_to_what_follows(harness: Harness, what: str) -> None:
    flaky = failing(1, HOUR)

    @flow
    def pipeline() -> timedelta:
        begun = harness.clock.now()
        sleeping = flaky.submit()
        for _ in range(100):
            WAITS[what]()
        passed = harness.clock.now() - begun
        sleeping.result()
        return passed

    assert pipeline() == timedelta()
    assert harness.run().duration() == HOUR


def test_a_task_takes_as_long_as_it_advances_the_clock(harness: Harness) -> None:
    @task
    def slow() -> None:
        harness.clock.advance(timedelta(minutes=5))

    @flow
    def pipeline() -> None:
        slow()
        slow.submit()

    pipeline()
    assert harness.run().duration() == 600
    assert [node.duration() for node in harness.run().nodes.values()] == [300, 300]


def test_stored_results_expire_by_the_clock(harness: Harness) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, cache_expiration=timedelta(days=1))
    def look_up(n: int) -> int:
        calls.append(n)
        return n

    for seconds, made in ((0, 1), (24 * HOUR - 1, 1), (1, 2)):
        harness.clock.advance(seconds)
        look_up(1)
        assert len(calls) == made
    harness.assert_states("look_up", "Running", "Completed")


def test_advancing_the_clock_wakes_who_sleeps(harness: Harness) -> None:
    flaky = failing(1, HOUR)

    @flow
    def pipeline() -> bool:
        woken = threading.Event()
        future = flaky.submit()
        future.add_done_callback(lambda _: woken.set())
        while future.state.name != "AwaitingRetry":
            time.sleep(0.001)
        harness.clock.advance(HOUR)
        if not woken.wait(0.2):  # it was told that it waits, but had not yet gone to sleep when the hour passed
            harness.clock.advance(HOUR)
        return woken.wait(WITHIN)

    assert pipeline()


def test_code_that_waits_for_a_sleeper_by_its_own_means_waits_as_long_as_in_real_time(harness: Harness) -> None:
    flaky = failing(1, 0.05)

    @flow
    def pipeline() -> bool:
        ended = threading.Event()
        flaky.submit().add_done_callback(lambda _: ended.set())
        return ended.wait(WITHIN)

    began = time.monotonic()
    assert pipeline()
    assert 0.05 <= time.monotonic() - began < CUT_SHORT
    assert harness.delays("flaky") == [0.05]


@pytest.mark.slow
def test_but_no_longer_than_a_second(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbook.run.fake_clock._PATIENCE", 1.0)
    flaky = failing(2, HOUR)

    @flow
    def pipeline() -> None:
        future = flaky.submit()
        while not future.done:
            time.sleep(0.01)

    began = time.monotonic()
    pipeline()
    assert time.monotonic() - began < WITHIN
    assert harness.delays("flaky") == [HOUR, HOUR]


def test_timeouts_are_in_real_time(harness: Harness) -> None:
    flaky = failing(1, HOUR)

    @task(timeout_seconds=0.05)
    def stuck() -> None:
        while True:
            time.sleep(0.001)

    @task(timeout_seconds=WITHIN)
    def quick() -> None:
        flaky()

    @flow
    def pipeline() -> None:
        quick()
        stuck()

    with pytest.raises(TaskTimeoutError):
        pipeline()
    assert [node.state.name for node in harness.run().nodes.values() if node.state] == [
        "Completed",
        "Completed",
        "TimedOut",
    ]


def test_a_flow_in_a_thread_of_the_user_goes_by_the_clock(harness: Harness) -> None:
    flaky = failing(1, HOUR)

    @flow
    def pipeline(n: int) -> None:
        flaky.submit(n)

    threads = [threading.Thread(target=pipeline, args=(n,)) for n in range(3)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN)
    assert time.monotonic() - began < WITHIN
    assert [run.state_name for run in harness.runs()] == ["Completed"] * 3


# --- order and overlap are those of real time -------------------------------------------------------------------------

schedules = some.lists(some.lists(some.integers(0, 100), max_size=4), min_size=1, max_size=5)


def starts(delays: Schedule) -> list[int]:
    """When the attempts of a task begin that is retried after these delays, in seconds since its first."""
    return [sum(delays[:n]) for n in range(len(delays) + 1)]


class Attempts:
    """Tasks with these schedules of retries, each failing until its last attempt; notes when attempts begin."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.begun: list[tuple[float, str]] = []

    def task(self, delays: Schedule, *, is_async: bool = False) -> Any:
        """A task that takes its name as argument."""

        def attempt(name: str) -> str:
            self.begun.append((self.clock.monotonic(), name))
            if sum(name == other for _, other in self.begun) <= len(delays):
                raise OSError("busy")
            return name

        async def attempt_async(name: str) -> str:
            await asyncio.sleep(0)
            return attempt(name)

        return task(retries=len(delays), retry_delay_seconds=delays, task_run_name="{name}")(
            attempt_async if is_async else attempt
        )


def check_record(harness: Harness, attempts: Attempts, expected: dict[str, list[int]], run: str) -> None:
    """The attempts began at the expected times, in that order, and so says the record."""
    due = sorted((start, name) for name, begins in expected.items() for start in begins)
    times = [moment for moment, _ in attempts.begun]
    assert times == sorted(times)
    origin = times[0] - due[0][0]
    assert sorted((moment - origin, name) for moment, name in attempts.begun) == due
    begun = harness.run(run).created
    assert begun is not None
    for name, begins in expected.items():
        recorded = [state for state in harness.states(name, run) if state.is_running()]
        assert [round((state.time or 0) - begun, 6) for state in recorded] == begins


@contextmanager
def checked_again_and_again() -> Iterator[Harness]:
    """One harness for all examples of a property: they begin where the clock stands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_LOGGING_LEVEL", "ERROR")
        with flowbook_test_harness() as harness:
            yield harness


@pytest.mark.slow
def test_retries_in_a_pool_begin_in_the_order_in_which_they_are_due() -> None:
    @settings(max_examples=examples(60), deadline=None)
    @given(schedules, some.integers(1, 4))
    def check(schedule: list[Schedule], workers: int) -> None:
        attempts = Attempts(harness.clock)

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=workers))
        def pipeline() -> None:
            wait([attempts.task(delays).submit(f"t{n}") for n, delays in enumerate(schedule)])

        pipeline()
        check_record(harness, attempts, {f"t{n}": starts(delays) for n, delays in enumerate(schedule)}, "pipeline")
        assert harness.run().duration() == max(map(sum, schedule))

    with checked_again_and_again() as harness:
        check()


@pytest.mark.slow
def test_retries_in_the_pools_of_several_sub_flows_overlap() -> None:
    @settings(max_examples=examples(25), deadline=None)
    @given(some.lists(schedules, min_size=1, max_size=3))
    def check(groups: list[list[Schedule]]) -> None:
        attempts = Attempts(harness.clock)

        @flow(flow_run_name="group-{group}-of-" + str(len(harness.runs(10_000))))
        def sub_flow(group: int) -> None:
            for n, delays in enumerate(groups[group]):
                attempts.task(delays).submit(f"t{group}-{n}")

        @task
        def start(group: int) -> None:
            sub_flow(group)

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
        def pipeline() -> None:
            start.map(range(len(groups))).result()

        pipeline()
        times = [moment for moment, _ in attempts.begun]
        assert times == sorted(times)
        assert sorted(moment - times[0] for moment in times) == sorted(
            start for schedule in groups for delays in schedule for start in starts(delays)
        )
        assert harness.run("pipeline").duration() == max(sum(delays) for schedule in groups for delays in schedule)

    with checked_again_and_again() as harness:
        check()


@pytest.mark.slow
def test_retries_of_coroutines_overlap_and_those_after_one_another_add_up() -> None:
    @settings(max_examples=examples(40), deadline=None)
    @given(some.lists(schedules, min_size=1, max_size=3))
    def check(chains: list[list[Schedule]]) -> None:
        attempts = Attempts(harness.clock)

        async def chain(number: int) -> None:
            for n, delays in enumerate(chains[number]):
                await attempts.task(delays, is_async=True)(f"t{number}-{n}")

        @flow
        async def pipeline() -> None:
            await asyncio.gather(*(chain(number) for number in range(len(chains))))

        asyncio.run(pipeline())
        expected = {}
        for number, schedule in enumerate(chains):
            for n, delays in enumerate(schedule):
                before = sum(map(sum, schedule[:n]))
                expected[f"t{number}-{n}"] = [before + start for start in starts(delays)]
        check_record(harness, attempts, expected, "pipeline")

    with checked_again_and_again() as harness:
        check()


@pytest.mark.parametrize("how", ["result in the coroutine", "result in a thread", "not waited for", "called"])
def test_an_async_flow_with_tasks_in_threads(harness: Harness, how: str) -> None:
    flaky = failing(2, HOUR)

    @flow
    async def pipeline() -> None:
        if how == "called":
            flaky()
            return
        future = flaky.submit()
        if how == "result in the coroutine":
            future.result()
        elif how == "result in a thread":
            await asyncio.to_thread(future.result)

    began = time.monotonic()
    asyncio.run(pipeline())
    assert time.monotonic() - began < CUT_SHORT
    assert harness.delays("flaky") == [HOUR, HOUR]


@pytest.mark.parametrize("blocker", ["flow", "coroutine"])
@pytest.mark.parametrize("meanwhile", ["a thread's result", "its turn"])
def test_a_flow_on_a_loop_that_something_else_blocks(harness: Harness, meanwhile: str, blocker: str) -> None:
    flaky = failing(1, HOUR)

    @flow(name="waits")
    async def waits() -> None:
        if meanwhile == "a thread's result":
            flaky.submit("a")
        else:
            await asyncio.sleep(0)

    async def blocks() -> None:
        time.sleep(0.05)
        flaky("b")

    async def both() -> None:
        await asyncio.gather(waits(), flow(blocks)() if blocker == "flow" else blocks())

    began = time.monotonic()
    asyncio.run(both())
    assert time.monotonic() - began < CUT_SHORT
    assert harness.delays("flaky") == [HOUR]


def test_a_second_attempt_may_wait_for_one_that_sleeps(harness: Harness) -> None:
    inner, attempts = failing(1, HOUR), [0]

    @task(retries=1, retry_delay_seconds=HOUR)
    def outer() -> None:
        attempts[0] += 1
        if attempts[0] == 1:
            raise OSError("busy")
        inner.submit().result()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def pipeline() -> None:
        outer.submit()

    began = time.monotonic()
    pipeline()
    assert time.monotonic() - began < CUT_SHORT
    assert harness.run().duration() == 2 * HOUR


def test_a_sleeping_coroutine_can_be_cancelled(harness: Harness) -> None:
    flaky = failing(1, HOUR)
    never = threading.Event()

    @task
    def work() -> None:
        never.wait(WITHIN)

    @flow
    async def pipeline() -> None:
        work.submit()
        await flaky_async()

    @task(retries=1, retry_delay_seconds=HOUR)
    async def flaky_async() -> None:
        raise OSError("busy")

    async def cell() -> None:
        running = asyncio.create_task(pipeline())
        while not any(state == "AwaitingRetry" for state in states()):
            await asyncio.sleep(0.001)
        running.cancel()
        never.set()
        await asyncio.wait([running])

    def states() -> list[str]:
        try:
            return [state.name for state in harness.states("flaky_async")]
        except NotFound:
            return []

    asyncio.run(cell())
    assert states() == ["Running", "AwaitingRetry", "Cancelled"]
    assert flaky(1) == 1  # the clock goes on
