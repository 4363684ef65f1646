"""Runs for times that have passed: one for each fire of a window, as if the deployment had been there then.

A fire that is made up for is recorded like any other, so nothing makes it run twice: neither a second backfill, nor a
scheduler.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice, takewhile
from math import inf, nextafter
from shlex import quote
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotFound, UsageError
from flowbook.run.ids import new_id
from flowbook.schedule.fires import fires_from, make_due_runs, run_for_fire
from flowbook.schedules import Schedule, from_dict
from flowbook.store.deployments import Deployment, StoredSchedule, schedule_of, schedules_of
from flowbook.store.queue import add_runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database
    from flowbook.store.fires import Fire

#: So many runs one backfill makes at most.
MOST = 10_000
_CHUNK = 200  # runs that are made in one transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Backfill:
    """What a backfill is going to do. Times are in seconds since the epoch.

    `fires` are those that make a run, each with the id of its schedule, in the order of their times, and `again` those
    of them that have made one before; `done` is how many others of the window have made one already.
    """

    deployment: Deployment
    schedules: Mapping[str, Schedule] = field(repr=False)
    fires: Sequence[tuple[float, str]] = field(repr=False)
    again: frozenset[tuple[float, str]] = field(repr=False)
    done: int

    def moments(self) -> Iterator[datetime]:
        """The times of the fires, each in the zone of its schedule."""
        for moment, schedule_id in self.fires:
            yield datetime.fromtimestamp(moment, UTC).astimezone(self.schedules[schedule_id].zone)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backfilled:
    """The runs that a backfill has made: the id of their batch, and theirs."""

    batch: str
    flow_run_ids: Sequence[str]


def backfilled_schedules(database: Database, deployment: Deployment, name: str | None) -> list[StoredSchedule]:
    """The schedules whose fires are made up for: the one of this slug or id, or all that are active.

    Raises NotFound if there are none.
    """
    if name is not None:
        return [schedule_of(database, deployment, name)]
    known = schedules_of(database, deployment.id)
    active = [each for each in known if each.active]
    if not known:
        raise NotFound(
            f"Deployment {deployment.name!r} has no schedule that says for which times it would run; give it one with: "
            f"flowbook deployment schedule create {quote(deployment.name)} --cron '0 7 * * *'"
        )
    if not active:
        raise NotFound(f"No schedule of deployment {deployment.name!r} is active; say which one with --schedule.")
    return active


def plan_backfill(
    database: Database,
    deployment: Deployment,
    schedules: Sequence[StoredSchedule],
    since: datetime,
    until: datetime,
    *,
    again: bool = False,
    now: float | None = None,
) -> Backfill:
    """What a backfill of the fires from the aware time `since` on, and before `until`, is going to do.

    With `again`, those that have made a run already make another one. Raises UsageError if the window ends in the
    future or before it begins, or has more than `MOST` fires.
    """
    end = time.time() if now is None else now
    if until.timestamp() > end:
        raise UsageError(
            f"The backfill would end at {until.isoformat(timespec='seconds')}, which is in the future: the schedule "
            "makes those runs."
        )
    if since >= until:
        raise UsageError("The backfill would end before it begins; give an earlier --from.")
    planned = {each.id: from_dict(each.spec) for each in schedules}
    found: list[tuple[float, str]] = []
    for schedule_id, schedule in planned.items():
        window = takewhile(lambda moment: moment < until.timestamp(), fires_from(schedule, since.timestamp()))
        found += [(moment, schedule_id) for moment in islice(window, MOST + 1)]
    with database.read() as connection:
        made = _made(connection, deployment, planned, since.timestamp(), until.timestamp())
    wanted = sorted(found if again else [fire for fire in found if fire not in made])
    if len(found) > MOST:
        raise UsageError(
            f"There are more than {MOST:,} fires from {since.isoformat()} to {until.isoformat()}; "
            "a backfill makes at most so many runs: take a shorter window."
        )
    return Backfill(
        deployment=deployment,
        schedules=planned,
        fires=wanted,
        again=frozenset(made) if again else frozenset(),
        done=len(found) - len(wanted),
    )


def backfill(
    database: Database,
    plan: Backfill,
    *,
    parameters: Mapping[str, Any] | None = None,
    max_parallel: int | None = None,
    now: float | None = None,
) -> Backfilled:
    """Make the runs of a plan, the earliest fires first; at most `max_parallel` of them are executed at a time.

    `parameters` go before those of the deployment and its schedules. Should this be interrupted, the same backfill
    makes the rest.
    """
    now = time.time() if now is None else now
    make_due_runs(database, now)  # so that no scheduler comes later upon a fire that is recorded here
    given = parameters or {}
    schedules = {
        schedule_id: replace(schedule, parameters={**schedule.parameters, **given})
        for schedule_id, schedule in plan.schedules.items()
    }
    batch, made = new_id(), []
    options: dict[str, Any] = {"trigger": "backfill", "due": now, "batch": batch, "batch_limit": max_parallel}
    for first in range(0, len(plan.fires), _CHUNK):
        chunk = plan.fires[first : first + _CHUNK]
        runs = {fire: run_for_fire(plan.deployment, schedules[fire[1]], fire[0], **options) for fire in chunk}
        with database.write() as connection:
            for fire in _made_meanwhile(connection, plan, chunk):
                del runs[fire]
            add_runs(connection, [(plan.deployment, run) for run in runs.values()], now)
            _record(connection, plan, [(*fire, run.id) for fire, run in runs.items()])
        made += [run.id for run in runs.values()]
    return Backfilled(batch=batch, flow_run_ids=made)


def _made(
    connection: Connection, deployment: Deployment, planned: Mapping[str, Schedule], since: float, until: float
) -> set[tuple[float, str]]:
    """The fires of the window that have made a run: also by a schedule that the deployment had before, for any now."""
    from sqlalchemy import select

    from flowbook.store.fires import schedules_with_fires
    from flowbook.store.schema import fire, schedule

    current = set(connection.scalars(select(schedule.c.id).where(schedule.c.deployment_id == deployment.id)))
    made: set[tuple[float, str]] = set()
    for schedule_id in [*schedules_with_fires(connection, deployment.id)]:
        if schedule_id in current and schedule_id not in planned:
            continue
        window = (fire.c.schedule_id == schedule_id, fire.c.fire_time >= since, fire.c.fire_time < until)
        for moment in connection.scalars(select(fire.c.fire_time).where(*window, fire.c.outcome == "run")):
            made |= {(moment, each) for each in ([schedule_id] if schedule_id in planned else planned)}
    return made


def _made_meanwhile(
    connection: Connection, plan: Backfill, fires: Sequence[tuple[float, str]]
) -> set[tuple[float, str]]:
    """Those of the fires that have made a run since they were planned: by a scheduler, or by another backfill."""
    after_last = nextafter(fires[-1][0], inf)
    made = _made(connection, plan.deployment, plan.schedules, fires[0][0], after_last)
    return (made - plan.again) & set(fires)


def _record(connection: Connection, plan: Backfill, made: Sequence[tuple[float, str, str]]) -> None:
    """Record that these fires have made a run: a time, the id of a schedule and that of a run for each."""
    from sqlalchemy import delete, insert, select

    from flowbook.store.schema import fire

    if not made:
        return
    rows = [_row(plan, moment, of, outcome="run", flow_run_id=run_id) for moment, of, run_id in made]
    for of in {of for _, of, _ in made}:
        mine = [moment for moment, each, _ in made if each == of]
        these = (fire.c.schedule_id == of, fire.c.fire_time.in_(mine))
        several = select(fire).where(*these, fire.c.outcome == "missed", fire.c.until.is_not(None))
        missed = [(row.fire_time, row.until) for row in connection.execute(several)]
        connection.execute(delete(fire).where(*these))
        rows += [
            _row(plan, left, of, outcome="missed", until=until if until > left else None)
            for first, until in missed
            if (left := _first_left(connection, plan.schedules[of], of, first, until, mine))
        ]
    connection.execute(insert(fire), rows)


def _first_left(
    connection: Connection, schedule: Schedule, schedule_id: str, since: float, until: float, made: Sequence[float]
) -> float | None:
    """The first of the fires from `since` to `until`, which were missed, that still is: neither `made` nor recorded."""
    from sqlalchemy import select

    from flowbook.store.schema import fire

    window = (fire.c.schedule_id == schedule_id, fire.c.fire_time >= since, fire.c.fire_time <= until)
    known = {*made, *connection.scalars(select(fire.c.fire_time).where(*window))}
    fires = takewhile(lambda moment: moment <= until, fires_from(schedule, since))
    return next((moment for moment in fires if moment not in known), None)


def _row(plan: Backfill, moment: float, schedule_id: str, **values: Any) -> dict[str, Any]:
    empty = {"flow_run_id": None, "until": None}
    named = {"schedule_id": schedule_id, "fire_time": moment, "deployment_id": plan.deployment.id}
    return {**empty, **named, **values}


def missed_count(database: Database, fire: Fire) -> int | None:
    """How many fires one row of them stands for, at most `MOST`; None if the schedule is not known any more."""
    from sqlalchemy import func, select

    from flowbook.store.schema import fire as fires

    if fire.time == fire.until:
        return 1
    if fire.spec is None:
        return None
    within = (fires.c.schedule_id == fire.schedule_id, fires.c.fire_time > fire.time, fires.c.fire_time <= fire.until)
    with database.read() as connection:
        made_up_for = connection.scalar(select(func.count()).select_from(fires).where(*within)) or 0
    window = takewhile(lambda moment: moment <= fire.until, fires_from(from_dict(json.loads(fire.spec)), fire.time))
    return sum(1 for _ in islice(window, MOST)) - made_up_for
