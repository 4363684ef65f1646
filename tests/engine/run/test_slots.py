"""Waiting for slots: in one process, for limits in memory and in a database alike."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN

from flowbook.core.slots import Answer, Answers, Exchange, Limit
from flowbook.engine import engine
from flowbook.errors import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    StoreError,
    UsageError,
)
from flowbook.run.fixed_limits import FixedLimits
from flowbook.run.slot_queues import TENURE, Queues
from flowbook.run.slot_requests import Held, Key, Request
from flowbook.run.slots import Slots, slots_of
from flowbook.store.leases import DatabaseSlots
from flowbook.store.limits import create_limit

Make = Callable[[Mapping[str, int]], Slots]


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes the slots of limits; at the end, all of them must have been given back."""
    made: list[tuple[Slots, Mapping[str, int]]] = []
    if request.param == "postgresql":
        request.getfixturevalue("on_postgresql")

    def limited(limits: Mapping[str, int]) -> Slots:
        if request.param == "memory":
            made.append((slots_of(limits), limits))
        else:
            for name, number in limits.items():
                create_limit(engine().database, name, number)
            made.append((Slots(DatabaseSlots(engine().database)), limits))
        return made[-1][0]

    yield limited
    for slots, limits in made:
        for name, number in limits.items():
            taken = slots.request([name], number)
            assert taken is not None
            taken.result(WITHIN)
            taken.cancel()
        slots.close()


def take(slots: Slots, *names: str, occupy: int = 1, **options: Any) -> Request:
    request = slots.request(names, occupy, **options)
    assert request is not None
    return request


def is_waiting(request: Request) -> bool:
    """Whether it still waits when the store has had the time to answer."""
    with suppress(TimeoutError):
        request.exception(0.03)
    return not request.done()


def test_what_has_no_limit_is_not_waited_for(make: Make) -> None:
    slots = make({"a": 1})
    assert slots.request([]) is None
    assert slots.request(["b", "c"]) is None
    assert slots.missing(["a", "b"]) == ["b"]


def test_a_slot_is_free_again_when_it_is_given_back(make: Make) -> None:
    slots = make({"a": 2})
    held = [take(slots, "a", "unlimited").result(WITHIN) for _ in range(2)]
    assert held[0].names == ("a",)
    third = take(slots, "a")
    assert is_waiting(third)
    slots.give_back(held[0])
    assert third.result(WITHIN).names == ("a",)
    fourth = take(slots, "a")
    assert is_waiting(fourth)
    slots.give_back(held[0])  # a second time
    assert is_waiting(fourth)
    fourth.cancel()
    slots.give_back(held[1])
    third.cancel()


def test_those_who_came_first_are_served_first(make: Make) -> None:
    slots = make({"a": 1})
    held = take(slots, "a").result(WITHIN)
    order: list[int] = []
    waiting = [take(slots, "a") for _ in range(50)]
    for number, request in enumerate(waiting):
        request.add_done_callback(lambda done, number=number: (order.append(number), slots.give_back(done.result())))
    slots.give_back(held)
    for request in waiting:
        request.result(WITHIN)
    assert order == list(range(50))


def test_several_are_taken_together_or_not_at_all(make: Make) -> None:
    slots = make({"a": 1, "b": 1})
    b = take(slots, "b").result(WITHIN)
    both = take(slots, "b", "a")
    assert is_waiting(both)
    a = take(slots, "a").result(WITHIN)  # is not held by the one who waits for both
    slots.give_back(b)
    assert is_waiting(both)
    slots.give_back(a)
    assert both.result(WITHIN).names == ("a", "b")
    both.cancel()


def test_two_who_need_the_same_in_another_order_do_not_block_each_other(make: Make) -> None:
    slots = make({"a": 1, "b": 1})
    inside: list[int] = []

    def work(*names: str) -> None:
        for _ in range(100):
            held = take(slots, *names).result(WITHIN)
            inside.append(1)
            assert len(inside) == 1
            inside.pop()
            slots.give_back(held)

    threads = [threading.Thread(target=work, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN)
        assert not thread.is_alive()


def test_a_withdrawn_request_leaves_its_place(make: Make) -> None:
    slots = make({"a": 1})
    held = take(slots, "a").result(WITHIN)
    first, second = take(slots, "a"), take(slots, "a")
    assert first.cancel() is True
    slots.give_back(held)
    assert second.result(WITHIN).names == ("a",)
    with pytest.raises(CancelledError):
        first.result(0)
    assert second.cancel() is False
    assert second.cancel() is False
    take(slots, "a").result(WITHIN)


def test_more_slots_than_there_are_is_an_error_at_once(make: Make) -> None:
    slots = make({"a": 2})
    with pytest.raises(ConcurrencySlotAcquisitionError, match=r"3 slots of the concurrency limit 'a' .* which has 2"):
        slots.request(["a"], 3)


def test_who_needs_many_is_not_overtaken(make: Make) -> None:
    slots = make({"a": 3})
    held = [take(slots, "a").result(WITHIN) for _ in range(3)]
    many, one = take(slots, "a", occupy=3), take(slots, "a")
    for each in held:
        assert is_waiting(many)
        assert is_waiting(one)
        slots.give_back(each)
    got = many.result(WITHIN)
    assert is_waiting(one)
    slots.give_back(got)
    one.result(WITHIN)


def test_who_needs_less_goes_on_when_the_one_before_leaves(make: Make) -> None:
    slots = make({"a": 3})
    held = [take(slots, "a").result(WITHIN) for _ in range(2)]
    many, one = take(slots, "a", occupy=3), take(slots, "a")
    assert is_waiting(one)
    many.cancel()
    one.result(WITHIN)
    assert [each.names for each in held] == [("a",), ("a",)]


def test_what_nobody_knows_of_any_more_is_free(make: Make) -> None:
    slots = make({"a": 1})
    take(slots, "a").result(WITHIN)
    gc.collect()
    take(slots, "a").result(WITHIN)


def test_slots_are_given_back_by_a_generator_that_nobody_finishes(make: Make) -> None:
    slots = make({"a": 1})

    def numbers() -> Iterator[int]:
        request = take(slots, "a")
        try:
            request.result(WITHIN)
            yield 1
        finally:
            request.cancel()

    abandoned: Any = numbers()
    next(abandoned)
    abandoned = [abandoned]
    abandoned.append(abandoned)  # a ring: only the garbage collector ends it
    del abandoned
    gc.collect()
    take(slots, "a").result(WITHIN)


def test_a_thousand_that_wait_take_no_thread_each(make: Make) -> None:
    slots = make({"a": 1})
    held = take(slots, "a").result(WITHIN)
    before = threading.active_count()
    waiting = [take(slots, "a") for _ in range(1000)]
    assert threading.active_count() <= before + 1
    for request in waiting[::2]:
        request.cancel()
    slots.give_back(held)
    for request in waiting[1::2]:
        slots.give_back(request.result(WITHIN))


def test_a_request_that_waits_for_too_long_fails(make: Make) -> None:
    slots = make({"a": 1})
    held = take(slots, "a", timeout=0).result(WITHIN)  # there was one
    began = time.monotonic()
    late = take(slots, "a", timeout=0.1)
    patient = take(slots, "a", timeout=60)
    with pytest.raises(AcquireConcurrencySlotTimeoutError, match="no room for 1 slot of 'a' within the timeout"):
        late.result(WITHIN)
    assert 0.09 < time.monotonic() - began < CUT_SHORT
    slots.give_back(held)
    assert patient.result(WITHIN)
    patient.cancel()


def test_closing_ends_all_waiting(make: Make) -> None:
    slots = make({"a": 1})
    held = take(slots, "a").result(WITHIN)
    waiting = take(slots, "a")
    slots.close()
    assert waiting.cancelled()
    slots.give_back(held)  # too late, and harmless
    take(slots, "a").result(WITHIN)


def test_slots_may_be_given_back_in_the_middle_of_anything() -> None:
    """As the garbage collector may do, in the thread that is at the queues just then."""
    meanwhile: list[Held] = []
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks -= 1
        if looks == 0:
            slots.give_back(meanwhile.pop())
        return time.monotonic()

    slots = Slots(FixedLimits({"a": 1}), clock=clock)
    for number in range(1, 4):
        meanwhile.append(take(slots, "a").result(0))
        looks = number
        second = take(slots, "a")
        second.result(0)
        second.cancel()


@pytest.mark.parametrize("number", [0, -1, 1.5, "two"])
def test_fixed_limits_must_be_numbers(number: Any) -> None:
    with pytest.raises(UsageError, match="give a whole number from 1 up"):
        slots_of({"a": number})


def test_fixed_limits_need_no_thread() -> None:
    slots = slots_of({"a": 1})
    before = threading.active_count()
    held = take(slots, "a").result(0)
    waiting = take(slots, "a")
    slots.give_back(held)
    assert waiting.result(0)
    assert threading.active_count() == before


class Scripted:
    """A store that has room for one, and fails as often as it is told to."""

    remote = True
    edition = 0

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.inner = FixedLimits({"a": 1})
        self.told: list[Exchange] = []

    def limits(self) -> Mapping[str, Limit]:
        return self.inner.limits()

    def exchange(self, exchange: Exchange) -> Answers:
        self.told.append(exchange)
        if self.failures:
            self.failures -= 1
            raise OSError("no disk")
        return self.inner.exchange(Exchange(asks=exchange.asks))


@pytest.mark.slow
def test_a_store_that_fails_is_tried_again() -> None:
    slots = Slots(Scripted(failures=1))
    assert take(slots, "a").result(WITHIN)
    slots.close()


@pytest.mark.slow
def test_who_waits_is_told_when_the_store_fails_and_fails() -> None:
    slots = Slots(Scripted(failures=100))
    with pytest.raises(StoreError, match="Slots of concurrency limits cannot be taken: no disk"):
        take(slots, "a").result(WITHIN)
    slots.close()


class Desk:
    """The queues of a process, at times that the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.queues = Queues(self.give_back, lambda: {"a": Limit(name="a", slots=2)}, remote=True)

    def give_back(self, held: Held) -> None:
        self.queues.give_back(held, self.now)

    def ask(self, occupy: int = 1, *, duration: float = 300.0, run_id: str | None = None) -> Request:
        request = Request(
            Key(("a",)),
            occupy,
            duration=duration,
            run_id=run_id,
            deadline=float("inf"),
            withdraw=lambda request: self.queues.withdraw(request, self.now),
            give_back=self.give_back,
        )
        self.queues.add(request, self.now)
        return request

    def told(self) -> Exchange | None:
        """What the store is told now."""
        return self.queues.collect(self.now)

    def grant(self, exchange: Exchange | None, *granted: int, lost: frozenset[str] = frozenset()) -> list[Held]:
        """Have the store answer; returns what was delivered."""
        assert exchange is not None
        answers = tuple(Answer(granted=number, names=("a",)) for number in granted)
        self.queues.apply(exchange, Answers(answers=answers, lost=lost), self.now)
        return self.delivered()

    def delivered(self) -> list[Held]:
        found = [delivery.outcome for delivery in self.queues.deliveries]
        self.queues.deliveries.clear()
        return found  # type: ignore[return-value]


def test_leases_are_renewed_after_a_third_of_their_duration() -> None:
    desk = Desk()
    desk.ask(duration=300, run_id="one")
    (held,) = desk.grant(desk.told(), 1)
    assert held.lease is not None
    assert desk.queues.next_due() == 1100.0
    desk.now = 1099.0
    assert desk.told() is None
    desk.now = 1101.0
    exchange = desk.told()
    assert exchange is not None
    assert [(one.duration, one.run_id) for one in exchange.renewals] == [(300, "one")]
    desk.grant(exchange)
    assert desk.queues.next_due() == 1201.0
    desk.now = 1202.0
    desk.grant(desk.told(), lost=frozenset({held.lease.id}))
    assert desk.queues.next_due() == float("inf"), "what is lost is not renewed"


def test_a_lease_is_handed_on_without_the_store_and_returned_after_a_second() -> None:
    desk = Desk()
    waiting = [desk.ask(run_id=f"run {number}") for number in range(4)]
    (held,) = desk.grant(desk.told(), 1)
    first = held.lease
    for _ in range(2):
        desk.now += TENURE / 3
        desk.give_back(held)
        (held,) = desk.delivered()
        assert held.lease is first
    desk.now += TENURE / 2
    desk.give_back(held)
    assert desk.delivered() == []
    exchange = desk.told()
    assert exchange is not None
    assert [one.id for one in exchange.returns] == [first.id] if first else []
    assert [len(ask.wants) for ask in exchange.asks] == [1], "and is asked for anew in the same breath"
    assert not any(request.done() for request in waiting)


def test_the_store_learns_within_a_second_who_was_handed_a_lease() -> None:
    desk = Desk()
    desk.ask(run_id="one")
    desk.ask(run_id="two")
    (held,) = desk.grant(desk.told(), 1)
    desk.give_back(held)
    (kept,) = desk.delivered()
    desk.now += 1.0
    exchange = desk.told()
    assert exchange is not None
    assert [one.run_id for one in exchange.renewals] == ["two"]
    assert kept.names == ("a",)


def test_a_lease_lingers_for_a_moment() -> None:
    desk = Desk()
    desk.ask()
    (held,) = desk.grant(desk.told(), 1)
    desk.give_back(held)
    assert desk.told() is None
    desk.ask()
    (again,) = desk.delivered()
    assert desk.told() is None
    desk.give_back(again)
    desk.now += 0.06
    exchange = desk.told()
    assert exchange is not None
    assert len(exchange.returns) == 1


def test_a_lease_that_lingers_is_returned_at_once_for_one_who_needs_more() -> None:
    desk = Desk()
    desk.ask()
    (held,) = desk.grant(desk.told(), 1)
    desk.give_back(held)
    desk.ask(occupy=2)
    exchange = desk.told()
    assert exchange is not None
    assert len(exchange.returns) == 1
    assert [want.occupy for want in exchange.asks[0].wants] == [2]


def test_a_thousand_that_wait_ask_for_no_more_than_there_is_and_not_too_often() -> None:
    desk = Desk()
    waiting = [desk.ask() for _ in range(1000)]
    exchange = desk.told()
    assert exchange is not None
    assert len(exchange.asks[0].wants) == 2
    desk.grant(exchange, 0)
    asked = 0
    for _ in range(1000):
        desk.now += 0.01
        exchange = desk.told()
        if exchange is not None:
            asked += 1
            desk.grant(exchange, 0)
    assert 15 <= asked <= 50, "in ten seconds"
    assert len(waiting) == 1000


def test_the_store_learns_that_nobody_waits_any_more() -> None:
    desk = Desk()
    request = desk.ask()
    asked = desk.told()
    assert asked is not None
    desk.grant(asked, 0)
    request.cancel()
    exchange = desk.told()
    assert exchange is not None
    assert exchange.left == (asked.asks[0].queue,)
    assert exchange.asks == ()


def test_a_slot_that_arrives_for_one_who_has_left_goes_to_the_next() -> None:
    desk = Desk()
    first = desk.ask()
    exchange = desk.told()
    second = desk.ask()
    first.cancel()
    (held,) = desk.grant(exchange, 1)
    assert held.names == ("a",)
    assert desk.told() is None
    assert not second.done()


def test_who_yields_does_so_for_half_a_second_only() -> None:
    desk = Desk()
    desk.ask()
    polite = []
    for _ in range(8):
        exchange = desk.told()
        if exchange is not None:
            polite.append(exchange.asks[0].polite)
            desk.queues.apply(exchange, Answers(answers=(Answer(yielded=True, names=("a",)),)), desk.now)
        desk.now += 0.13
    assert polite[0]
    assert not polite[-1]


def test_a_forked_child_gives_nothing_back(home: Any) -> None:
    code = """
import os, sys
from flowbook.engine import engine
from flowbook.store.limits import create_limit, use_of_limit
create_limit(engine().database, "a", 1)
held = engine().slots.request(["a"]).result(60)
child = os.fork()
if child == 0:
    slots_of_child = engine().slots
    held.__del__()
    assert held.names == ("a",)
    late = slots_of_child.request(["a"], timeout=0.3)
    error = late.exception(60)
    os._exit(0 if type(error).__name__ == "AcquireConcurrencySlotTimeoutError" else 1)
_, status = os.waitpid(child, 0)
print(status, use_of_limit(engine().database, "a").in_use)
"""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0 1", done.stderr
