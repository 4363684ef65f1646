"""Runs that wait for their time: asked for, claimed by a worker, taken over by the process that executes them.

A claim raises the run's *fence*. Whoever holds an older one has lost the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event, state_to_json
from flowbook.core.names import name_of_run
from flowbook.core.states import PENDING, scheduled
from flowbook.store.processes import Process
from flowbook.store.rows import Batch

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from flowbook.store.database import Database
    from flowbook.store.deployments import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedRun:
    """A flow run of a deployment, as a worker or an executing process sees it. `due` is in seconds since the epoch."""

    id: str
    number: int
    name: str
    flow: str
    deployment_id: str
    version: int
    parameters: Mapping[str, Any]
    trigger: str
    state_type: str
    due: float
    fence: int


def add_run(
    connection: Connection,
    run_id: str,
    deployment: Deployment,
    parameters: Mapping[str, Any],
    *,
    due: float,
    trigger: str,
    now: float,
) -> None:
    """Record a run of `deployment` that is to begin at `due`, in the caller's transaction, under a new id."""
    data = {
        "name": name_of_run(run_id),
        "flow": deployment.flow,
        "parameters": dict(parameters),
        "trigger": trigger,
        "deployment": deployment.id,
        "version": deployment.version,
        "due": due,
    }
    state = state_to_json(scheduled())
    Batch(
        [
            Event(kind="flow-run", time=now, flow_run_id=run_id, data=data),
            Event(kind="state", time=now, flow_run_id=run_id, data=state),
        ]
    ).write(connection)


def request_run(database: Database, run_id: str, deployment: Deployment, parameters: Mapping[str, Any]) -> QueuedRun:
    """Record a run of `deployment` that is due now, under a new id."""
    now = time.time()
    with database.write() as connection:
        add_run(connection, run_id, deployment, parameters, due=now, trigger="deployment", now=now)
    return queued_run(database, run_id)


def queued_run(database: Database, run_id: str) -> QueuedRun:
    """The run of a deployment with this id; raises NotFound."""
    from flowbook.errors import NotFound
    from flowbook.store.schema import flow_run

    with database.read() as connection:
        row = connection.execute(_runs().where(flow_run.c.id == run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no run {run_id!r} of a deployment.")
    return _queued(row)


def due_runs(database: Database, now: float, limit: int) -> list[QueuedRun]:
    """At most `limit` runs whose time has come, the longest overdue first."""
    query = _runs().where(_waiting(), _due_by(now)).order_by("due", "number").limit(limit)
    with database.read() as connection:
        return [_queued(row) for row in connection.execute(query)]


def claim(database: Database, run: QueuedRun, process: Process) -> int | None:
    """Take a waiting run for `process`; returns the new fence, or None if another worker was first."""
    from sqlalchemy import update

    from flowbook.store.schema import flow_run

    fence = run.fence + 1
    mine = {"host": process.host, "pid": process.pid, "pid_started": process.started, "fence": fence}
    taken = update(flow_run).where(flow_run.c.id == run.id, _waiting(), flow_run.c.fence == run.fence).values(**mine)
    with database.write() as connection:
        if connection.execute(taken).rowcount == 0:
            return None
        state = state_to_json(PENDING)
        Batch([Event(kind="state", time=time.time(), flow_run_id=run.id, data=state)]).write(connection)
    return fence


def take_over(database: Database, run_id: str, fence: int, process: Process) -> bool:
    """The claimed run is executed by `process` from now on; False if the claim is no longer in force."""
    from sqlalchemy import update

    from flowbook.core.states import FINAL_TYPES
    from flowbook.store.schema import flow_run

    mine = {"host": process.host, "pid": process.pid, "pid_started": process.started}
    held = (flow_run.c.id == run_id, flow_run.c.fence == fence, flow_run.c.state_type.not_in(FINAL_TYPES))
    with database.write() as connection:
        return connection.execute(update(flow_run).where(*held).values(**mine)).rowcount == 1


def _runs() -> Select[Any]:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    return select(flow_run).where(flow_run.c.deployment_id.is_not(None))


def _waiting() -> ColumnElement[bool]:
    """A run that sleeps before a retry is SCHEDULED too, but has a process; its state is named AwaitingRetry."""
    from sqlalchemy import and_

    from flowbook.store.schema import flow_run

    return and_(flow_run.c.state_type == "SCHEDULED", flow_run.c.state_name.in_(("Scheduled", "Late")))


def _due_by(now: float) -> ColumnElement[bool]:
    from flowbook.store.schema import flow_run

    return flow_run.c.due <= now


def _queued(row: Any) -> QueuedRun:
    fields = {field: getattr(row, field) for field in QueuedRun.__slots__ if field != "parameters"}
    return QueuedRun(**fields, parameters=json.loads(row.parameters))
