"""The rows that stored results, and their use, add to a batch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event
from flowbook.store.results import COLUMNS, ResultRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


class ResultRows:
    """The rows of stored results: the last for each key, in place of what was there."""

    def __init__(self) -> None:
        self.records: list[ResultRecord] = []
        self._latest: dict[str, ResultRecord] = {}
        self._replaced: dict[str, str] = {}  # files by key

    def add(self, record: ResultRecord) -> None:
        """Take one result."""
        self.records.append(record)
        self._latest[record.key] = record

    def write(self, connection: Connection) -> None:
        """Put everything into the database, in the caller's transaction."""
        if not self._latest:
            return
        from sqlalchemy import select

        from flowbook.store.schema import result

        of_these = select(result.c.key, result.c.file).where(result.c.key.in_(self._latest), result.c.file.is_not(None))
        self._replaced = {row.key: row.file for row in connection.execute(of_these)}
        rows = [{name: getattr(self._latest[key], name) for name in COLUMNS} for key in sorted(self._latest)]
        insert = _upsert(connection, result)
        new = {name: insert.excluded[name] for name in COLUMNS if name != "key"}
        connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=new), rows)

    def remove_replaced(self) -> None:
        """Remove the files that no row names any more; those that the user named stay."""
        left = {record.path for record in self._latest.values()}
        replaced = [(record, record.path) for record in self.records]
        replaced += [(self._latest[key], self._latest[key].home / file) for key, file in self._replaced.items()]
        for record, path in replaced:
            if path is not None and path not in left and Path(path).name.startswith(record.key):
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108


class CacheUseRows:
    """How often the results of tasks were reused, added to the table ``cache_use``."""

    def __init__(self) -> None:
        self._saved: dict[str, float | None] = {}  # by task run; None for a result that had to be made

    def add(self, event: Event) -> None:
        """Take what a state of a task run says of the cache."""
        data = event.data
        if "saved" in data:
            self._saved[event.task_run_id or ""] = data["saved"]
        elif "missed" in data:
            self._saved[event.task_run_id or ""] = None

    def write(self, connection: Connection, new_tasks: Mapping[str, Mapping[str, Any]]) -> None:
        """Put everything into the database, in the caller's transaction; `new_tasks` are the rows of its task runs."""
        if not self._saved:
            return
        from flowbook.store.schema import cache_use

        keys = {run_id: new_tasks[run_id]["key"] for run_id in self._saved if run_id in new_tasks}
        keys |= _task_keys(connection, [run_id for run_id in self._saved if run_id not in keys])
        rows: dict[str, dict[str, Any]] = {}
        for run_id, key in keys.items():
            row = rows.setdefault(key, {"task_key": key, "hits": 0, "misses": 0, "seconds_saved": 0.0})
            saved = self._saved[run_id]
            row["misses" if saved is None else "hits"] += 1
            row["seconds_saved"] += saved or 0.0
        if not rows:
            return
        insert = _upsert(connection, cache_use)
        more = {name: cache_use.c[name] + insert.excluded[name] for name in ("hits", "misses", "seconds_saved")}
        added = insert.on_conflict_do_update(index_elements=["task_key"], set_=more)
        connection.execute(added, [rows[key] for key in sorted(rows)])


def _task_keys(connection: Connection, run_ids: list[str]) -> dict[str, str]:
    if not run_ids:
        return {}
    from sqlalchemy import select

    from flowbook.store.schema import task_run

    query = select(task_run.c.id, task_run.c.key).where(task_run.c.id.in_(run_ids))
    return {row.id: row.key for row in connection.execute(query)}


def _upsert(connection: Connection, table: Table) -> Any:
    """An insert that can say what is to be done with rows that are there, which other processes may have made.

    Its rows are to be in the order of their keys: then two processes cannot wait for each other.
    """
    if connection.dialect.name == "postgresql":  # whose module takes a tenth of a second to import
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
