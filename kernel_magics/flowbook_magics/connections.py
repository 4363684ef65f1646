"""Connections to SQLite that one cell makes and others use, which may be executed by other threads.

Outside of tasks all cells run in one thread, and ``sqlite3`` refuses any other by default. Cells that use the same
connection keep their order, so that it is never used by two threads at once.
"""

from __future__ import annotations

import sqlite3
from functools import wraps
from typing import Any

_plain = sqlite3.connect
_CHECK = 4  # where `check_same_thread` stands among the arguments


@wraps(_plain)
def _connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    if len(args) <= _CHECK:
        kwargs.setdefault("check_same_thread", False)
    connection: sqlite3.Connection = _plain(*args, **kwargs)
    return connection


def serve_all_threads() -> None:
    """Have ``sqlite3.connect`` make connections that any thread may use, unless it is told something else."""
    sqlite3.connect = sqlite3.dbapi2.connect = _connect  # type: ignore[assignment]


def serve_one_thread() -> None:
    """Undo `serve_all_threads`."""
    sqlite3.connect = sqlite3.dbapi2.connect = _plain
