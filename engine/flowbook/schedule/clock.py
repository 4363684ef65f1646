"""The clock of the loop, so that tests can let time pass."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from flowbook.store.signals import Listener

if TYPE_CHECKING:
    from flowbook.store.database import Database


class Clock(Protocol):
    """Says what time it is, and lets time pass."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after `seconds`, or when `event` is set, or when there may be something new to do."""

    def close(self) -> None:
        """Nobody waits any more."""


class SystemClock:
    """The clock of this machine, which a commit to `database` wakes up."""

    def __init__(self, database: Database) -> None:
        self._listener = Listener(database)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after `seconds`, when `event` is set, or after something was committed elsewhere."""
        self._listener.wait(max(0.0, seconds), event)

    def close(self) -> None:
        """Let go of the connection."""
        self._listener.close()
