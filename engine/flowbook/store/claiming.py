"""Claiming runs that are due, under the limits of pools, queues, deployments and batches.

A claim raises the run's *fence* and begins a *lease*. Nobody else writes meanwhile, so counts are right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.deploying import DEFAULT_QUEUE
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import PENDING
from flowbook.store.fencing import LEASE
from flowbook.store.limits import shared_time
from flowbook.store.processes import Process
from flowbook.store.queue import QueuedRun, is_active, is_waiting, queued_from
from flowbook.store.rows import Batch

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select, Table

    from flowbook.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimant:
    """Who claims runs: those of a pool (of some of its `queues`, if any are named), or of its own `deployments`."""

    process: Process
    pool: str | None = None
    queues: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()


def claim_due(database: Database, claimant: Claimant, now: float, most: int) -> list[QueuedRun]:
    """Take at most `most` runs whose time has come, by the priority of their queue, then the longest overdue first.

    Limits of the pool, its queues, the deployments and batches hold, whoever else claims at this moment.
    """
    claimed: list[QueuedRun] = []
    while len(claimed) < most and _is_any_due(database, claimant, now):
        with database.write() as connection:
            taken = _claim_some(connection, claimant, now, most - len(claimed))
        if not taken:
            break
        claimed += taken
    return claimed


def _is_any_due(database: Database, claimant: Claimant, now: float) -> bool:
    with database.read() as connection:
        return connection.execute(_candidates(claimant, _rooms(connection, claimant), now).limit(1)).first() is not None


def _claim_some(connection: Connection, claimant: Claimant, now: float, most: int) -> list[QueuedRun]:
    rooms = _rooms(connection, claimant)
    query = _candidates(claimant, rooms, now).limit(most)
    taken = [row for row in connection.execute(query) if rooms.take(connection, row)]
    return [_take(connection, row, claimant.process) for row in taken]


class _Rooms:
    """How many more runs the pool, its queues, deployments and batches have room for, in this transaction."""

    def __init__(self, pool: int | None, by_queue: dict[str, int | None]) -> None:
        self.pool = pool
        self.by_queue = by_queue
        self.others: dict[tuple[str, str], int] = {}

    def closed(self) -> list[str]:
        """The queues that have no room."""
        return [name for name, room in self.by_queue.items() if room is not None and room <= 0]

    def take(self, connection: Connection, row: Any) -> bool:
        """Whether there is room for this run, which it then has."""
        queue = row.queue or DEFAULT_QUEUE
        keys = []
        for column, limit in (("deployment_id", row.concurrency_limit), ("batch", row.batch_limit)):
            value = getattr(row, column)
            if value is not None and limit is not None:
                key = (column, value)
                if key not in self.others:
                    self.others[key] = limit - _active(connection, **{column: value})
                keys.append(key)
        of_queue = self.by_queue.get(queue)
        if any(room is not None and room <= 0 for room in (self.pool, of_queue, *(self.others[key] for key in keys))):
            return False
        if self.pool is not None:
            self.pool -= 1
        if of_queue is not None:
            self.by_queue[queue] = of_queue - 1
        for key in keys:
            self.others[key] -= 1
        return True


def _rooms(connection: Connection, claimant: Claimant) -> _Rooms:
    """The rooms of the pool and its queues; one that is paused has none."""
    from sqlalchemy import select

    from flowbook.store.schema import work_pool, work_queue

    if claimant.pool is None:
        return _Rooms(None, {})
    pool = connection.execute(select(work_pool).where(work_pool.c.name == claimant.pool)).one_or_none()
    room = None
    if pool is not None and pool.paused:
        room = 0
    elif pool is not None and pool.concurrency_limit is not None:
        room = pool.concurrency_limit - _active(connection, pool=claimant.pool)
    by_queue: dict[str, int | None] = {}
    for queue in connection.execute(select(work_queue).where(work_queue.c.pool == claimant.pool)):
        limit = 0 if queue.paused else queue.concurrency_limit
        if limit is not None:
            by_queue[queue.name] = limit and limit - _active(connection, pool=claimant.pool, queue=queue.name)
    return _Rooms(room, by_queue)


def _active(connection: Connection, **same: str) -> int:
    """How many runs are executed that have these values in these columns."""
    from sqlalchemy import func, select

    from flowbook.store.schema import flow_run

    conditions = [
        (func.coalesce(flow_run.c.queue, DEFAULT_QUEUE) if column == "queue" else flow_run.c[column]) == value
        for column, value in same.items()
    ]
    return int(connection.scalar(select(func.count()).select_from(flow_run).where(is_active(), *conditions)) or 0)


def _take(connection: Connection, row: Any, process: Process) -> QueuedRun:
    from sqlalchemy import update

    from flowbook.store.schema import flow_run

    fence = row.fence + 1
    mine = {"host": process.host, "pid": process.pid, "pid_started": process.started, "fence": fence}
    until = shared_time(connection) + LEASE
    connection.execute(update(flow_run).where(flow_run.c.id == row.id).values(**mine, lease=until))
    Batch([Event(kind="state", time=time.time(), flow_run_id=row.id, data=state_to_json(PENDING))]).write(connection)
    return replace(queued_from(row), fence=fence)


def collisions(database: Database, claimant: Claimant, now: float) -> list[Any]:
    """Due runs that cannot begin because their deployment executes as many as it may, where that has a consequence.

    Runs of a batch wait for each other and for the others. Rows with ``id``, ``deployment_id``, ``collision`` and
    ``name``, the oldest first.
    """
    from sqlalchemy import select

    from flowbook.store.schema import deployment, flow_run

    full = deployment.c.concurrency_limit <= _active_with_same("deployment_id")
    query = (
        select(flow_run.c.id, flow_run.c.deployment_id, deployment.c.collision, deployment.c.name)
        .join(deployment, deployment.c.id == flow_run.c.deployment_id)
        .where(is_waiting(), flow_run.c.due <= now, flow_run.c.batch.is_(None), _of(claimant))
        .where(deployment.c.collision != "ENQUEUE", full)
        .order_by(flow_run.c.due)
    )
    with database.read() as connection:
        return list(connection.execute(query))


def active_runs_of(database: Database, deployment_id: str) -> Sequence[str]:
    """The ids of the runs of a deployment that are executed and of no batch, the oldest first."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    mine = (flow_run.c.deployment_id == deployment_id, flow_run.c.batch.is_(None), is_active())
    query = select(flow_run.c.id).where(*mine)
    with database.read() as connection:
        return list(connection.scalars(query.order_by(flow_run.c.number)))


def next_due(database: Database, claimant: Claimant, *, after: float = 0.0) -> float | None:
    """When the first run that waits is due, of those due later than `after`; None if there is none.

    Both in seconds since the epoch.
    """
    from sqlalchemy import func, select

    from flowbook.store.schema import flow_run

    coming = (is_waiting(), flow_run.c.due > after, _of(claimant))
    with database.read() as connection:
        found: float | None = connection.scalar(select(func.min(flow_run.c.due)).where(*coming))
    return found


def manifests_ahead(database: Database, claimant: Claimant, most: int) -> list[dict[str, Any]]:
    """What the versions captured that the claimant's next runs may be of: of `most` deployments, those changed last."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment
    from flowbook.store.schema import deployment_version as versions

    query = (
        select(versions.c.manifest)
        .join(deployment, (deployment.c.id == versions.c.deployment_id) & (deployment.c.version == versions.c.version))
        .where(deployment.c.paused.is_(False), _belongs_to(claimant, deployment, deployment.c.id))
        .order_by(deployment.c.updated.desc())
    )
    with database.read() as connection:
        return [json.loads(manifest) for manifest in connection.scalars(query.limit(most))]


def _of(claimant: Claimant) -> ColumnElement[bool]:
    """The condition for runs that the claimant may claim, limits aside."""
    from flowbook.store.schema import flow_run

    return _belongs_to(claimant, flow_run, flow_run.c.deployment_id)


def _belongs_to(claimant: Claimant, table: Table, deployment_id: ColumnElement[str]) -> ColumnElement[bool]:
    from sqlalchemy import and_, func

    if claimant.pool is None:
        return and_(table.c.pool.is_(None), deployment_id.in_(claimant.deployments))
    mine = table.c.pool == claimant.pool
    if not claimant.queues:
        return mine
    return and_(mine, func.coalesce(table.c.queue, DEFAULT_QUEUE).in_(claimant.queues))


def _candidates(claimant: Claimant, rooms: _Rooms, now: float) -> Select[Any]:
    """Runs that could begin now: due, in a pool and queue that have room, of a deployment and batch that have."""
    from sqlalchemy import and_, false, func, or_, select

    from flowbook.store.schema import deployment, flow_run, work_queue

    of_queue = func.coalesce(flow_run.c.queue, DEFAULT_QUEUE)
    query = (
        select(flow_run, deployment.c.concurrency_limit)
        .join(deployment, deployment.c.id == flow_run.c.deployment_id)
        .outerjoin(work_queue, and_(work_queue.c.pool == flow_run.c.pool, work_queue.c.name == of_queue))
        .where(is_waiting(), flow_run.c.due <= now, _of(claimant))
        .where(_has_room(deployment.c.concurrency_limit, "deployment_id"))
        .where(or_(flow_run.c.batch.is_(None), _has_room(flow_run.c.batch_limit, "batch")))
        .order_by(func.coalesce(work_queue.c.priority, 1), flow_run.c.due, flow_run.c.number)
    )
    if closed := rooms.closed():
        query = query.where(of_queue.not_in(closed))
    return query.where(false()) if rooms.pool is not None and rooms.pool <= 0 else query


def _has_room(limit: ColumnElement[Any], column: str) -> ColumnElement[bool]:
    from sqlalchemy import or_

    return or_(limit.is_(None), limit > _active_with_same(column))


def _active_with_same(column: str) -> Any:
    """How many runs are executed that have the same value in `column`."""
    from sqlalchemy import func, select

    from flowbook.store.schema import flow_run

    other = flow_run.alias("other")
    same = (other.c[column] == flow_run.c[column], is_active(other))
    return select(func.count()).select_from(other).where(*same).correlate(flow_run).scalar_subquery()
