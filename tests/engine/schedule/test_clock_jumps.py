"""A clock that is set forward and back again makes no storm of runs, no stall, and no second run for any fire."""

from __future__ import annotations

import logging

import pytest
from tests.deployed import DAY, HOUR, MIDNIGHT, count, deploy, dues, fires, runs

from flowbook import engine
from flowbook.schedule.fires import make_due_runs, next_due, set_right
from flowbook.store.database import Database
from flowbook.store.deployments import set_paused
from flowbook.store.schema import fire

pytestmark = pytest.mark.usefixtures("store_url")

YEARS = 3653 * DAY
TEN_MINUTES = 600.0


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


def turn(database: Database, *times: float) -> None:
    """What the loop does at these times of its clock, in seconds after MIDNIGHT."""
    for time in times:
        set_right(database, MIDNIGHT + time)
        make_due_runs(database, MIDNIGHT + time)


def every(step: float, begin: float, end: float) -> list[float]:
    return [begin + step * number for number in range(int((end - begin) / step) + 1)]


@pytest.mark.parametrize("ahead", [HOUR, DAY, YEARS])
@pytest.mark.parametrize("catchup", ["one", "skip"])
def test_forward_and_back_again(database: Database, ahead: float, catchup: str) -> None:
    deploy(database, {"cron": "*/10 * * * *", "catchup": catchup})
    turn(database, TEN_MINUTES, 2 * TEN_MINUTES + ahead + 1, 3 * TEN_MINUTES + ahead)
    assert dues(database) == [TEN_MINUTES, 2 * TEN_MINUTES + ahead, 3 * TEN_MINUTES + ahead]
    assert count(database, fire) == 4

    back = every(TEN_MINUTES, 2 * TEN_MINUTES, 2 * HOUR)
    turn(database, 2 * TEN_MINUTES - 30, *back)
    expected = {TEN_MINUTES, 2 * TEN_MINUTES + ahead, 3 * TEN_MINUTES + ahead, *back}
    assert dues(database) == sorted(expected), "what ran by the clock that was ahead does not run again"
    assert count(database, fire) == len(expected)


@pytest.mark.parametrize("ahead", [HOUR, DAY, YEARS])
def test_what_is_made_up_for_by_a_clock_that_is_ahead_does_not_run_again(database: Database, ahead: float) -> None:
    deploy(database, {"cron": "0 * * * *", "catchup": "all"})
    turn(database, ahead + 0.5 * HOUR)
    made = dues(database)
    assert made == every(HOUR, max(HOUR, ahead - 999 * HOUR), ahead)
    turn(database, *every(HOUR, HOUR, 30 * HOUR))
    assert dues(database) == sorted({*made, *every(HOUR, HOUR, 30 * HOUR)})


def test_down_until_after_the_times_that_ran_too_early(database: Database) -> None:
    deploy(database, "*/10 * * * *")
    turn(database, HOUR)  # an hour ahead: the fires before it are missed, by that clock
    turn(database, 30)
    assert fires(database) == [(HOUR, "run")]
    turn(database, 2.05 * HOUR)
    assert fires(database) == [
        (TEN_MINUTES, "missed", 11 * TEN_MINUTES),
        (HOUR, "run"),
        (2 * HOUR, "run"),
    ]


def test_the_first_missed_time_may_have_run_too_early(database: Database) -> None:
    deploy(database, "0 * * * *")
    turn(database, HOUR, 30, 5.5 * HOUR)
    assert fires(database) == [(HOUR, "run"), (2 * HOUR, "missed", 4 * HOUR), (5 * HOUR, "run")]
    assert next_due(database) == MIDNIGHT + 6 * HOUR


def test_a_little_back_is_not_worth_a_word(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    deploy(database, "* * * * *")
    turn(database, 60, 31, 60, 119, 120)
    assert dues(database) == [60, 120]
    assert caplog.text == ""


def test_it_is_said_when_the_clock_was_set_back(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flowbook"), "propagate", True)
    deploy(database, "* * * * *")
    turn(database, DAY, 60, 61, 120)
    said = {(record.created, record.getMessage()) for record in caplog.records}
    assert [message for _, message in said] == [
        "The clock was set back; the next runs of 1 schedules were computed anew."
    ]


def test_what_was_deployed_by_a_clock_that_was_ahead_runs_by_the_right_one(database: Database) -> None:
    deploy(database, "0 * * * *", since=MIDNIGHT + YEARS)
    turn(database, 0.5 * HOUR, HOUR)
    assert fires(database) == [(HOUR, "run")]


def test_a_schedule_that_has_ended_by_a_clock_that_was_ahead_goes_on(database: Database) -> None:
    deploy(database, {"rrule": "DTSTART:20260302T000000Z\nRRULE:FREQ=HOURLY;UNTIL=20270101T000000Z"})
    turn(database, YEARS)
    assert next_due(database) is None
    turn(database, 0.5 * HOUR, HOUR)
    assert HOUR in dues(database)


def test_what_was_paused_by_a_clock_that_was_ahead_stays_paused(database: Database) -> None:
    saved = deploy(database, "0 * * * *")
    deploy(database, {"cron": "0 * * * *", "active": False}, name="inactive")
    turn(database, YEARS)
    before = len(runs(database))
    set_paused(database, saved.id, True, now=MIDNIGHT + YEARS)
    turn(database, 0.5 * HOUR, 5 * HOUR)
    assert next_due(database) is None
    assert len(runs(database)) == before
