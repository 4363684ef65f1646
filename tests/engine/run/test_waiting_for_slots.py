"""Runs under a concurrency limit: they wait for a slot without a thread, and never keep one they do not use."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future as Promise
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN

from flowbook import flow, task
from flowbook.engine import engine
from flowbook.errors import UpstreamTaskError
from flowbook.futures import wait
from flowbook.runs import run_view
from flowbook.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner


class Limit:
    """So many slots, for whatever names."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.least_free = slots
        self.waiting: deque[Promise[Any]] = deque()
        self.lock = threading.Lock()

    def request(self, names: Sequence[str], occupy: int = 1, run_id: str | None = None) -> Promise[Any]:
        promise: Promise[Any] = Promise()
        with self.lock:
            if self.free:
                self._take()
                promise.set_result("slot")
            else:
                self.waiting.append(promise)
        return promise

    def close(self) -> None:
        """Nothing is open."""

    def give_back(self, held: Any) -> None:
        assert held == "slot"
        with self.lock:
            self.free += 1
            promise = None
            while self.waiting and promise is None:
                candidate = self.waiting.popleft()
                promise = candidate if candidate.set_running_or_notify_cancel() else None
            if promise is not None:
                self._take()
        if promise is not None:
            promise.set_result("slot")

    def _take(self) -> None:
        self.free -= 1
        self.least_free = min(self.least_free, self.free)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limit]:
    """A limit of two slots that every tagged task is under."""
    found = Limit(2)
    monkeypatch.setattr(type(engine()), "slots", property(lambda _: found), raising=False)
    yield found
    assert found.free == 2, "a slot was not given back"


class Overlap:
    """How many are inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1


def test_no_more_run_at_once_than_there_are_slots(limit: Limit) -> None:
    overlap = Overlap()

    @task(tags=["db"])
    def load(n: int) -> int:
        with overlap:
            threading.Event().wait(0.01)
        return n

    @flow(task_runner=ThreadPoolTaskRunner(8))
    def report() -> Any:
        return load.map(list(range(20))).result()

    assert report() == list(range(20))
    assert overlap.most == 2


def test_a_thousand_that_wait_do_not_delay_the_others(limit: Limit) -> None:
    gate = threading.Event()

    @task(tags=["db"])
    def held(n: int) -> int:
        gate.wait(WITHIN)
        return n

    @task
    def free() -> int:
        return 1

    @flow(task_runner=ThreadPoolTaskRunner(8))
    def report() -> int:
        waiting = held.map(list(range(1000)))
        before = threading.active_count()
        done, _ = wait([free.submit() for _ in range(50)], timeout=CUT_SHORT)
        after = threading.active_count()
        gate.set()
        wait(waiting)
        assert after <= max(before, 12)
        return len(done)

    assert report() == 50


@pytest.mark.parametrize("runner", [SequentialTaskRunner(), ThreadPoolTaskRunner(1)], ids=repr)
def test_a_retry_takes_its_slot_anew(limit: Limit, runner: Any) -> None:
    tries: list[int] = []

    @task(tags=["db"], retries=2)
    def load() -> int:
        tries.append(limit.free)
        if len(tries) < 3:
            raise OSError("busy")
        return 1

    @flow(task_runner=runner)
    def report() -> Any:
        return load.submit().result()

    assert report() == 1
    assert tries == [1, 1, 1]


def test_a_direct_call_waits_for_its_turn(limit: Limit) -> None:
    held = [limit.request(["db"]).result(), limit.request(["db"]).result()]
    threading.Timer(0.05, lambda: [limit.give_back(slot) for slot in held]).start()
    assert task(lambda: limit.free, tags=["db"])() == 1


def test_coroutines_wait_without_holding_the_loop(limit: Limit) -> None:
    @task(tags=["db"])
    async def load() -> str:
        return "loaded"

    async def main() -> list[str]:
        held = [limit.request(["db"]).result(), limit.request(["db"]).result()]
        waiting = [asyncio.create_task(asyncio.wait_for(load(), WITHIN)) for _ in range(5)]
        await asyncio.sleep(0.02)
        said = ["the loop goes on"]
        for slot in held:
            limit.give_back(slot)
        return said + await asyncio.gather(*waiting)

    assert asyncio.run(main()) == ["the loop goes on", *["loaded"] * 5]


def test_a_cancelled_coroutine_gives_up_its_place(limit: Limit) -> None:
    @task(tags=["db"])
    async def load() -> None: ...

    async def main() -> None:
        held = [limit.request(["db"]).result(), limit.request(["db"]).result()]
        waiting = asyncio.create_task(load())
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        for slot in held:
            limit.give_back(slot)

    asyncio.run(main())


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()], ids=repr)
def test_a_flow_that_ends_cancels_those_that_wait(limit: Limit, error: BaseException) -> None:
    @task(tags=["db"])
    def load(n: int) -> int:
        return n

    @flow
    def report() -> None:
        held = [limit.request(["db"]).result(), limit.request(["db"]).result()]
        load.map([1, 2, 3])
        threading.Event().wait(0.05)
        try:
            raise error
        finally:
            threading.Timer(0.05, lambda: [limit.give_back(slot) for slot in held]).start()

    with pytest.raises(type(error)):
        report()
    assert {node.look for node in run_view("last").nodes.values()} == {"cancelled"}
    threading.Event().wait(0.1)


def test_what_cannot_begin_takes_no_slot(limit: Limit) -> None:
    @task
    def fails() -> None:
        raise OSError("disk")

    @task(tags=["db"])
    def load(_: Any) -> None: ...

    @flow
    def report() -> None:
        load.submit(fails.submit()).result()

    with pytest.raises(UpstreamTaskError):
        report()
    assert limit.least_free == 2
