"""The floor: the least that keeps the same facts of a task run with the same promise.

A ThreadPoolExecutor calls the function, and one writer thread commits what happened to SQLite in groups: three events
and one row per task, fsynced before the flow returns. No retries, cache, states in memory, logs, edges or limits: what
flowbook takes beyond this is the price of those.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE event (seq INTEGER PRIMARY KEY, time REAL, kind TEXT, flow_run_id TEXT, task_run_id TEXT, data TEXT);
CREATE INDEX event_of_flow_run ON event (flow_run_id);
CREATE TABLE task_run (id TEXT PRIMARY KEY, flow_run_id TEXT, name TEXT, state TEXT, ended REAL) WITHOUT ROWID;
CREATE INDEX task_of_flow_run ON task_run (flow_run_id);
"""
_Fact = tuple[float, str, str, str, dict[str, Any]]


class Record:
    """A database and its writer."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._facts: queue.SimpleQueue[_Fact | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write)
        self._writer.start()

    def add(self, kind: str, flow_run_id: str, task_run_id: str, **data: Any) -> None:
        """Record one fact; it is durable once `close` has returned."""
        self._facts.put((time.time(), kind, flow_run_id, task_run_id, data))

    def close(self) -> None:
        """Return when everything is committed."""
        self._facts.put(None)
        self._writer.join()
        self._connection.close()

    def _write(self) -> None:
        going_on = True
        while going_on:
            batch = [self._facts.get()]
            time.sleep(0.02)
            while not self._facts.empty() and len(batch) < 1000:
                batch.append(self._facts.get())
            going_on = batch[-1] is not None
            self._commit([fact for fact in batch if fact is not None])

    def _commit(self, facts: list[_Fact]) -> None:
        write = self._connection.executemany
        self._connection.execute("BEGIN IMMEDIATE")
        write(
            "INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?)",
            [(at, kind, flow, task, json.dumps(data)) for at, kind, flow, task, data in facts],
        )
        write(
            "INSERT INTO task_run VALUES (?, ?, ?, 'PENDING', NULL)",
            [(task, flow, data["name"]) for _, kind, flow, task, data in facts if kind == "task-run"],
        )
        write(
            "UPDATE task_run SET state = ?, ended = ? WHERE id = ?",
            [(data["type"], at, task) for at, kind, _, task, data in facts if kind == "state"],
        )
        self._connection.execute("COMMIT")


def run_tasks(fn: Callable[[int], int], n: int, database: Path) -> None:
    """Call `fn` with 0…n-1 in a pool and record it in a new `database`."""
    record, flow_run_id = Record(database), uuid.uuid4().hex

    def one(task_run_id: str, i: int) -> int:
        record.add("state", flow_run_id, task_run_id, type="RUNNING", name="Running")
        result = fn(i)
        record.add("state", flow_run_id, task_run_id, type="COMPLETED", name="Completed")
        return result

    with ThreadPoolExecutor(8) as pool:
        futures = []
        for i in range(n):
            task_run_id = uuid.uuid4().hex
            record.add("task-run", flow_run_id, task_run_id, name=f"{fn.__name__}-{i}", key=fn.__qualname__)
            futures.append(pool.submit(one, task_run_id, i))
        for future in futures:
            future.result()
    record.close()
