"""What is asked of runs that another process executes: rows of ``run_request``, which go when they are answered.

A run that nobody executes yet is cancelled here and now. Of any other it is asked: the process that executes it looks
for requests, does what they say, and removes them; or it says why not, for whoever asked to read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowbook.core.events import Event, state_to_json
from flowbook.core.requests import Request
from flowbook.core.states import FINAL_TYPES, State, StateType, cancelled, scheduled
from flowbook.store.rows import Batch
from flowbook.store.signals import notify

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_REFUSED = "refused"
_ANSWER = "answer"
_MAY_BE_ASKED = (StateType.RUNNING, StateType.PAUSED)  # which Cancelling may follow


class RunRequests:
    """The requests in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = threading.Lock()
        self._connection: Any = None

    def close(self) -> None:
        """Let go of the connection that looks are made on."""
        with self._looking:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # For those who ask

    def cancel(self, flow_run_id: str, reason: str, *, again: bool = True) -> State:
        """Cancel a flow run that nobody executes yet, or ask whoever does to; returns the state that it is in now.

        With `again` False a run that is Cancelling already is left alone.
        """
        from sqlalchemy import select

        from flowbook.store.schema import flow_run

        with self._database.write() as connection:
            row = connection.execute(select(flow_run).where(flow_run.c.id == flow_run_id).with_for_update()).one()
            now = State(type=StateType(row.state_type), name=row.state_name, message=row.state_message)
            if now.is_final() or (now.is_cancelling() and not again):
                return now
            if _is_not_begun(connection, row):
                return _enter(connection, row, cancelled(reason))
            self._add(connection, flow_run_id, "cancel", {"reason": reason})
            if now.type in _MAY_BE_ASKED:
                _enter(connection, row, State(type=StateType.CANCELLING, name="Cancelling", message=reason))
            return State(type=StateType.CANCELLING, name="Cancelling", message=reason)

    def ask_to_resume(self, flow_run_id: str, data: Mapping[str, Any]) -> str:
        """Ask for a paused flow run to go on; returns the id of the request."""
        with self._database.write() as connection:
            return self._add(connection, flow_run_id, "resume", data)

    def resume_suspended(self, flow_run_id: str, data: Mapping[str, Any]) -> bool:
        """Keep the answer to a suspended run, and have it wait for a worker; False if it is not suspended any more."""
        from sqlalchemy import select

        from flowbook.store.reaper import schedule_again
        from flowbook.store.schema import flow_run

        suspended = (flow_run.c.id == flow_run_id, flow_run.c.state_type == "PAUSED", flow_run.c.pid.is_(None))
        with self._database.write() as connection:
            row = connection.execute(select(flow_run).where(*suspended)).one_or_none()
            if row is None:
                return False
            self._add(connection, flow_run_id, _ANSWER, data)
            said = scheduled(f"Resumed by {data['by']}.")
            schedule_again(connection, row, said, 0.0, restarts=row.restarts)
            notify(connection)
            return True

    def answers_to(self, flow_run_id: str) -> list[Mapping[str, Any]]:
        """What a run was answered while it was suspended, the oldest first."""
        from sqlalchemy import select

        from flowbook.store.schema import run_request

        mine = (run_request.c.flow_run_id == flow_run_id, run_request.c.kind == _ANSWER)
        with self._database.read() as connection:
            rows = connection.execute(select(run_request).where(*mine).order_by(run_request.c.created))
            return [json.loads(row.data) for row in rows]

    def is_answered(self, request_id: str) -> bool | Mapping[str, Any]:
        """Whether a request was done: True, or False as long as nobody has said; the reason if it was refused."""
        from sqlalchemy import select

        from flowbook.store.schema import run_request

        with self._database.read() as connection:
            row = connection.execute(select(run_request).where(run_request.c.id == request_id)).one_or_none()
        if row is None:
            return True
        return dict(json.loads(row.data)) if row.kind == _REFUSED else False

    # For those who are asked

    def pending(self) -> list[Request]:
        """All requests that nobody has answered."""
        from sqlalchemy import select

        from flowbook.store.schema import run_request

        if not self._is_any():
            return []
        query = (
            select(run_request).where(run_request.c.kind.not_in((_REFUSED, _ANSWER))).order_by(run_request.c.created)
        )
        with self._database.read() as connection:
            return [
                Request(id=row.id, flow_run_id=row.flow_run_id, kind=row.kind, data=json.loads(row.data))
                for row in connection.execute(query)
            ]

    def remove(self, request_id: str) -> None:
        """The request was done, or nobody waits for it any more."""
        from sqlalchemy import delete

        from flowbook.store.schema import run_request

        with self._database.write() as connection:
            connection.execute(delete(run_request).where(run_request.c.id == request_id))

    def refuse(self, request_id: str, problem: Mapping[str, Any]) -> None:
        """The request was not done, because of `problem`."""
        from sqlalchemy import update

        from flowbook.store.schema import run_request

        said = {"kind": _REFUSED, "data": json.dumps(problem)}
        with self._database.write() as connection:
            connection.execute(update(run_request).where(run_request.c.id == request_id).values(**said))

    def _is_any(self) -> bool:
        """Whether there are any: asked several times a second, so on a connection that is kept, without SQLAlchemy."""
        with self._looking:
            if self._connection is None:
                self._connection = self._database.engine.raw_connection()
            try:
                cursor = self._connection.cursor()
                cursor.execute("SELECT 1 FROM run_request LIMIT 1")
                return cursor.fetchone() is not None
            except Exception:
                self._connection.invalidate()  # the next look is made on another one
                self._connection = None
                raise
            finally:
                if self._connection is not None:
                    self._connection.rollback()

    @staticmethod
    def _add(connection: Connection, flow_run_id: str, kind: str, data: Mapping[str, Any]) -> str:
        """Add a request. Those to runs that have ended since go: their processes may have died before they looked."""
        from sqlalchemy import delete, insert, select

        from flowbook.store.schema import flow_run, run_request

        ended = select(flow_run.c.id).where(flow_run.c.state_type.in_(sorted(FINAL_TYPES)))
        connection.execute(delete(run_request).where(run_request.c.flow_run_id.in_(ended)))
        request_id = uuid4().hex
        row = {"id": request_id, "flow_run_id": flow_run_id, "kind": kind, "data": json.dumps(data)}
        connection.execute(insert(run_request).values(**row, created=time.time()))
        return request_id


def _is_not_begun(connection: Connection, row: Any) -> bool:
    """Whether the run waits in the queue, or a worker has claimed it and its own process has not taken it over."""
    from sqlalchemy import select

    from flowbook.store.schema import worker

    if row.pid is None:
        return True
    if row.state_type != StateType.PENDING:
        return False
    same = (worker.c.host == row.host, worker.c.pid == row.pid, worker.c.pid_started == row.pid_started)
    return connection.execute(select(worker.c.id).where(*same)).first() is not None


def _enter(connection: Connection, row: Any, state: State) -> State:
    """Record the state of a flow run, in the graph of its parent as well."""
    subjects = [(row.id, None), *([(row.parent_id, row.id)] if row.parent_id else [])]
    now, data = time.time(), state_to_json(state)
    Batch(
        Event(kind="state", time=now, flow_run_id=flow_id, task_run_id=task_id, data=data)
        for flow_id, task_id in subjects
    ).write(connection)
    return state
