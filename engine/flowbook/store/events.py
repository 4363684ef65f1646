"""Reading the record back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event

if TYPE_CHECKING:
    from sqlalchemy import Select

    from flowbook.store.database import Database


def events_of(database: Database, flow_run_id: str, *, after: int = 0) -> list[Event]:
    """The events of one flow run with ``seq > after``, in order."""
    from sqlalchemy import select

    from flowbook.store.schema import event

    return _fetch(database, select(event).where(event.c.flow_run_id == flow_run_id, event.c.seq > after))


def last_state_of(database: Database, flow_run_id: str) -> dict[str, Any]:
    """What was recorded of the state that a flow run is in; empty if there is no such run."""
    from sqlalchemy import desc, select

    from flowbook.store.schema import event

    states = select(event).where(
        event.c.flow_run_id == flow_run_id, event.c.task_run_id.is_(None), event.c.kind == "state"
    )
    with database.read() as connection:
        row = connection.execute(states.order_by(desc(event.c.seq)).limit(1)).one_or_none()
    return {} if row is None else dict(json.loads(row.data))


def task_events_of(database: Database, task_run_id: str) -> list[Event]:
    """The events of one task run in order; of a sub-flow those that it has as a node of its parent."""
    from sqlalchemy import select

    from flowbook.store.schema import event

    return _fetch(database, select(event).where(event.c.task_run_id == task_run_id))


def _fetch(database: Database, query: Select[Any]) -> list[Event]:
    from flowbook.store.schema import event

    with database.read() as connection:
        return [
            Event(
                kind=row.kind,
                time=row.time,
                flow_run_id=row.flow_run_id,
                task_run_id=row.task_run_id,
                data=json.loads(row.data),
                seq=row.seq,
            )
            for row in connection.execute(query.order_by(event.c.seq))
        ]
