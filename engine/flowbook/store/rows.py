"""What a batch of events means for the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event
from flowbook.core.states import FINAL_TYPES
from flowbook.store.artifacts import ArtifactRows, facts_of
from flowbook.store.bulk import insert_rows
from flowbook.store.result_rows import CacheUseRows, ResultRows
from flowbook.store.results import ResultRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

Row = dict[str, Any]
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for each event


class Batch:
    """Rows to insert and to update for some events, each run once however many of its events there are."""

    def __init__(self, events: Iterable[Event | ResultRecord]) -> None:
        self.events: list[Row] = []
        self.new_flows: dict[str, Row] = {}
        self.new_tasks: dict[str, Row] = {}
        self.flow_changes: dict[str, Row] = {}
        self.task_changes: dict[str, Row] = {}
        self.task_names: dict[str, str] = {}
        self.artifacts = ArtifactRows()
        self.results = ResultRows()
        self.uses = CacheUseRows()
        self.flow_run_ids: set[str] = set()
        self.ended: list[str] = []  # the flow runs that come to their end
        for event in events:
            if isinstance(event, ResultRecord):
                self.results.add(event)
            else:
                self._add(event)

    def write(self, connection: Connection) -> None:
        """Put everything into the database, in the caller's transaction."""
        from sqlalchemy import bindparam, update

        from flowbook.store import schema

        for table, rows in (
            (schema.flow_run, list(self.new_flows.values())),
            (schema.task_run, list(self.new_tasks.values())),
            (schema.event, self.events),
        ):
            insert_rows(connection, table, rows)
        if self.flow_changes:
            connection.execute(_state_update(schema.flow_run), list(self.flow_changes.values()))
        if self.task_changes:
            connection.execute(_state_update(schema.task_run), list(self.task_changes.values()))
        self.artifacts.write(connection)
        self.results.write(connection)
        self.uses.write(connection, self.new_tasks)
        if self.task_names:
            names = [{"of": run_id, "named": name} for run_id, name in self.task_names.items()]
            renamed = update(schema.task_run).where(schema.task_run.c.id == bindparam("of"))
            connection.execute(renamed.values(name=bindparam("named")), names)

    def _add(self, event: Event) -> None:
        data = event.data
        if event.flow_run_id is not None:
            self.flow_run_ids.add(event.flow_run_id)
        if event.kind == "artifact":
            if not self.artifacts.add(event):
                return
            data = facts_of(event)
        self.events.append(
            {
                "time": event.time,
                "kind": event.kind,
                "flow_run_id": event.flow_run_id,
                "task_run_id": event.task_run_id,
                "data": _to_json(data),
            }
        )
        if event.kind == "state":
            self._add_state(event)
            if event.task_run_id is not None:
                self.uses.add(event)
        elif event.kind == "task-run":
            self.new_tasks[event.task_run_id or ""] = _new_task(event)
        elif event.kind == "name":
            self._add_name(event.task_run_id or "", data["name"])
        elif event.kind == "flow-run" and not data.get("known"):
            self.new_flows[event.flow_run_id or ""] = _new_flow(event)

    def _add_name(self, run_id: str, name: str) -> None:
        row = self.new_tasks.get(run_id)
        if row is not None:
            row["name"] = name
        else:
            self.task_names[run_id] = name

    def _add_state(self, event: Event) -> None:
        data, time = event.data, event.time
        if event.task_run_id is None:
            run_id, new, changes, count = event.flow_run_id or "", self.new_flows, self.flow_changes, False
            if data["type"] in FINAL_TYPES:
                self.ended.append(run_id)
        else:
            run_id, new, changes, count = event.task_run_id, self.new_tasks, self.task_changes, True
        row = new.get(run_id)
        if row is None:
            row = changes.get(run_id)
            if row is None:
                row = changes[run_id] = {"of": run_id, "began": None}
                if count:
                    row["tried"] = 0
            began, tried = "began", "tried"
        else:
            began, tried = "started", "attempts"
        row["state_type"], row["state_name"] = data["type"], data["name"]
        row["state_message"] = data.get("message")
        row["ended"] = time if data["type"] in FINAL_TYPES else None
        if row[began] is None and data["type"] == "RUNNING":
            row[began] = time
        if count:
            row[tried] = max(row[tried], data.get("attempt", 0))


def _new_flow(event: Event) -> Row:
    data = event.data
    return {
        "id": event.flow_run_id,
        "name": data["name"],
        "flow": data["flow"],
        "parent_id": data.get("parent"),
        "deployment_id": data.get("deployment"),
        "version": data.get("version"),
        "trigger": data.get("trigger", "call"),
        "parameters": _to_json(data.get("parameters", {})),
        "tags": _tags(data),
        "due": data.get("due"),
        "state_type": "PENDING",
        "state_name": "Pending",
        "state_message": None,
        "created": event.time,
        "started": None,
        "ended": None,
        "host": data.get("host"),
        "pid": data.get("pid"),
        "pid_started": data.get("pid_started"),
        "folder": data.get("folder"),
        "pool": data.get("pool"),
        "queue": data.get("queue"),
        "idempotency_key": data.get("key"),
        "batch": data.get("batch"),
        "batch_limit": data.get("batch_limit"),
    }


def _new_task(event: Event) -> Row:
    data = event.data
    upstream = data.get("upstream")
    return {
        "id": event.task_run_id,
        "flow_run_id": event.flow_run_id,
        "name": data["name"],
        "key": data.get("key", ""),
        "cell": data.get("cell"),
        "map_index": data.get("index"),
        "upstream": " ".join(upstream) if upstream else None,
        "tags": _tags(data),
        "process": data.get("process"),
        "state_type": "PENDING",
        "state_name": "Pending",
        "state_message": None,
        "attempts": 0,
        "created": event.time,
        "started": None,
        "ended": None,
    }


def _tags(data: Mapping[str, Any]) -> str | None:
    tags = data.get("tags")
    return _to_json(tags) if tags else None


def _state_update(table: Any) -> Any:
    from sqlalchemy import bindparam, case, func, update

    values: dict[str, Any] = {name: bindparam(name) for name in ("state_type", "state_name", "state_message", "ended")}
    values["started"] = func.coalesce(table.c.started, bindparam("began"))
    if "attempts" in table.c:
        tried: Any = bindparam("tried")
        values["attempts"] = case((table.c.attempts > tried, table.c.attempts), else_=tried)
    return update(table).where(table.c.id == bindparam("of")).values(**values)
