"""The workers that live, as far as their heartbeats say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.store.processes import Process, is_gone

if TYPE_CHECKING:
    from flowbook.store.database import Database

_SILENT_FOR = 60.0  # seconds without a heartbeat after which a worker of another machine counts as gone


def register(database: Database, worker_id: str, process: Process, now: float) -> None:
    """A worker begins; rows of those that are gone are removed."""
    from sqlalchemy import delete, insert, select

    from flowbook.store.schema import worker

    row = {"id": worker_id, "host": process.host, "pid": process.pid, "pid_started": process.started}
    with database.write() as connection:
        gone = [old.id for old in connection.execute(select(worker)) if _is_gone(old, now)]
        connection.execute(delete(worker).where(worker.c.id.in_(gone)))
        connection.execute(insert(worker).values(**row, started=now, heartbeat=now))


def beat(database: Database, worker_id: str, now: float) -> None:
    """The worker lives."""
    from sqlalchemy import update

    from flowbook.store.schema import worker

    with database.write() as connection:
        connection.execute(update(worker).where(worker.c.id == worker_id).values(heartbeat=now))


def forget(database: Database, worker_id: str) -> None:
    """The worker has ended."""
    from sqlalchemy import delete

    from flowbook.store.schema import worker

    with database.write() as connection:
        connection.execute(delete(worker).where(worker.c.id == worker_id))


def living(database: Database, now: float) -> int:
    """How many workers live."""
    from sqlalchemy import select

    from flowbook.store.schema import worker

    with database.read() as connection:
        return sum(not _is_gone(row, now) for row in connection.execute(select(worker)))


def _is_gone(row: object, now: float) -> bool:
    host, pid, started = (getattr(row, name) for name in ("host", "pid", "pid_started"))
    if is_gone(Process(host=host, pid=pid, started=started)):
        return True
    return bool(getattr(row, "heartbeat") < now - _SILENT_FOR)  # noqa: B009 - a row of the database
