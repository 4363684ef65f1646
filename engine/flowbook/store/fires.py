"""What became of the fires of a deployment's schedules, as the table ``fire`` says."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Fire:
    """A fire, or several in a row that were missed, from `time` to `until`; in seconds since the epoch.

    `outcome` is ``run``, ``missed`` or ``skipped``; `run` and `state` are those of the run it made, as far as it is
    kept. `spec` is that of its schedule, None if the deployment does not have that any more.
    """

    schedule_id: str
    spec: str | None
    slug: str | None
    time: float
    until: float
    outcome: str
    flow_run_id: str | None
    run: int | None
    state: str | None


def recent_fires(database: Database, deployment_id: str, most: int) -> list[Fire]:
    """The last fires of a deployment that something has become of, the newest first."""
    with database.read() as connection:
        rows = [
            row for each in schedules_with_fires(connection, deployment_id) for row in _last(connection, each, most)
        ]
    return [_fire(row) for row in heapq.nlargest(most, rows, key=lambda row: row.fire_time)]


def schedules_with_fires(connection: Connection, deployment_id: str) -> Iterator[str]:
    """The ids of the schedules of a deployment that have fired, also of those it had before. Each costs one look."""
    from sqlalchemy import func, select

    from flowbook.store.schema import fire

    found: str | None = ""
    while True:
        later = (fire.c.deployment_id == deployment_id, fire.c.schedule_id > found)
        found = connection.scalar(select(func.min(fire.c.schedule_id)).where(*later))
        if found is None:
            return
        yield found


def _last(connection: Connection, schedule_id: str, most: int) -> list[Any]:
    from sqlalchemy import desc, select

    from flowbook.store.schema import fire, flow_run, schedule

    query = (
        select(fire, schedule.c.spec, schedule.c.slug, flow_run.c.number, flow_run.c.state_name)
        .outerjoin(schedule, schedule.c.id == fire.c.schedule_id)
        .outerjoin(flow_run, flow_run.c.id == fire.c.flow_run_id)
        .where(fire.c.schedule_id == schedule_id)
        .order_by(desc(fire.c.fire_time))
        .limit(most)
    )
    return list(connection.execute(query))


def _fire(row: Any) -> Fire:
    return Fire(
        schedule_id=row.schedule_id,
        spec=row.spec,
        slug=row.slug,
        time=row.fire_time,
        until=row.fire_time if row.until is None else row.until,
        outcome=row.outcome,
        flow_run_id=row.flow_run_id,
        run=row.number,
        state=row.state_name,
    )
