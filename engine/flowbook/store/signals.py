"""Being told that something new is in the store, instead of looking for it again and again.

PostgreSQL tells (LISTEN and NOTIFY, https://www.postgresql.org/docs/current/sql-notify.html). SQLite is asked whether
any other connection has committed since the last time (``PRAGMA data_version``), which costs a few microseconds.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_CHANNEL = "flowbook"
_ASK_EVERY = 0.04  # seconds
_NOTICE_STOP = 0.1  # seconds within which a wait for PostgreSQL notices that it is to end
_AFTER_LOSS = 1.0  # seconds until a lost connection is opened again


def notify(connection: Connection) -> None:
    """Tell whoever listens, as this transaction commits, that there may be something to do."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


class Listener:
    """Waits for news of one database. For one thread at a time; `close` lets go of its connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._version: int | None = None

    def wait(self, seconds: float, wake: threading.Event) -> None:
        """Return after `seconds`, or soon after something was committed elsewhere, or when `wake` is set."""
        deadline = time.monotonic() + seconds
        try:
            if self._database.engine.dialect.name == "postgresql":
                self._wait_for_postgres(deadline, wake)
            else:
                self._ask_sqlite(deadline, wake)
        except Exception:  # whoever waits finds out by itself what is wrong with the database
            self.close()
            wake.wait(min(_AFTER_LOSS, max(0.0, deadline - time.monotonic())))

    def close(self) -> None:
        """Let go of the connection; the next wait opens another one."""
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            connection.invalidate()

    def _ask_sqlite(self, deadline: float, wake: threading.Event) -> None:
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
        while not wake.is_set():
            (version,) = self._connection.driver_connection.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                is_news, self._version = self._version is not None, version
                if is_news:
                    return
            left = deadline - time.monotonic()
            if left <= 0:
                return
            wake.wait(min(_ASK_EVERY, left))

    def _wait_for_postgres(self, deadline: float, wake: threading.Event) -> None:
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
            self._connection.driver_connection.autocommit = True
            self._connection.driver_connection.execute(f"LISTEN {_CHANNEL}")
        while not wake.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            for _ in self._connection.driver_connection.notifies(timeout=min(left, _NOTICE_STOP), stop_after=1):
                return
