"""Each due time makes exactly one run, and of times that were missed only the latest does."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from flowbook import engine
from flowbook.promote import promote
from flowbook.run.ids import new_id
from flowbook.schedule.fires import MOST_MISSED, due_fires, make_due_runs, schedules_in_force
from flowbook.schedule.loop import LOOK_EVERY, Loop, Scheduler
from flowbook.schedules import Cron, Interval
from flowbook.store.database import Database
from flowbook.store.deployments import find_deployment, save_version
from flowbook.store.processes import Process, this_process
from flowbook.store.queue import claim, due_runs, request_run, take_over
from flowbook.store.schema import deployment, fire, flow_run, schedule

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.fixture
def database() -> Database:
    return engine.engine().database


def deploy(database: Database, cron: str, *, since: float = MIDNIGHT, **options: Any) -> Any:
    return save_version(
        database,
        name="report",
        flow="report",
        manifest={"parameters": {"n": 1}},
        schedules=[{"cron": cron, **options}],
        new_id=new_id,
        now=since,
    )


def fires(database: Database) -> list[tuple[float, str]]:
    with database.read() as connection:
        rows = connection.execute(select(fire.c.fire_time, fire.c.outcome).order_by(fire.c.fire_time))
        return [(row.fire_time - MIDNIGHT, row.outcome) for row in rows]


def count_runs(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(flow_run)) or 0


def test_a_due_time_makes_one_run_however_often_it_is_looked_at(database: Database) -> None:
    deploy(database, "0 7 * * *", parameters={"m": 2})
    (planned,) = schedules_in_force(database)
    assert planned.next_after(MIDNIGHT) == MIDNIGHT + 7 * HOUR
    assert make_due_runs(database, planned, MIDNIGHT + 7 * HOUR - 0.1) == []
    made = make_due_runs(database, planned, MIDNIGHT + 7 * HOUR + 0.1)
    assert make_due_runs(database, planned, MIDNIGHT + 7 * HOUR + 0.2) == []
    (run,) = due_runs(database, MIDNIGHT + 8 * HOUR, 10)
    assert [run.id] == made
    assert (run.due, run.trigger, run.parameters) == (MIDNIGHT + 7 * HOUR, "schedule", {"n": 1, "m": 2})


def test_many_schedulers_make_one_run(database: Database, home: Path) -> None:
    deploy(database, "0 * * * *")
    others = [Database(str(database.url)) for _ in range(4)]
    start = threading.Barrier(len(others))
    made: list[str] = []

    def look(mine: Database) -> None:
        (planned,) = schedules_in_force(mine)
        start.wait()
        for hour in range(1, 6):
            made.extend(make_due_runs(mine, planned, MIDNIGHT + hour * HOUR + 1))

    threads = [threading.Thread(target=look, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert len(made) == count_runs(database) == 5
    assert fires(database) == [(hour * HOUR, "run") for hour in range(1, 6)]


def test_of_missed_times_the_latest_runs_and_the_others_are_recorded(database: Database) -> None:
    deploy(database, "0 * * * *")
    (planned,) = schedules_in_force(database)
    make_due_runs(database, planned, MIDNIGHT + 4.5 * HOUR)
    assert fires(database) == [(HOUR, "missed"), (2 * HOUR, "missed"), (3 * HOUR, "missed"), (4 * HOUR, "run")]
    assert count_runs(database) == 1


def test_times_that_are_only_just_late_all_run(database: Database) -> None:
    deploy(database, "* * * * * *")
    (planned,) = schedules_in_force(database)
    make_due_runs(database, planned, MIDNIGHT + 3.5)
    assert fires(database) == [(1.0, "run"), (2.0, "run"), (3.0, "run")]


def test_days_of_a_minutely_schedule_are_caught_up_at_once(database: Database) -> None:
    deploy(database, "* * * * *")
    (planned,) = schedules_in_force(database)
    began = datetime.now(UTC)
    make_due_runs(database, planned, MIDNIGHT + 3 * 24 * HOUR)
    assert (datetime.now(UTC) - began).total_seconds() < 2
    assert len(fires(database)) == 3 * 24 * 60
    assert count_runs(database) == 1


@pytest.mark.parametrize(
    ("planned", "after", "expected"),
    [
        (Cron("* * * * * *"), 30 * 24 * HOUR, MOST_MISSED),
        (Cron("0 7 * * *"), 30 * 24 * HOUR, 30),
        (Interval(6 * HOUR), 10 * 24 * HOUR, 40),
        (Cron("0 0 29 2 *"), 20 * 365 * 24 * HOUR, 5),
        (Cron("0 7 * * *"), -HOUR, 0),
    ],
)
def test_due_fires_end_at_now_and_are_ascending(planned: Any, after: float, expected: int) -> None:
    found = due_fires(planned, MIDNIGHT - after, MIDNIGHT)
    assert len(found) == expected
    assert found == sorted(set(found))
    assert all(time <= MIDNIGHT for time in found)


def test_what_was_before_the_schedule_does_not_run(database: Database) -> None:
    deploy(database, "0 * * * *", since=MIDNIGHT + 3.5 * HOUR)
    (planned,) = schedules_in_force(database)
    make_due_runs(database, planned, MIDNIGHT + 4 * HOUR)
    assert fires(database) == [(4 * HOUR, "run")]


def test_inactive_schedules_and_paused_deployments_are_not_in_force(database: Database) -> None:
    deploy(database, "0 * * * *")
    for table, values in ((deployment, {"paused": True}), (schedule, {"active": False})):
        with database.write() as connection:
            connection.execute(update(table).values(**values))
        assert schedules_in_force(database) == []
        with database.write() as connection:
            connection.execute(update(deployment).values(paused=False))


def test_only_one_claim_succeeds_and_an_old_fence_is_refused(database: Database) -> None:
    saved = deploy(database, "0 7 * * *")
    run = request_run(database, new_id(), saved, {})
    assert claim(database, run, this_process()) == 1
    assert claim(database, run, this_process()) is None
    assert due_runs(database, datetime.now(UTC).timestamp() + 1, 10) == []
    other = Process(host="elsewhere", pid=1, started=1.0)
    assert not take_over(database, run.id, 0, other)
    assert take_over(database, run.id, 1, other)


class FakeClock:
    """Time passes only where somebody waits, and `at` says what happens then."""

    def __init__(self, now: float, *, until: float, stop: threading.Event) -> None:
        self.time = now
        self.until = until
        self.stop = stop
        self.pauses: list[float] = []
        self.at: dict[float, Any] = {}

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        for due in [due for due in self.at if due <= self.time]:
            self.at.pop(due)()
        if self.time >= self.until:
            self.stop.set()


def test_the_loop_sleeps_until_the_next_due_time(database: Database) -> None:
    deploy(database, "*/10 * * * * *")
    stop = threading.Event()
    clock = FakeClock(MIDNIGHT, until=MIDNIGHT + 25, stop=stop)
    seen: list[float] = []
    scheduler = Scheduler(database)

    def work() -> None:
        seen.extend(clock.time - run.due for run in due_runs(database, clock.time, 10) if run.due == clock.time)

    Loop(scheduler, work, stop=stop, clock=clock).run()
    assert fires(database) == [(10.0, "run"), (20.0, "run")]
    assert seen == [0.0, 0.0]
    assert max(clock.pauses) <= LOOK_EVERY
    assert len(clock.pauses) < 60  # at most every half second, and once for each due time


def test_the_loop_learns_of_a_schedule_that_is_deployed_meanwhile(database: Database) -> None:
    stop = threading.Event()
    clock = FakeClock(MIDNIGHT, until=MIDNIGHT + 130, stop=stop)
    clock.at[MIDNIGHT + 30] = lambda: deploy(database, "* * * * *", since=clock.time)
    Loop(Scheduler(database), lambda: None, stop=stop, clock=clock).run()
    assert fires(database) == [(60.0, "run"), (120.0, "run")]


def test_trouble_with_the_store_does_not_end_the_loop(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flowbook"), "propagate", True)
    deploy(database, "* * * * *")
    stop = threading.Event()
    clock = FakeClock(MIDNIGHT, until=MIDNIGHT + 130, stop=stop)
    troubles = iter([OSError("disk is full")])

    def work() -> None:
        for trouble in troubles:
            raise trouble

    Loop(Scheduler(database), work, stop=stop, clock=clock).run()
    assert fires(database) == [(60.0, "run"), (120.0, "run")]
    assert "Trying again in 5 s: disk is full" in caplog.text


def test_a_schedule_that_cannot_be_read_does_not_stop_the_others(database: Database) -> None:
    deploy(database, "0 * * * *")
    save_version(
        database,
        name="other",
        flow="o",
        manifest={"parameters": {}},
        schedules=[{"lunar": "full"}],
        now=MIDNIGHT,
        new_id=new_id,
    )
    assert [planned.deployment.name for planned in schedules_in_force(database)] == ["report"]


def test_a_new_version_is_what_the_next_fire_runs(make_notebook: Any, database: Database) -> None:
    path = make_notebook("book", "# parameters\nn: int = 1")
    promote(path, cron="* * * * * *", parameters={"n": 2})
    promote(path, parameters={"n": 3})
    since = find_deployment(database, "book").created
    (planned,) = schedules_in_force(database)
    make_due_runs(database, planned, since + 1.5)
    runs = due_runs(database, since + 2, 10)
    assert {(run.version, run.parameters["n"]) for run in runs} == {(2, 3)}
