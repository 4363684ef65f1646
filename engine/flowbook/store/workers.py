"""The workers that live, as far as their heartbeats say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.store.processes import Process, is_gone

if TYPE_CHECKING:
    from flowbook.store.claiming import Claimant
    from flowbook.store.database import Database

_SILENT_FOR = 60.0  # seconds without a heartbeat after which a worker of another machine counts as gone


@dataclass(frozen=True, kw_only=True, slots=True)
class LivingWorker:
    """A worker that lives. `pool` is None for one of `serve`; times are in seconds since the epoch."""

    id: str
    name: str
    pool: str | None
    queues: tuple[str, ...]
    host: str
    pid: int
    slots: int
    busy: int
    started: float
    heartbeat: float


def register(database: Database, worker_id: str, claimant: Claimant, name: str, slots: int, now: float) -> None:
    """A worker begins; rows of those that are gone are removed."""
    from sqlalchemy import delete, insert, select

    from flowbook.store.schema import worker

    process = claimant.process
    row = {"id": worker_id, "host": process.host, "pid": process.pid, "pid_started": process.started}
    row |= {"name": name, "pool": claimant.pool, "queues": json.dumps(claimant.queues), "slots": slots}
    with database.write() as connection:
        gone = [old.id for old in connection.execute(select(worker)) if _is_gone(old, now)]
        connection.execute(delete(worker).where(worker.c.id.in_(gone)))
        connection.execute(insert(worker).values(**row, started=now, heartbeat=now))


def beat(database: Database, worker_id: str, now: float, *, busy: int) -> None:
    """The worker lives, and executes so many runs."""
    from sqlalchemy import update

    from flowbook.store.schema import worker

    with database.write() as connection:
        connection.execute(update(worker).where(worker.c.id == worker_id).values(heartbeat=now, busy=busy))


def forget(database: Database, worker_id: str) -> None:
    """The worker has ended."""
    from sqlalchemy import delete

    from flowbook.store.schema import worker

    with database.write() as connection:
        connection.execute(delete(worker).where(worker.c.id == worker_id))


def living_workers(database: Database, now: float) -> list[LivingWorker]:
    """The workers that live, the oldest first."""
    from sqlalchemy import select

    from flowbook.store.schema import worker

    with database.read() as connection:
        rows = connection.execute(select(worker).order_by(worker.c.started))
        return [_living(row) for row in rows if not _is_gone(row, now)]


def living(database: Database, now: float) -> int:
    """How many workers live."""
    return len(living_workers(database, now))


def _living(row: Any) -> LivingWorker:
    plain = {field: getattr(row, field) for field in LivingWorker.__slots__}
    plain |= {"queues": tuple(json.loads(row.queues or "[]")), "name": row.name or row.id, "slots": row.slots or 0}
    return LivingWorker(**plain)


def _is_gone(row: Any, now: float) -> bool:
    if is_gone(Process(host=row.host, pid=row.pid, started=row.pid_started)):
        return True
    return bool(row.heartbeat < now - _SILENT_FOR)
