"""Whether schedules fire: which workers live, which pools have schedules and no worker, when the next fire is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowbook.schedules import from_dict, next_fires
from flowbook.store.workers import LivingWorker, living_workers

if TYPE_CHECKING:
    from flowbook.store.database import Database

#: So many schedules are looked at, those that are due first in front. Only long after the last worker are more due.
_MOST = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """`idle_pools` have active schedules and no worker. `next_fire` is in seconds since the epoch."""

    workers: Sequence[LivingWorker]
    deployments: int
    schedules: int
    idle_pools: Sequence[str]
    next_fire: float | None

    @property
    def fires(self) -> bool:
        """Whether there are active schedules, and all of them make runs that are executed."""
        return self.schedules > 0 and not self.idle_pools


def standing(database: Database, now: float) -> Standing:
    """How it is now."""
    from sqlalchemy import func, select

    from flowbook.store.schema import deployment, schedule

    active = (schedule.c.next_due.is_not(None), deployment.c.pool.is_not(None))
    per_pool = (
        select(deployment.c.pool, func.count().label("schedules"))
        .join(schedule, schedule.c.deployment_id == deployment.c.id)
        .where(*active)
        .group_by(deployment.c.pool)
        .order_by(deployment.c.pool)
    )
    soonest = (
        select(schedule.c.spec, schedule.c.next_due)
        .where(schedule.c.next_due.is_not(None))
        .order_by(schedule.c.next_due)
        .limit(_MOST)
    )
    workers = living_workers(database, now)
    served = {worker.pool for worker in workers}
    with database.read() as connection:
        pools = list(connection.execute(per_pool))
        deployments = connection.scalar(select(func.count()).select_from(deployment)) or 0
        fires = [_next(row.spec, row.next_due, now) for row in connection.execute(soonest)]
    return Standing(
        workers=workers,
        deployments=deployments,
        schedules=sum(row.schedules for row in pools),
        idle_pools=[row.pool for row in pools if row.pool not in served],
        next_fire=min((fire for fire in fires if fire is not None), default=None),
    )


def needs_worker(database: Database, pool: str, now: float) -> bool:
    """Whether there is a deployment of this pool, and no worker lives that executes its runs."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment

    with database.read() as connection:
        if connection.scalar(select(deployment.c.id).where(deployment.c.pool == pool).limit(1)) is None:
            return False
    return not any(worker.pool == pool for worker in living_workers(database, now))


def _next(spec: str, next_due: float, now: float) -> float | None:
    """The next fire of a schedule. One that is due already was not looked at by any worker yet."""
    if next_due > now:
        return next_due
    found = next_fires(from_dict(json.loads(spec)), datetime.fromtimestamp(now, UTC), 1)
    return found[0].timestamp() if found else None
