"""Artifacts in the database: the rows that their events make, and what is asked of them.

The record says that there is an artifact; what it holds stands in its row only, so that deleting the row deletes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event
from flowbook.errors import NotFound, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from flowbook.store.database import Database

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactSummary:
    """An artifact without what it holds. Times are in seconds since the epoch; `run` is the flow run's number."""

    id: str
    key: str | None
    type: str
    description: str | None
    flow_run_id: str | None
    task_run_id: str | None
    run: int | None
    created: float
    updated: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredArtifact(ArtifactSummary):
    """An artifact; `data` is plain JSON values."""

    data: Any


class ArtifactRows:
    """Rows to insert and to update for some events, one per artifact however often it was updated."""

    def __init__(self) -> None:
        self._new: dict[str, Row] = {}
        self._changes: dict[str, Row] = {}

    def add(self, event: Event) -> bool:
        """Take one event; False if it says no more than the event of the same artifact before it in this batch."""
        data = event.data
        if not data.get("update"):
            self._new[data["id"]] = _new_row(event)
            return True
        row = self._new.get(data["id"])
        if row is not None:
            row.update(data=_text(data["data"]), updated=event.time)
            row["description"] = data.get("description", row["description"])
            return False
        known = data["id"] in self._changes
        row = self._changes.setdefault(data["id"], {"of": data["id"], "described": None})
        row.update(holds=_text(data["data"]), at=event.time)
        row["described"] = data.get("description", row["described"])
        return not known

    def write(self, connection: Connection) -> None:
        """Put everything into the database, in the caller's transaction."""
        from sqlalchemy import bindparam, func, insert, update

        from flowbook.store.schema import artifact

        if self._new:
            connection.execute(insert(artifact), list(self._new.values()))
        if self._changes:
            described = bindparam("described", type_=artifact.c.description.type)
            description = func.coalesce(described, artifact.c.description)
            changed = update(artifact).where(artifact.c.id == bindparam("of"))
            changed = changed.values(data=bindparam("holds"), updated=bindparam("at"), description=description)
            connection.execute(changed, list(self._changes.values()))


def facts_of(event: Event) -> Mapping[str, Any]:
    """What the record keeps of an artifact's event."""
    return {name: event.data[name] for name in ("id", "type", "key", "update") if event.data.get(name) is not None}


def newest(database: Database, key: str) -> StoredArtifact | None:
    """The artifact of this key that was made last."""
    return _one(database, _columns(with_data=True).where(_table().c.key == key).order_by(*_newest_first()).limit(1))


def by_id(database: Database, artifact_id: str) -> StoredArtifact | None:
    """The artifact of this id."""
    return _one(database, _columns(with_data=True).where(_table().c.id == artifact_id))


def listed(database: Database, *, key: str | None = None, limit: int | None = None) -> list[ArtifactSummary]:
    """The newest artifacts first, of all keys or of one."""
    query = _columns().order_by(*_newest_first()).limit(limit)
    if key is not None:
        query = query.where(_table().c.key == key)
    with database.read() as connection:
        return [ArtifactSummary(**row) for row in connection.execute(query).mappings()]


def matching(database: Database, text: str) -> list[ArtifactSummary]:
    """The artifact of this id, or else all of this key, the newest first; raises NotFound with a suggestion."""
    with database.read() as connection:
        for condition in _meanings(text):
            rows = connection.execute(_columns().where(condition).order_by(*_newest_first())).mappings().all()
            if rows:
                return [ArtifactSummary(**row) for row in rows]
    hint = did_you_mean(text, _keys(database))
    raise NotFound(f"There is no artifact with the key or id {text!r}.{hint} `flowbook artifact ls` lists them.")


def delete_artifacts(database: Database, text: str) -> int:
    """Delete the artifact of this id, or else all of this key, with what they hold; returns how many there were."""
    from sqlalchemy import delete

    with database.write() as connection:
        for condition in _meanings(text):
            if deleted := connection.execute(delete(_table()).where(condition)).rowcount:
                return deleted
    return 0


def _new_row(event: Event) -> Row:
    data = event.data
    return {
        "id": data["id"],
        "key": data.get("key"),
        "type": data["type"],
        "description": data.get("description"),
        "data": _text(data["data"]),
        "flow_run_id": event.flow_run_id,
        "task_run_id": event.task_run_id,
        "created": event.time,
        "updated": event.time,
    }


def _text(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))


def _table() -> Any:
    from flowbook.store.schema import artifact

    return artifact


def _columns(*, with_data: bool = False) -> Select[Any]:
    from sqlalchemy import select

    from flowbook.store.schema import artifact, flow_run

    chosen = [column for column in artifact.c if with_data or column.name != "data"]
    runs = flow_run.c.id == artifact.c.flow_run_id
    return select(*chosen, flow_run.c.number.label("run")).outerjoin(flow_run, runs)


def _newest_first() -> tuple[Any, ...]:
    table = _table()
    return table.c.created.desc(), table.c.id.desc()


def _meanings(text: str) -> tuple[ColumnElement[bool], ...]:
    """What a person may mean: an id, also written as a UUID, before a key."""
    table = _table()
    return table.c.id == text.replace("-", ""), table.c.key == text


def _keys(database: Database) -> list[str]:
    from sqlalchemy import select

    key = _table().c.key
    with database.read() as connection:
        return list(connection.scalars(select(key).where(key.is_not(None)).distinct()))


def _one(database: Database, query: Select[Any]) -> StoredArtifact | None:
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else StoredArtifact(**{**row, "data": json.loads(row["data"])})
