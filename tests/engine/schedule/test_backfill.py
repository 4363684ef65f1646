"""Making up for the past: one run for each time of a window, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.deployed import DAY, HOUR, MIDNIGHT, ask, at_once, deploy, fires, process, runs

from flowbook import engine
from flowbook.errors import NotFound, UsageError
from flowbook.schedule.backfill import MOST, Backfilled, backfill, backfilled_schedules, missed_count, plan_backfill
from flowbook.schedule.fires import make_due_runs
from flowbook.store.claiming import Claimant, claim_due, collisions
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment, schedules_of, set_schedule_active
from flowbook.store.fires import recent_fires

pytestmark = pytest.mark.usefixtures("store_url")

NOW = MIDNIGHT + 30 * DAY


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(MIDNIGHT, UTC) + timedelta(seconds=seconds)


def make(
    database: Database,
    deployment: Deployment,
    since: float,
    until: float,
    *,
    again: bool = False,
    schedule: str | None = None,
    now: float = NOW,
    **options: Any,
) -> Backfilled:
    schedules = backfilled_schedules(database, deployment, schedule)
    plan = plan_backfill(database, deployment, schedules, moment(since), moment(until), again=again, now=now)
    return backfill(database, plan, now=now, **options)


def test_there_is_a_run_for_each_time_from_the_first_to_before_the_last(database: Database) -> None:
    report = deploy(database, "0 7 * * *", since=NOW)
    made = make(database, report, 7 * HOUR, 3 * DAY + 7 * HOUR)
    assert fires(database) == [(day * DAY + 7 * HOUR, "run") for day in range(3)]
    found = runs(database)
    assert [run.id for run in found] == list(made.flow_run_ids)
    assert {(run.trigger, run.due, run.batch, run.state_name) for run in found} == {
        ("backfill", NOW, made.batch, "Scheduled")
    }


def test_placeholders_mean_the_time_that_is_made_up_for(database: Database) -> None:
    said = {"start": "{{ data_interval_start }}", "day": "{{ scheduled_time.date }}", "n": 1}
    report = deploy(database, {"cron": "0 0 * * *", "timezone": "Europe/Zurich"}, since=NOW, parameters=said)
    make(database, report, 0, 2 * DAY, parameters={"n": 5})
    assert [run.parameters for run in runs(database)] == [
        {"start": "2026-03-02T00:00:00+01:00", "day": "2026-03-03", "n": 5},
        {"start": "2026-03-03T00:00:00+01:00", "day": "2026-03-04", "n": 5},
    ]


def test_what_is_given_goes_before_the_parameters_of_the_schedule(database: Database) -> None:
    report = deploy(database, {"cron": "0 0 * * *", "parameters": {"n": 2, "m": 2}}, since=NOW, parameters={"n": 1})
    make(database, report, 0, DAY, parameters={"n": 3})
    assert [run.parameters for run in runs(database)] == [{"n": 3, "m": 2}]


def test_the_same_backfill_makes_nothing_twice(database: Database) -> None:
    report = deploy(database, "0 * * * *", since=NOW)
    assert len(make(database, report, 0, 3 * HOUR).flow_run_ids) == 3
    assert len(make(database, report, HOUR, 5 * HOUR).flow_run_ids) == 2
    assert make(database, report, 0, 5 * HOUR).flow_run_ids == []
    assert len(make(database, report, 0, 5 * HOUR, again=True).flow_run_ids) == 5
    assert len(fires(database)) == 5


def test_times_that_ran_by_schedule_are_left_out_also_those_of_a_schedule_before(database: Database) -> None:
    report = deploy(database, "0 * * * *")
    make_due_runs(database, MIDNIGHT + HOUR)
    make_due_runs(database, MIDNIGHT + 2 * HOUR)
    report = deploy(database, "*/30 * * * *", since=MIDNIGHT + 2 * HOUR)
    plan = plan_backfill(
        database, report, backfilled_schedules(database, report, None), moment(0), moment(2.5 * HOUR), now=NOW
    )
    assert [when.timestamp() - MIDNIGHT for when in plan.moments()] == [0, HOUR / 2, 1.5 * HOUR]
    assert plan.done == 2


def test_no_scheduler_makes_again_what_was_made_up_for(database: Database) -> None:
    report = deploy(database, {"cron": "0 * * * *", "catchup": "all"})
    make(database, report, 0, 4 * HOUR, now=MIDNIGHT + 4.5 * HOUR)
    make_due_runs(database, MIDNIGHT + 4.5 * HOUR)
    make_due_runs(database, MIDNIGHT + 5 * HOUR)
    assert fires(database) == [(hour * HOUR, "run") for hour in range(6)]
    assert len(runs(database)) == 6


def test_of_times_that_were_missed_those_that_are_left_stay_missed(database: Database) -> None:
    report = deploy(database, {"cron": "0 * * * *", "catchup": "skip"})
    now = MIDNIGHT + 7.5 * HOUR
    make_due_runs(database, now)
    assert fires(database) == [(HOUR, "missed", 7 * HOUR)]
    make(database, report, 2 * HOUR, 3 * HOUR, now=now)
    assert fires(database) == [(HOUR, "missed", 7 * HOUR), (2 * HOUR, "run")]
    (missed,) = [fire for fire in recent_fires(database, report.id, 10) if fire.outcome == "missed"]
    assert missed_count(database, missed) == 6
    make(database, report, 0, 2 * HOUR, now=now)
    assert fires(database) == [
        (0.0, "run"),
        (HOUR, "run"),
        (2 * HOUR, "run"),
        (3 * HOUR, "missed", 7 * HOUR),
    ]
    make(database, report, 0, 7 * HOUR, now=now)
    assert fires(database)[-2:] == [(6 * HOUR, "run"), (7 * HOUR, "missed")]
    make(database, report, 0, 7.5 * HOUR, now=now)
    assert fires(database) == [(hour * HOUR, "run") for hour in range(8)]


def test_two_backfills_at_once_make_each_run_once(database: Database) -> None:
    report = deploy(database, "0 * * * *", since=NOW)
    made = at_once(*[lambda: make(database, report, 0, 20 * DAY)] * 2)
    assert sum(len(each.flow_run_ids) for each in made) == len(runs(database)) == len(fires(database)) == 480


def test_so_many_of_it_are_executed_at_a_time_and_others_need_not_wait_for_it(database: Database) -> None:
    report = deploy(database, "0 * * * *", since=NOW)
    made = make(database, report, 0, 5 * HOUR, max_parallel=2)
    other = ask(database, deploy(database, name="other", since=NOW), NOW)
    claimed = claim_due(database, Claimant(process=process(1), pool="default"), NOW, 10)
    assert [run.id for run in claimed] == [*made.flow_run_ids[:2], other.id]


@pytest.mark.parametrize("collision", ["CANCEL_NEW", "CANCEL_PREVIOUS"])
def test_runs_of_a_backfill_wait_where_others_would_be_cancelled(database: Database, collision: str) -> None:
    report = deploy(database, "0 * * * *", since=NOW, concurrency_limit=1, collision=collision)
    make(database, report, 0, 5 * HOUR, max_parallel=3)
    claimant = Claimant(process=process(1), pool="default")
    assert len(claim_due(database, claimant, NOW, 10)) == 1
    assert collisions(database, claimant, NOW) == []


def test_scheduled_times_are_not_skipped_because_a_backfill_waits(database: Database) -> None:
    report = deploy(database, "0 * * * *", since=NOW, concurrency_limit=1, collision="CANCEL_NEW")
    make(database, report, 0, 5 * HOUR)
    make_due_runs(database, NOW + HOUR)
    assert fires(database)[-1] == (NOW + HOUR - MIDNIGHT, "run")


def test_a_backfill_that_was_interrupted_is_finished_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowbook.schedule import backfill as module

    report = deploy(database, "*/10 * * * *", since=NOW)
    real, calls = module.add_runs, 0

    def fail_at_the_third(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError("the disk is full")
        real(*args)

    monkeypatch.setattr(module, "add_runs", fail_at_the_third)
    with pytest.raises(OSError, match="full"):
        make(database, report, 0, 4 * DAY)
    assert len(runs(database)) == 400
    make(database, report, 0, 4 * DAY)
    assert len(runs(database)) == len(fires(database)) == 4 * 144
    assert all(before < after for before, after in pairwise(fires(database)))


def test_the_schedules_that_are_made_up_for(database: Database) -> None:
    report = deploy(
        database, {"cron": "0 7 * * *", "slug": "a"}, {"cron": "0 8 * * *", "slug": "b", "active": False}, since=NOW
    )
    assert [each.slug for each in backfilled_schedules(database, report, None)] == ["a"]
    assert [each.slug for each in backfilled_schedules(database, report, "b")] == ["b"]
    set_schedule_active(
        database, next(each.id for each in schedules_of(database, report.id) if each.slug == "a"), False
    )
    with pytest.raises(NotFound, match="No schedule of deployment 'report' is active; say which one with --schedule"):
        backfilled_schedules(database, report, None)
    with pytest.raises(NotFound, match="has no schedule that says for which times it would run"):
        backfilled_schedules(database, deploy(database, name="plain"), None)


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        (0.0, 31 * DAY, "in the future"),
        (DAY, DAY, "end before it begins"),
        (0.0, 8 * DAY, f"more than {MOST:,} fires"),
    ],
)
def test_windows_that_are_refused(database: Database, since: float, until: float, says: str) -> None:
    report = deploy(database, "* * * * *", since=NOW)
    with pytest.raises(UsageError, match=says):
        make(database, report, since, until)
    assert runs(database) == []
