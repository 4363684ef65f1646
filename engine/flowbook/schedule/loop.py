"""The loop: makes the runs that are due, and sleeps until the next one is, or until something new is in the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowbook.schedule.clock import Clock, SystemClock
from flowbook.schedule.fires import Planned, make_due_runs, schedules_in_force

if TYPE_CHECKING:
    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.schedule")
_AFTER_TROUBLE = 5.0  # seconds

#: Seconds after which the store is looked at for new runs and changed schedules; the look is one small query.
LOOK_EVERY = 0.5


class Scheduler:
    """Knows the schedules in force and the next fire of each, and makes the runs of those that are due."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._seen: Any = None
        self._next: list[tuple[float, Planned]] = []

    def make_due_runs(self, now: float) -> list[str]:
        """Make the runs that are due at `now`; returns the ids of those made here."""
        self._refresh(now)
        made: list[str] = []
        for place, (due, planned) in enumerate(self._next):
            if due <= now:
                made += make_due_runs(self.database, planned, now)
                self._next[place] = (_or_never(planned.next_after(now)), planned)
        return made

    def next_due(self) -> float:
        """When the next run is due, in seconds since the epoch; infinity if no schedule is in force."""
        return min((due for due, _ in self._next), default=_NEVER)

    def _refresh(self, now: float) -> None:
        """Read the schedules again if some deployment has changed. What was due meanwhile is due at once."""
        seen = _fingerprint(self.database)
        if seen == self._seen:
            return
        self._seen = seen
        self._next = [(now, planned) for planned in schedules_in_force(self.database)]


class Loop:
    """Calls `work` whenever there may be something to do, until `stop` is set."""

    def __init__(
        self,
        scheduler: Scheduler,
        work: Callable[[], None],
        *,
        stop: threading.Event,
        clock: Clock | None = None,
        wake: threading.Event | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.work = work
        self.stop = stop
        self.clock = clock or SystemClock()
        self.wake = wake or threading.Event()

    def run(self) -> None:
        """Return when `stop` is set."""
        while not self.stop.is_set():
            self.wake.clear()
            try:
                self.scheduler.make_due_runs(self.clock.now())
                self.work()
            except Exception as error:  # a disk that is full now may not be so later
                _log.error("Trying again in %g s: %s", _AFTER_TROUBLE, error)
                self.clock.wait(self.wake, _AFTER_TROUBLE)
                continue
            pause = min(LOOK_EVERY, self.scheduler.next_due() - self.clock.now())
            self.clock.wait(self.wake, max(0.0, pause))


_NEVER = float("inf")


def _or_never(time: float | None) -> float:
    return _NEVER if time is None else time


def _fingerprint(database: Database) -> Any:
    """Something that differs when schedules were added, changed or paused."""
    from sqlalchemy import func, select

    from flowbook.store.schema import deployment, schedule

    query = select(func.max(deployment.c.updated), func.count(deployment.c.id), _count(schedule.c.id))
    with database.read() as connection:
        return tuple(connection.execute(query).one())


def _count(column: Any) -> Any:
    from sqlalchemy import func, select

    return select(func.count(column)).scalar_subquery()
