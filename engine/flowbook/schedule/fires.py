"""Due times become runs: exactly one run for each, however many schedulers look.

A time is a row of ``fire`` under a unique key, inserted in the transaction that inserts its run. Times that were missed
while nothing ran follow the catch-up rule ``one``: the latest of them gets a run, the others are recorded as missed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowbook.run.ids import new_id
from flowbook.schedules import InvalidSchedule, Schedule, from_dict
from flowbook.store.deployments import Deployment, StoredSchedule, live_schedules, manifest_of
from flowbook.store.queue import add_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.schedule")

#: A fire is on time when it is noticed within so many seconds; each of those gets a run.
ON_TIME = 15.0
#: So many missed fires of one schedule are recorded at once; older ones are passed over.
MOST_MISSED = 5_000

_FIRST_WINDOW, _WIDER = 60.0, 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A schedule in force, with what it makes runs of."""

    stored: StoredSchedule
    schedule: Schedule
    deployment: Deployment

    def next_after(self, time: float) -> float | None:
        """The first fire after `time`, both in seconds since the epoch; None if there is none."""
        found = next(self.schedule.fires(_moment(time)), None)
        return None if found is None else found.timestamp()


def schedules_in_force(database: Database) -> list[Planned]:
    """The schedules that make runs now. One that cannot be read is reported, and the others go on."""
    found = []
    for stored, deployment in live_schedules(database):
        try:
            found.append(Planned(stored=stored, schedule=from_dict(stored.spec), deployment=deployment))
        except InvalidSchedule as error:
            _log.error("A schedule of deployment %r is not in force: %s", deployment.name, error)
    return found


def make_due_runs(database: Database, planned: Planned, now: float) -> list[str]:
    """Make the runs of the fires of one schedule that are due at `now`; returns the ids of those made here."""
    from sqlalchemy.exc import IntegrityError

    parameters = {
        **manifest_of(database, planned.deployment.id, planned.deployment.version)["parameters"],
        **planned.schedule.parameters,
    }
    made = []
    try:
        with database.write() as connection:
            due = due_fires(planned.schedule, _last_fire(connection, planned.stored), now)
            for fire_time in due:
                runs = fire_time == due[-1] or fire_time > now - ON_TIME
                run_id = None
                if runs:
                    run_id = new_id()
                    add_run(
                        connection, run_id, planned.deployment, parameters, due=fire_time, trigger="schedule", now=now
                    )
                    made.append(run_id)
                _record_fire(connection, planned.stored, fire_time, run_id)
    except IntegrityError:  # another scheduler was first, so its runs are there and ours are not
        return []
    return made


def due_fires(schedule: Schedule, after: float, now: float) -> list[float]:
    """The fires after `after` up to `now`, ascending, at most the latest `MOST_MISSED`; in seconds since the epoch.

    The time before `now` is looked at in windows that grow, so that years of a dense schedule cost little.
    """
    if now <= after:
        return []
    window = _FIRST_WINDOW
    while True:
        start = max(after, now - window)
        found = list(_until(schedule, start, now))
        if start == after or len(found) >= MOST_MISSED:
            return found[-MOST_MISSED:]
        window *= _WIDER


def _until(schedule: Schedule, after: float, now: float) -> Iterator[float]:
    for fire in schedule.fires(_moment(after)):
        time = fire.timestamp()
        if time > now:
            return
        yield time


def _last_fire(connection: Connection, stored: StoredSchedule) -> float:
    """The fires up to here are dealt with."""
    from sqlalchemy import func, select

    from flowbook.store.schema import fire

    last = connection.scalar(select(func.max(fire.c.fire_time)).where(fire.c.schedule_id == stored.id))
    return stored.since if last is None else max(stored.since, last)


def _record_fire(connection: Connection, stored: StoredSchedule, time: float, run_id: str | None) -> None:
    from sqlalchemy import insert

    from flowbook.store.schema import fire

    row = {"schedule_id": stored.id, "fire_time": time, "deployment_id": stored.deployment_id, "flow_run_id": run_id}
    connection.execute(insert(fire).values(**row, outcome="run" if run_id else "missed"))


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=time)
