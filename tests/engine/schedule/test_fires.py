"""Each due time makes exactly one run; what was missed is made up for as the schedule says, and recorded."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import insert
from tests.deployed import DAY, HOUR, MIDNIGHT, ask, count, deploy, dues, fires, runs, statements

from flowbook import engine
from flowbook.promote import promote
from flowbook.run.ids import new_id
from flowbook.schedule.fires import CHUNK, MOST_CAUGHT_UP, last_fires, make_due_runs, next_due
from flowbook.schedules import Cron, Interval
from flowbook.store.database import Database
from flowbook.store.deployments import find_deployment, schedules_of, set_paused, set_schedule_active
from flowbook.store.schema import deployment, fire, flow_run, schedule

pytestmark = pytest.mark.usefixtures("store_url")


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


def look(database: Database, *times: float) -> list[str]:
    """Make the runs that are due at these times, in seconds after MIDNIGHT."""
    return [run_id for time in times for run_id in make_due_runs(database, MIDNIGHT + time)]


def test_a_due_time_makes_one_run_however_often_it_is_looked_at(database: Database) -> None:
    deploy(database, {"cron": "0 7 * * *", "parameters": {"m": 2}}, parameters={"n": 1}, tags=("nightly",))
    assert look(database, 0, 7 * HOUR - 0.1) == []
    made = look(database, 7 * HOUR + 0.1, 7 * HOUR + 0.2, 8 * HOUR)
    (run,) = runs(database)
    assert [run.id] == made
    assert (run.due, run.trigger, run.parameters) == (MIDNIGHT + 7 * HOUR, "schedule", {"n": 1, "m": 2})
    assert (run.state_name, run.version, run.pool, run.tags) == ("Scheduled", 1, "default", '["nightly"]')
    assert fires(database) == [(7 * HOUR, "run")]


def test_it_is_known_when_the_next_run_is_due(database: Database) -> None:
    assert next_due(database) is None
    deploy(database, "0 7 * * *", "0 9 * * *")
    look(database, 0)
    assert next_due(database) == MIDNIGHT + 7 * HOUR
    look(database, 7 * HOUR)
    assert next_due(database) == MIDNIGHT + 9 * HOUR
    look(database, 9 * HOUR)
    assert next_due(database) == MIDNIGHT + 31 * HOUR


def test_every_schedule_of_a_deployment_fires_with_its_own_parameters(database: Database) -> None:
    deploy(
        database,
        {"cron": "0 7 * * *", "parameters": {"full": False}},
        {"cron": "0 7 * * *", "parameters": {"full": True}},
        {"interval": 6 * HOUR, "anchor_date": "2026-03-02T00:00:00+00:00"},
        parameters={"full": None, "n": 1},
    )
    look(database, 6 * HOUR, 7 * HOUR)
    found = sorted((run.due - MIDNIGHT, str(run.parameters["full"]), run.parameters["n"]) for run in runs(database))
    assert found == [(6 * HOUR, "None", 1), (7 * HOUR, "False", 1), (7 * HOUR, "True", 1)]


def test_what_was_before_the_schedule_does_not_run(database: Database) -> None:
    deploy(database, "0 * * * *", since=MIDNIGHT + 3 * HOUR)
    look(database, 3 * HOUR, 4 * HOUR)
    assert fires(database) == [(4 * HOUR, "run")], "nor does the fire of the moment in which it is deployed"


def test_times_that_are_only_just_late_all_run(database: Database) -> None:
    deploy(database, "* * * * * *")
    look(database, 3.5)
    assert fires(database) == [(1.0, "run"), (2.0, "run"), (3.0, "run")]


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [
        ("one", [(HOUR, "missed", 3 * HOUR), (4 * HOUR, "run")]),
        ("all", [(HOUR, "run"), (2 * HOUR, "run"), (3 * HOUR, "run"), (4 * HOUR, "run")]),
        ("skip", [(HOUR, "missed", 4 * HOUR)]),
    ],
)
def test_missed_times_run_as_the_schedule_says_and_the_others_are_recorded(
    database: Database, catchup: str, expected: list[Any]
) -> None:
    deploy(database, {"cron": "0 * * * *", "catchup": catchup})
    look(database, 4.5 * HOUR)
    assert fires(database) == expected
    assert dues(database) == [time for time, outcome, *_ in expected if outcome == "run"]
    look(database, 5 * HOUR)
    assert fires(database) == [*expected, (5 * HOUR, "run")], "a time that is not missed runs in any case"


@pytest.mark.parametrize("catchup", ["one", "skip"])
def test_a_time_that_is_due_now_runs_and_those_before_it_are_missed(database: Database, catchup: str) -> None:
    deploy(database, {"cron": "0 * * * *", "catchup": catchup})
    look(database, 2 * HOUR + 1)
    assert fires(database) == [(HOUR, "missed"), (2 * HOUR, "run")]


def test_a_single_missed_time_is_recorded_as_such(database: Database) -> None:
    deploy(database, {"cron": "0 * * * *", "catchup": "skip"})
    look(database, 1.5 * HOUR)
    assert fires(database) == [(HOUR, "missed")]
    assert runs(database) == []


def test_only_so_many_missed_times_are_made_up_for(database: Database) -> None:
    deploy(database, {"cron": "* * * * *", "catchup": "all"})
    look(database, 3 * DAY)
    first = 3 * DAY - (MOST_CAUGHT_UP - 1) * 60
    assert fires(database)[:2] == [(60.0, "missed", first - 60), (first, "run")]
    assert dues(database) == [first + 60 * number for number in range(MOST_CAUGHT_UP)]


def test_restart_after_three_days_makes_one_run_for_each_schedule(database: Database) -> None:
    for number in range(100):
        deploy(database, "* * * * *", name=f"report-{number}")
    look(database, 60)
    with statements(database) as seen:
        look(database, 60 + 3 * DAY)
    assert count(database, flow_run) == 200
    assert count(database, fire) == 300
    assert sorted(set(fires(database))) == [
        (60.0, "run"),
        (120.0, "missed", 3 * DAY),
        (60 + 3 * DAY, "run"),
    ]
    assert len(seen) < 20, "however many of them there are"


def test_many_schedules_that_are_due_together_are_dealt_with_in_parts(database: Database) -> None:
    wanted = 2 * CHUNK + 1
    with database.write() as connection:
        _insert_deployments(connection, wanted, MIDNIGHT + 60)
    assert len(look(database, 60)) == wanted
    assert fires(database) == [(60.0, "run")] * wanted


def test_at_rest_it_costs_the_same_however_many_deployments_there_are(database: Database) -> None:
    deploy(database, "0 0 1 1 *")
    look(database, 0)
    with statements(database) as few:
        assert look(database, 1) == []
    with database.write() as connection:
        _insert_deployments(connection, 10_000, MIDNIGHT + DAY)
    with statements(database) as many:
        assert look(database, 2) == []
    assert many == few
    assert sum("schedule" in statement for statement in many) == 1


def _insert_deployments(connection: Any, number: int, due: float) -> None:
    ids = [(new_id(), new_id()) for _ in range(number)]
    made = {"flow": "f", "version": 1, "created": MIDNIGHT, "updated": MIDNIGHT}
    planned = {"spec": '{"cron": "* * * * *"}', "since": MIDNIGHT, "next_due": due, "as_of": MIDNIGHT}
    connection.execute(insert(deployment), [{"id": first, "name": first, **made} for first, _ in ids])
    connection.execute(insert(schedule), [{"id": second, "deployment_id": first, **planned} for first, second in ids])


@pytest.mark.parametrize(
    ("planned", "before", "expected"),
    [
        (Cron("* * * * * *"), 30 * DAY, 1000),
        (Cron("0 7 * * *"), 30 * DAY, 30),
        (Interval(6 * HOUR), 10 * DAY - 1, 40),
        (Cron("0 0 29 2 *"), 20 * 365 * DAY, 5),
        (Cron("0 7 * * *"), -HOUR, 0),
    ],
)
def test_the_last_fires_end_at_now_and_ascend(planned: Any, before: float, expected: int) -> None:
    found = last_fires(planned, MIDNIGHT - before, MIDNIGHT, 1000)
    assert len(found) == expected
    assert found == sorted(set(found))
    assert all(time <= MIDNIGHT for time in found)
    assert last_fires(planned, MIDNIGHT - before, MIDNIGHT, 2) == found[-2:]


def test_jitter_puts_runs_off_by_what_anybody_computes_alike(database: Database) -> None:
    deploy(database, {"cron": "0 * * * *", "catchup": "all", "jitter": 300})
    look(database, 60 * HOUR)
    delays = [run.due - MIDNIGHT - HOUR * number for number, run in enumerate(runs(database), 1)]
    assert len(delays) == 60
    assert all(0 <= delay < 300 for delay in delays)
    assert max(delays) - min(delays) > 150
    with database.write() as connection:  # as if nobody had looked yet
        for statement in (flow_run.delete(), fire.delete(), schedule.update().values(next_due=MIDNIGHT)):
            connection.execute(statement)
    look(database, *(hour * HOUR for hour in range(1, 61)))
    assert [run.due - MIDNIGHT - HOUR * number for number, run in enumerate(runs(database), 1)] == delays


def test_placeholders_are_replaced_when_a_run_is_made(database: Database) -> None:
    parameters = {
        "window": ["{{ data_interval_start }}", "{{data_interval_end}}"],
        "path": {"of": "out/{{ scheduled_time.date }}/{{ run_id }}.csv"},
        "day": "{{ data_interval_start.date }}",
        "n": 1,
    }
    deploy(
        database,
        {"cron": "0 7 * * 1-5", "timezone": "Europe/Zurich", "parameters": {"label": "as of {{ scheduled_time }}"}},
        parameters=parameters,
    )
    look(database, 8 * HOUR)  # of a Monday
    (run,) = runs(database)
    assert run.parameters == {
        "window": ["2026-02-27T07:00:00+01:00", "2026-03-02T07:00:00+01:00"],
        "path": {"of": f"out/2026-03-02/{run.id}.csv"},
        "day": "2026-02-27",
        "n": 1,
        "label": "as of 2026-03-02T07:00:00+01:00",
    }


def test_the_interval_of_the_first_fire_of_all_is_empty(database: Database) -> None:
    rule = "DTSTART:20260302T070000Z\nRRULE:FREQ=DAILY"
    deploy(database, {"rrule": rule}, parameters={"since": "{{ data_interval_start }}"})
    look(database, 7 * HOUR, 31 * HOUR)
    assert [run.parameters["since"] for run in runs(database)] == ["2026-03-02T07:00:00+00:00"] * 2


def test_a_fire_that_would_overlap_makes_no_run_where_that_is_said(database: Database) -> None:
    saved = deploy(database, "0 * * * *", concurrency_limit=1, collision="CANCEL_NEW")
    look(database, HOUR, 2 * HOUR)
    assert fires(database) == [(HOUR, "run"), (2 * HOUR, "skipped")]
    assert dues(database) == [HOUR]
    with database.write() as connection:
        connection.execute(flow_run.update().values(state_type="COMPLETED", state_name="Completed"))
    look(database, 3 * HOUR)
    assert fires(database)[2:] == [(3 * HOUR, "run")]
    assert [run.deployment_id for run in runs(database)] == [saved.id] * 2


def test_two_schedules_of_one_moment_do_not_overlap_either(database: Database) -> None:
    deploy(database, "0 * * * *", "0 */2 * * *", concurrency_limit=1, collision="CANCEL_NEW")
    look(database, 2 * HOUR)
    assert sorted(outcome for _, outcome, *_ in fires(database)) == ["missed", "run", "skipped"]
    assert len(runs(database)) == 1


@pytest.mark.parametrize("collision", ["ENQUEUE", "CANCEL_PREVIOUS"])
def test_elsewhere_a_fire_makes_its_run_however_many_there_are(database: Database, collision: str) -> None:
    saved = deploy(database, "0 * * * *", concurrency_limit=1, collision=collision)
    ask(database, saved)
    look(database, HOUR, 2 * HOUR)
    assert fires(database) == [(HOUR, "run"), (2 * HOUR, "run")]


def test_fires_of_a_pause_are_passed_over(database: Database) -> None:
    saved = deploy(database, "0 * * * *")
    look(database, HOUR)
    set_paused(database, saved.id, True, now=MIDNIGHT + 1.5 * HOUR)
    assert next_due(database) is None
    assert look(database, 2 * HOUR, 3 * HOUR) == []
    set_paused(database, saved.id, False, now=MIDNIGHT + 3.5 * HOUR)
    look(database, 3.5 * HOUR, 4 * HOUR)
    assert fires(database) == [(HOUR, "run"), (4 * HOUR, "run")]


def test_saying_twice_that_a_deployment_goes_on_loses_no_fire(database: Database) -> None:
    saved = deploy(database, "0 * * * *")
    set_paused(database, saved.id, False, now=MIDNIGHT + HOUR + 5)
    look(database, HOUR + 6)
    assert fires(database) == [(HOUR, "run")]


def test_one_schedule_can_be_stopped_by_itself(database: Database) -> None:
    saved = deploy(database, {"cron": "0 * * * *", "slug": "hourly"}, {"cron": "30 * * * *", "slug": "half"})
    (hourly,) = [each for each in schedules_of(database, saved.id) if each.spec["slug"] == "hourly"]
    set_schedule_active(database, hourly.id, False, now=MIDNIGHT + 60)
    look(database, 0.5 * HOUR, HOUR, 1.5 * HOUR)
    assert dues(database) == [0.5 * HOUR, 1.5 * HOUR]
    set_schedule_active(database, hourly.id, True, now=MIDNIGHT + 2.2 * HOUR)
    look(database, 2.2 * HOUR, 2.5 * HOUR, 3 * HOUR)
    assert dues(database) == [0.5 * HOUR, 1.5 * HOUR, 2.5 * HOUR, 3 * HOUR]


def test_a_deployment_that_is_made_paused_waits_until_it_is_resumed(database: Database) -> None:
    saved = deploy(database, "0 * * * *", paused=True)
    assert look(database, HOUR) == []
    assert deploy(database, "0 * * * *", since=MIDNIGHT + 1.5 * HOUR).paused, "a new version changes nothing about it"
    assert look(database, 2 * HOUR) == []
    deploy(database, "0 * * * *", since=MIDNIGHT + 2.5 * HOUR, paused=False)
    look(database, 2.5 * HOUR, 3 * HOUR)
    assert fires(database) == [(3 * HOUR, "run")]
    assert find_deployment(database, "report").id == saved.id


def test_an_inactive_schedule_makes_no_runs(database: Database) -> None:
    deploy(database, {"cron": "0 * * * *", "active": False})
    assert look(database, HOUR) == []


def test_a_schedule_that_is_deployed_again_keeps_its_fires(database: Database) -> None:
    deploy(database, "0 * * * *")
    look(database, HOUR)
    deploy(database, "0 * * * *", since=MIDNIGHT + HOUR + 1)
    look(database, HOUR + 2)
    assert fires(database) == [(HOUR, "run")]
    deploy(database, "0 * * * *", since=MIDNIGHT + 2 * HOUR + 1)  # of which nobody has noticed yet that it is due
    look(database, 2 * HOUR + 2)
    assert fires(database) == [(HOUR, "run"), (2 * HOUR, "run")]
    assert [run.version for run in runs(database)] == [1, 3]


def test_a_schedule_that_is_taken_away_and_comes_back_begins_then(database: Database) -> None:
    deploy(database, "0 * * * *")
    look(database, HOUR)
    deploy(database, since=MIDNIGHT + 1.2 * HOUR)
    assert look(database, 2 * HOUR) == []
    deploy(database, "0 * * * *", since=MIDNIGHT + 2.2 * HOUR)
    look(database, 2.2 * HOUR, 3 * HOUR)
    assert fires(database) == [(HOUR, "run"), (3 * HOUR, "run")]


def test_a_schedule_that_comes_to_its_end_is_not_looked_at_any_more(database: Database) -> None:
    deploy(database, {"rrule": "DTSTART:20260302T010000Z\nRRULE:FREQ=HOURLY;COUNT=2"})
    look(database, HOUR, 2 * HOUR, 3 * HOUR)
    assert fires(database) == [(HOUR, "run"), (2 * HOUR, "run")]
    assert next_due(database) is None


def test_a_schedule_that_cannot_be_read_does_not_stop_the_others(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flowbook"), "propagate", True)
    deploy(database, {"lunar": "full"}, name="other")
    deploy(database, "0 * * * *")
    look(database, HOUR)
    assert fires(database) == [(HOUR, "run")]
    assert next_due(database) == MIDNIGHT + 2 * HOUR
    assert "A schedule of deployment 'other' is not in force any more" in caplog.text


def test_a_new_version_is_what_the_next_fire_runs(make_notebook: Any, database: Database) -> None:
    path = make_notebook("book", "# parameters\nn: int = 1")
    promote(path, cron="* * * * * *", parameters={"n": 2})
    promote(path, parameters={"n": 3})
    make_due_runs(database, find_deployment(database, "book").created + 1.5)
    assert {(run.version, run.parameters["n"]) for run in runs(database)} == {(2, 3)}
