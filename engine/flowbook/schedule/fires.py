"""Due times become runs: exactly one run for each, however many schedulers look.

The next due time of each schedule stands in the database, so a scheduler keeps nothing in mind: it asks for the
schedules that are due, and makes their runs in the transaction that moves their next due time on. A fire is a row under
a unique key as well, inserted in the transaction that inserts its run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice, takewhile
from math import inf, nextafter
from typing import TYPE_CHECKING, Any

from flowbook.core.deploying import Collision
from flowbook.core.templates import RunMoment, has_placeholder, render
from flowbook.run.ids import new_id
from flowbook.schedules import InvalidSchedule, Schedule, from_dict
from flowbook.store.bulk import insert_rows, update_rows
from flowbook.store.deployments import Deployment
from flowbook.store.queue import NewRun, add_runs, is_active, is_waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.schedule")

#: A fire is on time when it is noticed within so many seconds; each of those gets a run.
ON_TIME = 15.0
#: So many missed fires of one schedule are made up for at most; older ones are recorded as missed.
MOST_CAUGHT_UP = 1_000
#: So many schedules are dealt with in one transaction, so that the first runs need not wait for the last.
CHUNK = 250
#: A due time that was computed so many seconds after now was computed by a clock that was wrong.
_CLOCK_WENT_BACK = 60.0

_FIRST_WINDOW, _WIDER, _LONGEST = 60.0, 4.0, 40e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What becomes of the fires of one schedule that are due: times in seconds since the epoch, ascending.

    `missed` is the first and the last of those that make no run. `next_due` is None if the schedule has ended.
    """

    runs: Sequence[float] = ()
    missed: tuple[float, float] | None = None
    next_due: float | None = None


@dataclass(slots=True)
class _Made:
    """What one transaction is going to write."""

    runs: list[tuple[Deployment, NewRun]] = field(default_factory=list)
    fires: list[dict[str, Any]] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)


def make_due_runs(database: Database, now: float) -> list[str]:
    """Make the runs of all fires that are due at `now`, seconds since the epoch; returns the ids of those made here."""
    made: list[str] = []
    while True:
        first = next_due(database)
        if first is None or first > now:
            return made
        with database.write() as connection:
            made += _deal_with(connection, _due_schedules(connection, now), now)


def next_due(database: Database) -> float | None:
    """When the next fire of any schedule is due, in seconds since the epoch; None if no schedule is in force."""
    from sqlalchemy import func, select

    from flowbook.store.schema import schedule

    with database.read() as connection:
        found: float | None = connection.scalar(select(func.min(schedule.c.next_due)))
    return found


def set_right(database: Database, now: float) -> int:
    """Compute the due times anew that a clock has computed which was ahead of the one now; returns how many.

    Fires of times that have not come are not missed. Those that made a run stay, so that none makes a second one.
    """
    from sqlalchemy import delete, select, update

    from flowbook.store.schema import deployment, fire, schedule

    wrong = (schedule.c.as_of > now + _CLOCK_WENT_BACK,)
    with database.read() as connection:
        if connection.execute(select(schedule.c.id).where(*wrong).limit(1)).first() is None:
            return 0
    with database.write() as connection:
        ids = list(connection.scalars(select(schedule.c.id).where(*wrong)))
        mine = (fire.c.schedule_id.in_(ids), fire.c.outcome != "run")
        connection.execute(delete(fire).where(*mine, fire.c.fire_time >= now))
        connection.execute(update(fire).where(*mine, fire.c.until > now).values(until=now))
        changed = update(schedule).where(schedule.c.id.in_(ids))
        connection.execute(changed.values(as_of=now))
        connection.execute(changed.where(schedule.c.since > now).values(since=now))
        paused = select(deployment.c.id).where(deployment.c.paused)  # what has ended by that clock may not have by ours
        in_force = (schedule.c.active, schedule.c.deployment_id.not_in(paused))
        connection.execute(changed.where(*in_force).values(next_due=now))
    _log.warning("The clock was set back; the next runs of %d schedules were computed anew.", len(ids))
    return len(ids)


def decide(schedule: Schedule, since: float, now: float) -> Decision:
    """What becomes of the fires from `since` up to `now`, in seconds since the epoch."""
    coming = fires_from(schedule, since)
    first = next(coming, None)
    if first is None or first > now:
        return Decision(next_due=first)
    if first > now - ON_TIME:  # as nearly always
        runs = [first]
        for time in coming:
            if time > now:
                return Decision(runs=runs, next_due=time)
            runs.append(time)
        return Decision(runs=runs)
    following = _first_from(schedule, _just_after(now))
    runs = on_time = list(_between(schedule, _just_after(now - ON_TIME), now))
    if schedule.catchup == "all":
        runs = last_fires(schedule, since, now, MOST_CAUGHT_UP)
    elif schedule.catchup == "one" and not on_time:
        runs = last_fires(schedule, since, now, 1)
    until = last_fires(schedule, since, _just_before(runs[0]) if runs else now, 1)
    return Decision(runs=runs, missed=(first, until[0]) if until else None, next_due=following)


def last_fires(schedule: Schedule, since: float, until: float, most: int) -> list[float]:
    """The last `most` fires from `since` to `until`, ascending, all in seconds since the epoch.

    The time before `until` is looked at in windows that grow, so that years of a dense schedule cost little.
    """
    window = _FIRST_WINDOW
    while True:
        begin = max(since, until - window)
        found = list(_between(schedule, begin, until))
        if begin == since or len(found) >= most or window > _LONGEST:
            return found[-most:]
        window *= _WIDER


def previous_fire(schedule: Schedule, time: float) -> float:
    """The fire before the one at `time`; `time` itself if there is none. In seconds since the epoch."""
    found = last_fires(schedule, time - _LONGEST, _just_before(time), 1)
    return found[0] if found else time


def moment_of(schedule: Schedule, run_id: str, time: float) -> RunMoment:
    """What placeholders in the parameters of the run for the fire at `time` mean."""
    return RunMoment(
        run_id=run_id,
        scheduled=_moment(time).astimezone(schedule.zone),
        previous=lambda: _moment(previous_fire(schedule, time)).astimezone(schedule.zone),
    )


def run_for_fire(
    deployment: Deployment, schedule: Schedule, time: float, *, trigger: str, due: float, **options: Any
) -> NewRun:
    """The run of `deployment` for a fire at `time`, that begins at `due`, with its placeholders replaced."""
    run_id = new_id()
    parameters: Any = {**deployment.parameters, **schedule.parameters}
    if has_placeholder(parameters):
        parameters = render(parameters, moment_of(schedule, run_id, time))
    return NewRun(id=run_id, parameters=parameters, due=due, trigger=trigger, **options)


def _deal_with(connection: Connection, rows: Sequence[Any], now: float) -> list[str]:
    """Make the runs of these schedules, and move their due times on; returns the ids of the runs."""
    from sqlalchemy import bindparam, update

    from flowbook.store import schema

    decided = [(row, *_decided(row, now)) for row in rows]
    known = _recorded(connection, [row.id for row in rows])
    made = _Made()
    for row, planned, fires in decided:
        if planned is not None:
            _plan(connection, made, row, planned, fires, known)
        made.moved.append({"of": row.id, "due": fires.next_due, "now": now})
    add_runs(connection, made.runs, now)
    insert_rows(connection, schema.fire, made.fires)
    moved = update(schema.schedule).where(schema.schedule.c.id == bindparam("of"))
    update_rows(connection, moved.values(next_due=bindparam("due"), as_of=bindparam("now")), made.moved)
    return [run.id for _, run in made.runs]


def _due_schedules(connection: Connection, now: float) -> list[Any]:
    """Some schedules that are due, with their deployments."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment, schedule

    columns = [column.label(f"of_{column.name}") for column in deployment.c]
    query = (
        select(schedule, *columns)
        .join(deployment, deployment.c.id == schedule.c.deployment_id)
        .where(schedule.c.next_due <= now)
        .order_by(schedule.c.next_due)
        .limit(CHUNK)
    )
    return list(connection.execute(query))


def _decided(row: Any, now: float) -> tuple[Schedule | None, Decision]:
    """The schedule of a row, and what becomes of its fires. One that cannot be read is reported and ends."""
    try:
        return _parsed(row.spec), _decision(row.spec, max(row.next_due, _just_after(row.since)), now)
    except InvalidSchedule as error:
        _log.error("A schedule of deployment %r is not in force any more: %s", row.of_name, error)
        return None, Decision()


def _plan(
    connection: Connection,
    made: _Made,
    row: Any,
    planned: Schedule,
    fires: Decision,
    known: set[tuple[str, float]],
) -> None:
    from flowbook.store.deployments import deployment_from

    deployment = deployment_from(row, "of_")
    room = _room(connection, deployment, made) if fires.runs else None
    for time in fires.runs:
        if (row.id, time) in known:
            continue
        run = None
        if room is None or room > 0:
            due = time + _jitter(row.id, time, planned.jitter)
            run = run_for_fire(deployment, planned, time, trigger="schedule", due=due)
            made.runs.append((deployment, run))
            room = None if room is None else room - 1
        made.fires.append(_fire(row, time, outcome="skipped" if run is None else "run", run=run))
    if fires.missed is not None:
        first, until = fires.missed
        unknown = (time for time in _between(planned, first, until) if (row.id, time) not in known)
        for time in islice(unknown, 1):
            made.fires.append(_fire(row, time, outcome="missed", until=None if until == time else until))


def _room(connection: Connection, deployment: Deployment, made: _Made) -> int | None:
    """For how many more runs there is room, where a fire that finds none makes no run; else None."""
    settings = deployment.settings
    if settings.concurrency_limit is None or settings.collision is not Collision.CANCEL_NEW:
        return None
    from sqlalchemy import and_, func, or_, select

    from flowbook.store.schema import flow_run

    mine = (flow_run.c.deployment_id == deployment.id, or_(is_active(), and_(is_waiting(), flow_run.c.batch.is_(None))))
    stored = connection.scalar(select(func.count()).select_from(flow_run).where(*mine)) or 0
    return settings.concurrency_limit - stored - sum(of.id == deployment.id for of, _ in made.runs)


def _recorded(connection: Connection, schedule_ids: Sequence[str]) -> set[tuple[str, float]]:
    """The fires of these schedules that are to come, and are dealt with already: by a clock that was ahead."""
    from sqlalchemy import select

    from flowbook.store.schema import fire, schedule

    query = (
        select(fire.c.schedule_id, fire.c.fire_time)
        .join(schedule, schedule.c.id == fire.c.schedule_id)
        .where(schedule.c.id.in_(schedule_ids), fire.c.fire_time >= schedule.c.next_due)
    )
    return {(row.schedule_id, row.fire_time) for row in connection.execute(query)}


def _fire(
    row: Any, time: float, *, outcome: str, run: NewRun | None = None, until: float | None = None
) -> dict[str, Any]:
    return {
        "schedule_id": row.id,
        "fire_time": time,
        "deployment_id": row.deployment_id,
        "flow_run_id": None if run is None else run.id,
        "outcome": outcome,
        "until": until,
    }


@lru_cache(maxsize=20_000)
def _parsed(spec: str) -> Schedule:
    import json

    return from_dict(json.loads(spec))


@lru_cache(maxsize=256)  # what fires in the same second mostly does so by the same schedule
def _decision(spec: str, since: float, now: float) -> Decision:
    return decide(_parsed(spec), since, now)


def _jitter(schedule_id: str, time: float, most: float) -> float:
    """Seconds from 0 to `most`, always the same for one fire."""
    if not most:
        return 0.0
    digest = sha256(f"{schedule_id} {time}".encode()).digest()
    return most * int.from_bytes(digest[:8], "big") / 2**64


def _first_from(schedule: Schedule, time: float) -> float | None:
    """The first fire at `time` or after it."""
    return next(fires_from(schedule, time), None)


def _between(schedule: Schedule, since: float, until: float) -> Iterator[float]:
    """The fires from `since` to `until`, both included."""
    return takewhile(lambda time: time <= until, fires_from(schedule, since))


def fires_from(schedule: Schedule, time: float) -> Iterator[float]:
    """The fires at `time` or after it: to the bit, as a datetime, which has microseconds, is not."""
    found = (fire.timestamp() for fire in schedule.fires(_moment(time) - timedelta(microseconds=1)))
    return (fire for fire in found if fire >= time)


def _just_after(time: float) -> float:
    return nextafter(time, inf)


def _just_before(time: float) -> float:
    return nextafter(time, -inf)


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=time)
