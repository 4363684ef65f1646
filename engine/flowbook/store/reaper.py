"""What the store says is brought in line with what is: nothing stays Running when its process is gone.

Such runs become Crashed, and so do their task runs. A run whose time has come and that nobody has begun becomes Late.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State, awaiting_restart, crashed, failed, late
from flowbook.errors import FlowPauseTimeout
from flowbook.store.fencing import LEASE
from flowbook.store.limits import shared_time
from flowbook.store.processes import Process, is_gone, is_here, is_stopped, process_from
from flowbook.store.rows import Batch
from flowbook.store.signals import notify

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_LATE_AFTER = 15.0  # seconds, as in Prefect
_ALIVE = ("PENDING", "RUNNING", "PAUSED", "CANCELLING", "SCHEDULED")


def reap(database: Database) -> list[str]:
    """Mark as Crashed the unfinished flow runs whose process has ended or has lost its lease; returns their ids.

    A process of this machine that has gone is certain. One of another machine counts as gone when its lease has run
    out, by the clock of the database; one of this machine that lives is believed, unless it is stopped: a laptop that
    wakes up has slept longer than any lease lasts, and so have all its processes.
    """
    _reap_flowless(database)
    gone = []
    rows, now = _unfinished(database)
    for row in rows:
        why = _why_gone(row, now)
        if why is not None and crash(database, row.id, why, fence=row.fence):
            gone.append(row.id)
    return gone


def _why_gone(row: Any, now: float) -> str | None:
    """Why the process of an unfinished run counts as gone; None if it does not."""
    process = _process_of(row)
    if is_gone(process):
        return f"Its process {row.pid} on {row.host} has gone."
    lease = row.lease if row.lease is not None else (row.started or row.created) + 2 * LEASE
    if lease > now or (is_here(process) and not is_stopped(process.pid)):
        return None
    return f"Its process {row.pid} on {row.host} has not been heard of for {now - lease + LEASE:.0f} seconds."


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


def give_up_suspended(database: Database, now: float) -> None:
    """End the suspended runs as Failed that nobody has resumed in time; `now` is in seconds since the epoch."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    overdue = select(flow_run.c.id).where(
        flow_run.c.state_type == "PAUSED", flow_run.c.pid.is_(None), flow_run.c.due < now
    )
    with database.read() as connection:
        if connection.scalar(overdue.limit(1)) is None:
            return
    data = state_to_json(failed(FlowPauseTimeout("The run was suspended, and nobody resumed it in time.")))
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
        task_run.c.ended.is_(None),  # which an index knows of
        task_run.c.state_type.in_(_ALIVE),
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

    With `fence` it is only done while nobody else has claimed the run. A run of a deployment whose retries are not used
    up is scheduled anew. Whoever still executes it writes nothing more.
    """
    return end(database, flow_run_id, crashed(message), fence=fence)


def end(database: Database, flow_run_id: str, state: State, *, fence: int | None = None) -> bool:
    """End an unfinished flow run as `crash` does, in another final state."""
    from sqlalchemy import select, update

    from flowbook.store.schema import flow_run

    query = select(flow_run).where(
        flow_run.c.id == flow_run_id, flow_run.c.state_type.in_(_ALIVE), flow_run.c.pid.is_not(None)
    )
    if fence is not None:
        query = query.where(flow_run.c.fence == fence)
    with database.write() as connection:
        found = connection.execute(query).one_or_none()
        if found is None:
            return False
        Batch(_end_events(connection, found, state)).write(connection)
        connection.execute(update(flow_run).where(flow_run.c.id == flow_run_id).values(fence=found.fence + 1))
        if state.is_crashed():
            _begin_anew(connection, found)
        notify(connection)
        return True


def _begin_anew(connection: Connection, run: Any) -> None:
    """Schedule a crashed run of a deployment again, if the retries of its flow allow that."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment

    of_it = select(deployment.c.retries, deployment.c.retry_delay).where(deployment.c.id == run.deployment_id)
    found = connection.execute(of_it).one_or_none()
    if found is None or run.restarts >= found.retries:
        return
    message = (
        f"Its process went away. Beginning anew in {found.retry_delay:.1f} seconds, "
        f"retry {run.restarts + 1} of {found.retries}."
    )
    schedule_again(connection, run, awaiting_restart(message), found.retry_delay, restarts=run.restarts + 1)


def schedule_again(connection: Connection, run: Any, state: State, delay: float, *, restarts: int = 0) -> None:
    """Have a run that no process executes wait for a worker again, for `delay` seconds; `run` is its row.

    `restarts` is how many of its retries are used up.
    """
    from sqlalchemy import update

    from flowbook.store.schema import flow_run

    now = time.time()
    anew = {
        "host": None,
        "pid": None,
        "pid_started": None,
        "lease": None,
        "started": None,
        "ended": None,
        "due": now + delay,
        "restarts": restarts,
    }
    Batch([Event(kind="state", time=now, flow_run_id=run.id, data=state_to_json(state))]).write(connection)
    connection.execute(update(flow_run).where(flow_run.c.id == run.id).values(**anew))


def _end_events(connection: Connection, run: Any, state: State) -> list[Event]:
    from sqlalchemy import select

    from flowbook.store.schema import task_run

    unfinished = select(task_run.c.id).where(task_run.c.flow_run_id == run.id, task_run.c.state_type.in_(_ALIVE))
    now, data = time.time(), state_to_json(state)
    subjects = [(run.id, task_id) for task_id in connection.scalars(unfinished)]
    subjects.append((run.id, None))
    node = select(task_run.c.id).where(task_run.c.id == run.id, task_run.c.state_type.in_(_ALIVE))
    if run.parent_id and connection.scalar(node) is not None:  # else it has ended with the parent
        subjects.append((run.parent_id, run.id))
    return [
        Event(kind="state", time=now, flow_run_id=flow_id, task_run_id=task_id, data=data)
        for flow_id, task_id in subjects
    ]


def _unfinished(database: Database) -> tuple[list[Any], float]:
    """The runs that a process executes, or should, and the time by the clock that all share."""
    from sqlalchemy import select

    from flowbook.store.queue import is_active
    from flowbook.store.schema import flow_run

    with database.read() as connection:
        return list(connection.execute(select(flow_run).where(is_active()))), shared_time(connection)


def _process_of(row: Any) -> Process:
    return Process(host=row.host or "", pid=row.pid, started=row.pid_started or 0.0)
