"""The process of a notebook that was called: whoever called it waits for it, and ends it when that is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from flowbook import engine
from flowbook.core.states import cancelled
from flowbook.schedule.processes import ProcessSettings, RunProcess
from flowbook.store.queue import QueuedRun
from flowbook.store.reaper import crash, end

_LOOK_EVERY = 0.05  # seconds: so soon whoever waits hears of an interrupt
_ENDS_WITHIN = 5.0  # seconds for the run to end once it was told to


class CalledRun:
    """A run that was recorded by this process, executed in one of its own."""

    def __init__(self, run: QueuedRun) -> None:
        self.run = run
        self._over = threading.Event()
        settings = ProcessSettings(env={}, working_dir=None, memory_mb=None, environment=None)
        try:
            self._process = RunProcess(run, settings, self._over.set)
        except BaseException as error:
            crash(engine.engine().database, run.id, f"The run could not be started: {error}", fence=run.fence)
            raise

    def waits(self) -> Iterator[float]:
        """The seconds to wait before each next look, until the process has ended and the run with it."""
        while not self._over.is_set():
            yield _LOOK_EVERY
        message = f"The process that executed the run is gone: {self._process.ended_by()}."
        crash(engine.engine().database, self.run.id, message, fence=self.run.fence)

    def cancel(self, reason: str) -> None:
        """Have the run end as Cancelled; returns when it has, which may take seconds."""
        opened = engine.engine()
        opened.requests.cancel(self.run.id, reason)
        deadline = time.monotonic() + _ENDS_WITHIN
        while not self._over.is_set() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        end(opened.database, self.run.id, cancelled(reason))
        self._process.end_at_once()
