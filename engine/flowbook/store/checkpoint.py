"""Checkpoints of a SQLite database, made by one process at a time.

SQLite before 3.51.3 can lose pages when a connection begins the write-ahead log anew while another one is making a
checkpoint (https://sqlite.org/wal.html#walresetbug). So there SQLite's own checkpoints are off. Ours hold the write
lock: until they are done nobody commits, and so nobody begins the log anew. For the same reason they reach the end of
the log however many processes write, so that the log stays small.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from flowbook.store.file_locks import try_lock, unlock

FIXED_IN = (3, 51, 3)
_LARGE = 4 << 20  # bytes of the log from which on a checkpoint is due
_STEP = 1 << 20  # bytes by which it must have grown after a checkpoint that a reader has kept from emptying it
_KEPT = 1 << 20  # bytes that its file keeps when it begins anew, so that its size says how much is in it
_PATIENCE = 2.0  # seconds to wait for the write lock


def checkpointer_of(database: Path | None) -> Checkpointer | None:
    """Who makes the checkpoints of a database file; None where SQLite can be trusted to, or there is no file."""
    return None if database is None or sqlite3.sqlite_version_info >= FIXED_IN else Checkpointer(database)


class Checkpointer:
    """Makes the checkpoints of one database file. All methods may be called from any thread."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._log = f"{database}-wal"
        self._lock = f"{database}-checkpoint"
        self._due = _LARGE

    def configure(self, connection: Any, _record: Any = None) -> None:
        """Turn SQLite's own checkpoints off on a new connection."""
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_KEPT}")

    def after_commit(self) -> None:
        """Make a checkpoint if one is due and nobody else is making one. Never raises: the commit stands."""
        with suppress(OSError, sqlite3.Error):
            size = os.stat(self._log).st_size  # noqa: PTH116 - with each commit
            if size < _LARGE:
                self._due = _LARGE
            elif size >= self._due:
                with _locked(self._lock) as is_ours:
                    if is_ours:
                        self._checkpoint()
                        self._due = size + _STEP

    def _checkpoint(self) -> None:
        with closing(self._connect()) as writer, closing(self._connect()) as copier:
            writer.execute("BEGIN IMMEDIATE")
            copier.execute("PRAGMA wal_checkpoint(PASSIVE)")
            writer.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, timeout=_PATIENCE, isolation_level=None)
        self.configure(connection)
        return connection


@contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Hold the lock file `path`, unless somebody does; says whether it is held. It goes with a process that dies."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if not try_lock(descriptor):
            yield False
            return
        try:
            yield True
        finally:
            unlock(descriptor)  # not by closing: a child that was forked meanwhile has the descriptor as well
    finally:
        os.close(descriptor)
