"""Workers keep the history short: once an hour they delete what ended long ago, little by little, beside their work."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.store.retention import Rule, prune_some

if TYPE_CHECKING:
    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.worker")

#: Seconds between two looks for runs that are to be deleted.
EVERY = 3600.0
_FIRST = 60.0  # seconds after the start of a worker: not as it claims what has been waiting for it
_PAUSE = 0.25  # seconds between two deletions, for others to write


class Pruner:
    """Deletes what ended more than `keep` seconds ago, as `FLOWBOOK_KEEP_RUNS` says; nothing if that is None."""

    def __init__(self, database: Database, home: Path, keep: float | None, stop: threading.Event) -> None:
        self._database = database
        self._home = home
        self._keep = keep
        self._stop = stop
        self._next: float | None = None
        self._thread: threading.Thread | None = None

    def tick(self, ticks: float, now: float) -> None:
        """Begin, if it is time: `ticks` are seconds that no change of the clock moves, `now` those since the epoch."""
        if self._next is None:
            self._next = ticks + _FIRST
        if self._keep is None or ticks < self._next:
            return
        self._next = ticks + EVERY
        if self._thread is None or not self._thread.is_alive():
            rule = Rule(before=now - self._keep)
            self._thread = threading.Thread(target=self._prune, args=(rule, now), name="flowbook-prune", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Return when it is done with what it has begun."""
        if self._thread is not None:
            self._thread.join()

    def _prune(self, rule: Rule, now: float) -> None:
        try:
            while not self._stop.is_set() and prune_some(self._database, self._home, rule, now=now):
                self._stop.wait(_PAUSE)
        except Exception as error:
            _log.warning("Runs that ended long ago could not be deleted: %s", error)
