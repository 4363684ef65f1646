"""The clock of the loop, so that tests can let time pass."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Says what time it is, and lets time pass."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after `seconds`, or when `event` is set."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after `seconds`, or when `event` is set."""
        event.wait(max(0.0, seconds))
