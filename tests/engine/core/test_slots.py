"""Who is served: arithmetic of slots, of decay, and of turns between processes."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook.core.slots import Answer, Ask, Limit, Room, Waiting, Want, serve
from flowbook.errors import ConcurrencySlotAcquisitionError


def room(name: str, slots: int, *, held: int = 0, spent: float = 0.0, decay: float = 0.0) -> dict[str, Room]:
    return {name: Room(limit=Limit(name=name, slots=slots, decay=decay), held=held, spent=spent)}


def ask(*names: str, wants: tuple[int, ...] = (1,), waited: float = 0.0, **options: Any) -> Ask:
    wanted = tuple(Want(id=f"w{n}", occupy=occupy, duration=60) for n, occupy in enumerate(wants))
    return Ask(queue="-".join(names), names=names, wants=wanted, waited=waited, **options)


def answer(rooms: dict[str, Room], asked: Ask, *others: Waiting) -> Answer:
    (found,) = serve(rooms, others, [asked])
    return found


@pytest.mark.parametrize(
    ("rooms", "asked", "granted"),
    [
        (room("a", 3), ask("a"), 1),
        (room("a", 3), ask("a", wants=(1, 1, 1, 1)), 3),
        (room("a", 3, held=2), ask("a", wants=(1, 1)), 1),
        (room("a", 3), ask("a", wants=(2, 2)), 1),
        (room("a", 3), ask("a", wants=(2, 2, 1)), 1),  # the last one is not let past
        (room("a", 3, held=3), ask("a"), 0),
        (room("a", 0), ask("a"), 0),
        (room("a", 3, held=5), ask("a"), 0),  # the limit was lowered
        (room("a", 3), ask("a", "b"), 1),  # b is no limit
        (room("a", 1) | room("b", 1, held=1), ask("a", "b"), 0),
        (room("a", 5) | room("b", 2), ask("a", "b", wants=(1, 1, 1)), 2),
        ({}, ask("a", wants=(1, 1)), 2),
    ],
)
def test_as_many_as_there_is_room_for(rooms: dict[str, Room], asked: Ask, granted: int) -> None:
    assert answer(rooms, asked).granted == granted


def test_those_who_ask_first_are_served_first() -> None:
    answers = serve(room("a", 2), (), [ask("a", wants=(1, 1)), ask("a")])
    assert [one.granted for one in answers] == [2, 0]


def test_what_is_never_possible_is_an_error_for_the_first_one_only() -> None:
    found = answer(room("a", 2), ask("a", wants=(3,)))
    assert isinstance(found.error, ConcurrencySlotAcquisitionError)
    assert "3 slots of the concurrency limit 'a' were asked for, which has 2" in str(found.error)
    found = answer(room("a", 2), ask("a", wants=(1, 3)))
    assert (found.granted, found.error) == (1, None)


@pytest.mark.parametrize(
    ("rooms", "granted", "seconds"),
    [
        (room("a", 2, decay=4), 2, 0.25),
        (room("a", 2, spent=1.5, decay=4), 0, 0.125),
        (room("a", 2, spent=2, decay=0.1), 0, 10.0),
        (room("a", 1000, spent=1000, decay=500), 0, 0.02),  # not for each single slot
        (room("a", 1, spent=1, decay=1000), 0, 0.001),  # but in time for a limit that is soon full
        (room("a", 2, held=1, spent=1, decay=4), 0, 0.25),
        (room("a", 2, held=2, decay=4), 0, None),  # only the holder can help
        (room("a", 0, decay=4), 0, None),
    ],
)
def test_a_rate_limit_says_when_slots_come_back(rooms: dict[str, Room], granted: int, seconds: float | None) -> None:
    found = answer(rooms, ask("a", wants=(1,) * 4, rate=True))
    assert found.granted == granted
    assert found.retry_in == (None if seconds is None else pytest.approx(seconds))


def test_a_rate_limit_needs_a_decay() -> None:
    assert "has no slot decay" in str(answer(room("a", 2), ask("a", rate=True)).error)


@pytest.mark.parametrize(
    ("other", "asked", "granted"),
    [
        (Waiting(waited=5, occupy=1, names=["a"]), ask("a", waited=1), False),
        (Waiting(waited=5, occupy=1, names=["a"]), ask("a", waited=6), True),
        (Waiting(waited=0.5, occupy=1, names=["a"]), ask("a"), True),  # it has not waited for long
        (Waiting(waited=5, occupy=2, names=["a"]), ask("a"), True),  # it cannot be served anyway
        (Waiting(waited=5, occupy=1, names=["a", "b"]), ask("a"), True),  # neither can this one
        (Waiting(waited=5, occupy=1, names=["a"]), ask("a", polite=False), True),
    ],
)
def test_another_process_that_waits_for_long_has_its_turn(other: Waiting, asked: Ask, granted: bool) -> None:
    found = answer(room("a", 1) | room("b", 1, held=1), asked, other)
    assert found.granted == granted
    assert found.yielded is not granted
