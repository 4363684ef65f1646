"""The loop: makes the runs that are due, and sleeps until the next one is, or until something new is in the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowbook.schedule.clock import Clock, SystemClock
from flowbook.schedule.fires import make_due_runs, next_due, set_right

if TYPE_CHECKING:
    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.schedule")
_AFTER_TROUBLE = 5.0  # seconds

#: Seconds after which the loop looks up at the latest: a clock that was set forward makes things due.
LOOK_EVERY = 1.0
_SET_RIGHT_EVERY = 60.0  # seconds; another machine's clock may be ahead. When ours is set back, that is seen at once


class Loop:
    """Makes due runs and calls `work` whenever there may be something to do, until `stop` is set.

    `work` is given the time and returns when it has something to do next, both in seconds since the epoch; None if
    nothing that it knows of.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[float], float | None],
        *,
        stop: threading.Event,
        clock: Clock | None = None,
        wake: threading.Event | None = None,
    ) -> None:
        self.database = database
        self.work = work
        self.stop = stop
        self.clock = clock or SystemClock(database)
        self.wake = wake or threading.Event()
        self._set_right_at = self._looked_at = float("-inf")

    def run(self) -> None:
        """Return when `stop` is set."""
        try:
            while not self.stop.is_set():
                self.wake.clear()
                self.clock.wait(self.wake, self._turn())
        finally:
            self.clock.close()

    def _turn(self) -> float:
        """Do what there is to do; returns the seconds until there is more."""
        try:
            now = self.clock.now()
            if now >= self._set_right_at or now < self._looked_at:
                set_right(self.database, now)
                self._set_right_at = now + _SET_RIGHT_EVERY
            self._looked_at = now
            make_due_runs(self.database, now)
            due = [time for time in (self.work(now), next_due(self.database)) if time is not None]
        except Exception as error:  # a disk that is full now may not be so later
            _log.error("Trying again in %g s: %s", _AFTER_TROUBLE, error)
            return _AFTER_TROUBLE
        return max(0.0, min([LOOK_EVERY, *(time - self.clock.now() for time in due)]))
