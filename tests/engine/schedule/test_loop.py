"""The loop sleeps until something is due, learns of what is new, and survives trouble."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from tests.deployed import MIDNIGHT, FakeClock, deploy, fires, runs

from flowbook import engine
from flowbook.schedule.loop import LOOK_EVERY, Loop
from flowbook.store.database import Database

pytestmark = pytest.mark.usefixtures("store_url")


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MIDNIGHT, until=MIDNIGHT + 130, stop=threading.Event())


def loop(database: Database, clock: FakeClock, work: Callable[[float], float | None] = lambda now: None) -> None:
    Loop(database, work, stop=clock.stop, clock=clock).run()


def test_it_sleeps_until_the_next_due_time(database: Database, clock: FakeClock) -> None:
    deploy(database, "*/10 * * * * *")
    clock.until = MIDNIGHT + 25
    seen: list[float] = []

    def work(now: float) -> None:
        seen.extend(now - run.due for run in runs(database)[len(seen) :])

    loop(database, clock, work)
    assert fires(database) == [(10.0, "run"), (20.0, "run")]
    assert seen == [0.0, 0.0], "not a moment late"
    assert max(clock.pauses) <= LOOK_EVERY
    assert len(clock.pauses) < 60
    assert clock.is_closed


def test_it_sleeps_until_there_is_work(database: Database, clock: FakeClock) -> None:
    due = MIDNIGHT + 7.25
    at: list[float] = []

    def work(now: float) -> float | None:
        at.append(now)
        return due if now < due else None

    loop(database, clock, work)
    assert due in at
    assert all(pause > 0 for pause in clock.pauses)


def test_it_learns_of_a_schedule_that_is_deployed_meanwhile(database: Database, clock: FakeClock) -> None:
    clock.at[MIDNIGHT + 30] = lambda: deploy(database, "* * * * *", since=clock.time)
    loop(database, clock)
    assert fires(database) == [(60.0, "run"), (120.0, "run")]


def test_trouble_with_the_store_does_not_end_it(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flowbook"), "propagate", True)
    deploy(database, "* * * * *")
    troubles = iter([OSError("disk is full")])

    def work(now: float) -> None:
        for trouble in troubles:
            raise trouble

    loop(database, clock, work)
    assert fires(database) == [(60.0, "run"), (120.0, "run")]
    assert "Trying again in 5 s: disk is full" in caplog.text


@pytest.mark.parametrize("ahead", [3600.0, 86_400.0, 3653 * 86_400.0])
def test_a_clock_that_jumps_under_it_neither_floods_nor_stops_it(
    database: Database, clock: FakeClock, ahead: float
) -> None:
    deploy(database, "* * * * *")

    def jump(seconds: float) -> None:
        clock.time += seconds

    def forward() -> None:
        jump(ahead)
        clock.at[clock.time + 2] = lambda: jump(-ahead)

    clock.until = MIDNIGHT + 2 * ahead
    clock.at[MIDNIGHT + 90] = forward
    turns = 0

    def work(now: float) -> None:
        nonlocal turns
        turns += 1
        if MIDNIGHT + 250 < now < MIDNIGHT + 300:
            clock.stop.set()

    loop(database, clock, work)
    early = MIDNIGHT + 60 + ahead
    assert [run.due for run in runs(database)] == [
        MIDNIGHT + 60,
        early,
        *(MIDNIGHT + due for due in (120, 180, 240)),
    ]
    assert turns < 300
