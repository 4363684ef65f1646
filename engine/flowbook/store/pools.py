"""Work pools and their queues: where runs of deployments wait, and how many of them are executed at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.core.deploying import DEFAULT_QUEUE, MADE_ON_DEMAND
from flowbook.errors import NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkPool:
    """A pool. `settings` is for workers of its `type`; `created` and `updated` are in seconds since the epoch."""

    name: str
    type: str = "process"
    description: str | None = None
    paused: bool = False
    concurrency_limit: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkQueue:
    """A queue of a pool. Runs of a queue with a lower `priority` are claimed first."""

    pool: str
    name: str
    priority: int = 1
    concurrency_limit: int | None = None
    paused: bool = False
    created: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolUse:
    """How many runs of a pool or queue are executed, and how many wait whose time has come."""

    active: int
    waiting: int


def create_pool(
    database: Database,
    name: str,
    *,
    type: str = "process",
    description: str | None = None,
    concurrency_limit: int | None = None,
    settings: Mapping[str, Any] | None = None,
    paused: bool = False,
) -> WorkPool:
    """Make a pool with a default queue. Raises UsageError if there is one of this name, or the name cannot be one."""
    _check_name(name)
    _check_limit(concurrency_limit)
    pool = WorkPool(
        name=name,
        type=type,
        description=description,
        concurrency_limit=concurrency_limit,
        settings=settings or {},
        paused=paused,
    )
    with database.write() as connection:
        if _find(connection, name) is not None:
            raise UsageError(
                f"There is a work pool {name!r} already. Change it with `flowbook work-pool update {name}`."
            )
        return _insert(connection, pool)


def pool_named(database: Database, name: str) -> WorkPool:
    """The pool of this name; one of those that are made on demand is made. Raises NotFound."""
    found = known_pool(database, name)
    if found.created:
        return found
    with database.write() as connection:
        return _find(connection, name) or _insert(connection, found)


def known_pool(database: Database, name: str) -> WorkPool:
    """The pool of this name; one that is made on demand as it will be, if it has not been made. Raises NotFound."""
    with database.read() as connection:
        found = _find(connection, name)
    if found is not None:
        return found
    if name not in MADE_ON_DEMAND:
        known = [pool.name for pool in all_pools(database)]
        raise NotFound(
            f"There is no work pool {name!r}.{did_you_mean(name, known)} "
            f"Make it with: flowbook work-pool create --type process {name}"
        )
    return WorkPool(name=name)


def all_pools(database: Database) -> list[WorkPool]:
    """All pools by name."""
    from sqlalchemy import select

    from flowbook.store.schema import work_pool

    with database.read() as connection:
        return [_pool(row) for row in connection.execute(select(work_pool).order_by(work_pool.c.name))]


def update_pool(database: Database, name: str, **changes: Any) -> WorkPool:
    """Change fields of a pool other than its name and type. Raises NotFound, and UsageError for a bad limit."""
    from sqlalchemy import update

    from flowbook.store.schema import work_pool
    from flowbook.store.signals import notify

    pool_named(database, name)
    if "concurrency_limit" in changes:
        _check_limit(changes["concurrency_limit"])
    if "settings" in changes:
        changes["settings"] = json.dumps(dict(changes["settings"]))
    with database.write() as connection:
        connection.execute(update(work_pool).where(work_pool.c.name == name).values(**changes, updated=time.time()))
        notify(connection)
    return pool_named(database, name)


def delete_pool(database: Database, name: str) -> None:
    """Delete a pool with its queues. Raises NotFound, and UsageError while deployments name it."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import deployment, work_pool

    pool_named(database, name)
    with database.write() as connection:
        users = list(connection.scalars(select(deployment.c.name).where(deployment.c.pool == name)))
        if users:
            raise UsageError(
                f"The work pool {name!r} is that of {', '.join(map(repr, users[:5]))}: deploy them elsewhere first."
            )
        connection.execute(delete(work_pool).where(work_pool.c.name == name))


def use_of_pool(database: Database, pool: str, queue: str | None = None) -> PoolUse:
    """How many runs a pool, or one of its queues, has now."""
    from sqlalchemy import func, select

    from flowbook.store.queue import is_active, is_waiting
    from flowbook.store.schema import flow_run

    mine = [flow_run.c.pool == pool]
    if queue is not None:
        mine.append(func.coalesce(flow_run.c.queue, DEFAULT_QUEUE) == queue)
    count = select(func.count()).select_from(flow_run).where(*mine)
    with database.read() as connection:
        active = connection.scalar(count.where(is_active())) or 0
        waiting = connection.scalar(count.where(is_waiting(), flow_run.c.due <= time.time())) or 0
    return PoolUse(active=active, waiting=waiting)


def queues_of(database: Database, pool: str) -> list[WorkQueue]:
    """The queues of a pool, those that come first in front."""
    from sqlalchemy import select

    from flowbook.store.schema import work_queue

    query = select(work_queue).where(work_queue.c.pool == pool).order_by(work_queue.c.priority, work_queue.c.name)
    with database.read() as connection:
        return [_queue(row) for row in connection.execute(query)]


def create_queue(
    database: Database, pool: str, name: str, *, priority: int = 1, concurrency_limit: int | None = None
) -> WorkQueue:
    """Make a queue. Raises NotFound if there is no such pool, UsageError if there is such a queue."""
    from sqlalchemy import insert

    from flowbook.store.schema import work_queue

    _check_name(name)
    _check_limit(concurrency_limit)
    if priority < 1:
        raise UsageError(f"The priority of a queue is a whole number from 1 up (1 comes first), not {priority}.")
    pool_named(database, pool)
    if any(queue.name == name for queue in queues_of(database, pool)):
        raise UsageError(f"The work pool {pool!r} has a queue {name!r} already.")
    row = {"pool": pool, "name": name, "priority": priority, "concurrency_limit": concurrency_limit}
    with database.write() as connection:
        connection.execute(insert(work_queue).values(**row, paused=False, created=time.time()))
    return queue_named(database, pool, name)


def queue_named(database: Database, pool: str, name: str) -> WorkQueue:
    """A queue of a pool. Raises NotFound."""
    pool_named(database, pool)
    known = queues_of(database, pool)
    for queue in known:
        if queue.name == name:
            return queue
    hint = did_you_mean(name, [queue.name for queue in known])
    raise NotFound(
        f"The work pool {pool!r} has no queue {name!r}.{hint} "
        f"Make it with: flowbook work-queue create {name} --pool {pool}"
    )


def update_queue(database: Database, pool: str, name: str, **changes: Any) -> WorkQueue:
    """Change fields of a queue other than its names. Raises NotFound."""
    from sqlalchemy import update

    from flowbook.store.schema import work_queue
    from flowbook.store.signals import notify

    queue_named(database, pool, name)
    if "concurrency_limit" in changes:
        _check_limit(changes["concurrency_limit"])
    with database.write() as connection:
        mine = (work_queue.c.pool == pool, work_queue.c.name == name)
        connection.execute(update(work_queue).where(*mine).values(**changes))
        notify(connection)
    return queue_named(database, pool, name)


def delete_queue(database: Database, pool: str, name: str) -> None:
    """Delete a queue other than the default one. Raises NotFound, and UsageError while deployments name it."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import deployment, work_queue

    queue_named(database, pool, name)
    if name == DEFAULT_QUEUE:
        raise UsageError(f"The queue {name!r} is where runs of a pool wait that name no queue; it cannot be deleted.")
    with database.write() as connection:
        named = (deployment.c.pool == pool, deployment.c.queue == name)
        users = list(connection.scalars(select(deployment.c.name).where(*named)))
        if users:
            raise UsageError(
                f"The queue {name!r} is that of {', '.join(map(repr, users[:5]))}: deploy them elsewhere first."
            )
        connection.execute(delete(work_queue).where(work_queue.c.pool == pool, work_queue.c.name == name))


def _insert(connection: Connection, pool: WorkPool) -> WorkPool:
    from sqlalchemy import insert

    from flowbook.store.schema import work_pool, work_queue

    now = time.time()
    row = {field: getattr(pool, field) for field in ("name", "type", "description", "paused", "concurrency_limit")}
    settings = json.dumps(dict(pool.settings))
    connection.execute(insert(work_pool).values(**row, settings=settings, created=now, updated=now))
    connection.execute(insert(work_queue).values(pool=pool.name, name=DEFAULT_QUEUE, created=now))
    found = _find(connection, pool.name)
    assert found is not None
    return found


def _find(connection: Connection, name: str) -> WorkPool | None:
    from sqlalchemy import select

    from flowbook.store.schema import work_pool

    row = connection.execute(select(work_pool).where(work_pool.c.name == name)).one_or_none()
    return None if row is None else _pool(row)


def _pool(row: Any) -> WorkPool:
    fields = {field: getattr(row, field) for field in WorkPool.__slots__}
    return WorkPool(**{**fields, "settings": json.loads(row.settings), "paused": bool(row.paused)})


def _queue(row: Any) -> WorkQueue:
    return WorkQueue(**{**{field: getattr(row, field) for field in WorkQueue.__slots__}, "paused": bool(row.paused)})


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or "/" in name or not name.isprintable() or len(name) > 200:
        raise UsageError(f"{name!r} cannot be a name here: use 1 to 200 printable characters without `/`.")


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise UsageError(f"A concurrency limit is a whole number from 0 up, not {limit}.")
