"""Waiting for a database that others hold."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0  # seconds in all; SQLite's own waiting is a part of it
_PAUSE = (0.01, 0.1)  # seconds, from and to


def patiently(attempt: Callable[[], T]) -> T:
    """What `attempt` returns: tried again, at random intervals, while SQLite says that the database is locked.

    SQLite waits by itself, but not always (where waiting could be in vain, it does not), and not with jitter. Raises
    the last error once `PATIENCE` is used up.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_locked(error) or time.monotonic() > until:
                raise
        time.sleep(SystemRandom().uniform(*_PAUSE))


def is_locked(error: BaseException) -> bool:
    """Whether an error of SQLite, or SQLAlchemy's of it, says that somebody else holds the database."""
    code: int = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
