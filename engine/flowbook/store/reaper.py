"""What the store says is brought in line with what is: nothing stays Running when its process is gone.

Such runs become Crashed, and so do their task runs. A run whose time has come and that nobody has begun becomes Late.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State, crashed, late
from flowbook.store.processes import Process, is_gone, process_from
from flowbook.store.rows import Batch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_LATE_AFTER = 15.0  # seconds, as in Prefect
_ALIVE = ("PENDING", "RUNNING", "PAUSED", "CANCELLING")  # and those that sleep before a retry


def _unended() -> Any:
    """The condition for flow runs that a process is executing, or should be."""
    from sqlalchemy import or_

    from flowbook.store.schema import flow_run

    return or_(flow_run.c.state_type.in_(_ALIVE), flow_run.c.state_name == "AwaitingRetry")


def reap(database: Database) -> list[str]:
    """Mark as Crashed the unfinished flow runs of this machine whose process has ended; returns their ids.

    Only a process that is certainly gone counts: a run of another machine is left to that machine's reaper.
    """
    _reap_flowless(database)
    return [
        row.id
        for row in _unfinished(database)
        if is_gone(_process_of(row))
        and crash(database, row.id, f"Its process {row.pid} on {row.host} has gone.", fence=row.fence)
    ]


def mark_late(database: Database, now: float) -> None:
    """Say that scheduled runs are Late whose time, in seconds since the epoch, has come a while ago."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    overdue = select(flow_run.c.id).where(
        flow_run.c.state_type == "SCHEDULED", flow_run.c.state_name == "Scheduled", flow_run.c.due < now - _LATE_AFTER
    )
    with database.read() as connection:
        if connection.scalar(overdue.limit(1)) is None:
            return
    data = state_to_json(late())
    with database.write() as connection:
        Batch(
            [Event(kind="state", time=now, flow_run_id=run_id, data=data) for run_id in connection.scalars(overdue)]
        ).write(connection)


def _reap_flowless(database: Database) -> None:
    """End the unfinished task runs outside of flow runs whose process has ended."""
    from sqlalchemy import select

    from flowbook.store.schema import task_run

    unfinished = select(task_run.c.id, task_run.c.process).where(
        task_run.c.flow_run_id.is_(None),
        task_run.c.process.is_not(None),
        task_run.c.state_type.in_((*_ALIVE, "SCHEDULED")),
    )
    with database.read() as connection:
        rows = list(connection.execute(unfinished))
    gone = {row.id: process for row in rows if is_gone(process := process_from(row.process))}
    if not gone:
        return
    with database.write() as connection:
        still = [row.id for row in connection.execute(unfinished) if row.id in gone]
        Batch(
            Event(kind="state", time=time.time(), flow_run_id=None, task_run_id=run_id, data=_gone(gone[run_id]))
            for run_id in still
        ).write(connection)


def _gone(process: Process) -> dict[str, Any]:
    return state_to_json(crashed(f"Its process {process.pid} on {process.host} has gone."))


def crash(database: Database, flow_run_id: str, message: str, *, fence: int | None = None) -> bool:
    """End an unfinished flow run, and its unfinished task runs, as Crashed; False if it has ended meanwhile.

    With `fence` it is only done while nobody else has claimed the run.
    """
    return end(database, flow_run_id, crashed(message), fence=fence)


def end(database: Database, flow_run_id: str, state: State, *, fence: int | None = None) -> bool:
    """End an unfinished flow run as `crash` does, in another final state."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    query = select(flow_run).where(flow_run.c.id == flow_run_id, _unended())
    if fence is not None:
        query = query.where(flow_run.c.fence == fence)
    with database.write() as connection:
        found = connection.execute(query).one_or_none()
        if found is None:
            return False
        Batch(_end_events(connection, found, state)).write(connection)
        return True


def _end_events(connection: Connection, run: Any, state: State) -> list[Event]:
    from sqlalchemy import select

    from flowbook.store.schema import task_run

    unfinished = select(task_run.c.id).where(
        task_run.c.flow_run_id == run.id, task_run.c.state_type.in_((*_ALIVE, "SCHEDULED"))
    )
    now, data = time.time(), state_to_json(state)
    subjects = [(run.id, task_id) for task_id in connection.scalars(unfinished)]
    subjects.append((run.id, None))
    if run.parent_id:
        subjects.append((run.parent_id, run.id))
    return [
        Event(kind="state", time=now, flow_run_id=flow_id, task_run_id=task_id, data=data)
        for flow_id, task_id in subjects
    ]


def _unfinished(database: Database) -> list[Any]:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    query = select(flow_run).where(_unended(), flow_run.c.pid.is_not(None))
    with database.read() as connection:
        return list(connection.execute(query))


def _process_of(row: Any) -> Process:
    return Process(host=row.host or "", pid=row.pid, started=row.pid_started or 0.0)
