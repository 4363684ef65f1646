"""Runs of deployments: asked for, waiting for their time, taken over by the process that executes them, let go again.

A run of no deployment, of a notebook that is called, is recorded with the process that has it from the beginning.

Each claim (:mod:`flowbook.store.claiming`) has raised the run's *fence*: whoever holds an older one has lost the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event, state_to_json
from flowbook.core.names import name_of_run
from flowbook.core.states import scheduled
from flowbook.store.fencing import LEASE
from flowbook.store.limits import shared_time
from flowbook.store.processes import Process
from flowbook.store.rows import Batch
from flowbook.store.signals import notify

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from flowbook.store.database import Database
    from flowbook.store.deployments import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedRun:
    """A flow run of a deployment, as a worker or an executing process sees it. `due` is in seconds since the epoch.

    `restarts` is how many of the retries of its flow were used up by processes that went away. That of a notebook that
    was called has no `deployment_id` and no `version`.
    """

    id: str
    number: int
    name: str
    flow: str
    deployment_id: str | None
    version: int | None
    parameters: Mapping[str, Any]
    trigger: str
    state_type: str
    state_message: str | None
    due: float
    fence: int
    pool: str | None
    restarts: int
    parent_id: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRun:
    """A run to be made. `due` is in seconds since the epoch; of one `batch` at most `batch_limit` run at a time."""

    id: str
    parameters: Mapping[str, Any]
    due: float
    trigger: str
    name: str | None = None
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    idempotency_key: str | None = None
    batch: str | None = None
    batch_limit: int | None = None
    queue: str | None = None


def add_runs(connection: Connection, runs: Iterable[tuple[Deployment, NewRun]], now: float) -> None:
    """Record runs that are to begin when they are due, in the caller's transaction."""
    state = state_to_json(scheduled())
    events = []
    for deployment, run in runs:
        data = _facts(deployment, run)
        events.append(Event(kind="flow-run", time=now, flow_run_id=run.id, data=data))
        events.append(Event(kind="state", time=now, flow_run_id=run.id, data=state))
    Batch(events).write(connection)
    notify(connection)


def _facts(deployment: Deployment, run: NewRun) -> dict[str, Any]:
    settings = deployment.settings
    facts = {
        "name": run.name or name_of_run(run.id),
        "flow": deployment.flow,
        "parameters": dict(run.parameters),
        "trigger": run.trigger,
        "deployment": deployment.id,
        "version": deployment.version,
        "due": run.due,
        "pool": settings.pool,
        "queue": run.queue or settings.queue,
    }
    optional = {
        "tags": sorted({*settings.tags, *run.tags}),
        "parent": run.parent_id,
        "key": run.idempotency_key,
        "batch": run.batch,
        "batch_limit": run.batch_limit,
    }
    return facts | {name: value for name, value in optional.items() if value}


def request_run(database: Database, deployment: Deployment, run: NewRun) -> QueuedRun:
    """Record one run. If there is one of this deployment with its idempotency key, that is it."""
    from sqlalchemy.exc import IntegrityError

    try:
        with database.write() as connection:
            add_runs(connection, [(deployment, run)], time.time())
    except IntegrityError:
        found = _by_key(database, deployment, run.idempotency_key)
        if found is None:
            raise
        return found
    return queued_run(database, run.id)


def record_called(database: Database, run: NewRun, flow: str, process: Process) -> QueuedRun:
    """Record a run of no deployment that `process` has: should that end before the run does, the run has crashed."""
    facts = {
        "name": run.name or name_of_run(run.id),
        "flow": flow,
        "parameters": dict(run.parameters),
        "trigger": run.trigger,
        "due": run.due,
        "host": process.host,
        "pid": process.pid,
        "pid_started": process.started,
    }
    optional = {"tags": sorted(run.tags), "parent": run.parent_id}
    data = facts | {name: value for name, value in optional.items() if value}
    with database.write() as connection:
        Batch([Event(kind="flow-run", time=run.due, flow_run_id=run.id, data=data)]).write(connection)
    return queued_run(database, run.id)


def _by_key(database: Database, deployment: Deployment, key: str | None) -> QueuedRun | None:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    mine = (flow_run.c.deployment_id == deployment.id, flow_run.c.idempotency_key == key)
    with database.read() as connection:
        row = connection.execute(select(flow_run).where(*mine)).one_or_none()
    return None if row is None else queued_from(row)


def queued_run(database: Database, run_id: str) -> QueuedRun:
    """The flow run with this id; raises NotFound."""
    from sqlalchemy import select

    from flowbook.errors import NotFound
    from flowbook.store.schema import flow_run

    with database.read() as connection:
        row = connection.execute(select(flow_run).where(flow_run.c.id == run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no flow run {run_id!r}.")
    return queued_from(row)


def take_over(database: Database, run_id: str, fence: int, process: Process) -> bool:
    """The claimed run is executed by `process` from now on; False if the claim is no longer in force."""
    from sqlalchemy import update

    from flowbook.core.states import FINAL_TYPES
    from flowbook.store.schema import flow_run

    mine = {"host": process.host, "pid": process.pid, "pid_started": process.started}
    held = (flow_run.c.id == run_id, flow_run.c.fence == fence, flow_run.c.state_type.not_in(FINAL_TYPES))
    with database.write() as connection:
        until = shared_time(connection) + LEASE
        return connection.execute(update(flow_run).where(*held).values(**mine, lease=until)).rowcount == 1


def hand_back(database: Database, run: QueuedRun) -> bool:
    """Let another worker have a run that was claimed and has not begun; False if it has."""
    from sqlalchemy import update

    from flowbook.store.schema import flow_run

    held = (flow_run.c.id == run.id, flow_run.c.fence == run.fence, flow_run.c.state_type == "PENDING")
    with database.write() as connection:
        if connection.execute(update(flow_run).where(*held).values(**_freed(run))).rowcount == 0:
            return False
        said = state_to_json(scheduled("Handed back by a worker that stopped."))
        Batch([Event(kind="state", time=time.time(), flow_run_id=run.id, data=said)]).write(connection)
        notify(connection)
        return True


def _freed(run: QueuedRun) -> dict[str, Any]:
    """What the row of a run says that no process has any more."""
    return {"pid": None, "pid_started": None, "host": None, "lease": None, "fence": run.fence + 1}


def suspend(database: Database, run: QueuedRun, seconds: float | None) -> None:
    """Let go of a run that is Suspended, for `seconds` at most: no process has it, and its lease has ended."""
    from sqlalchemy import update

    from flowbook.store.schema import flow_run

    mine = (flow_run.c.id == run.id, flow_run.c.fence == run.fence, flow_run.c.state_type == "PAUSED")
    due = None if seconds is None else time.time() + seconds
    with database.write() as connection:
        connection.execute(update(flow_run).where(*mine).values(**_freed(run), due=due))


def begin_again(database: Database, run_id: str, reason: str) -> bool:
    """Have a run that has ended wait for a worker again; False if it has not ended any more."""
    from sqlalchemy import select

    from flowbook.core.states import FINAL_TYPES
    from flowbook.store.reaper import schedule_again
    from flowbook.store.schema import flow_run

    ended = (flow_run.c.id == run_id, flow_run.c.state_type.in_(sorted(FINAL_TYPES)))
    with database.write() as connection:
        row = connection.execute(select(flow_run).where(*ended)).one_or_none()
        if row is None:
            return False
        schedule_again(connection, row, scheduled(reason), 0.0)
        notify(connection)
        return True


def is_waiting() -> ColumnElement[bool]:
    """The condition for runs that wait for their time and for somebody who executes them."""
    from sqlalchemy import and_

    from flowbook.store.schema import flow_run

    return and_(flow_run.c.state_type == "SCHEDULED", flow_run.c.pid.is_(None))


def is_active(table: Any = None) -> ColumnElement[bool]:
    """The condition for runs that a process executes, or is about to; `table` is ``flow_run`` or an alias of it."""
    from sqlalchemy import and_

    from flowbook.store.schema import flow_run

    of = flow_run if table is None else table
    return and_(of.c.state_type.in_(_UNENDED), of.c.pid.is_not(None))


_UNENDED = ("PENDING", "RUNNING", "PAUSED", "CANCELLING", "SCHEDULED")


def queued_from(row: Any) -> QueuedRun:
    """The run in a row of ``flow_run``."""
    fields: dict[str, Any] = {field: getattr(row, field) for field in QueuedRun.__slots__}
    return QueuedRun(
        **{**fields, "parameters": json.loads(row.parameters), "tags": tuple(json.loads(row.tags or "[]"))}
    )
