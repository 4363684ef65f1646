"""A worker: claims runs that are due, and has each executed by a process of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowbook import engine
from flowbook.run.ids import new_id
from flowbook.schedule import children
from flowbook.schedule.children import Child
from flowbook.schedule.clock import Clock
from flowbook.schedule.loop import Loop, Scheduler
from flowbook.store.processes import this_process
from flowbook.store.queue import QueuedRun, claim, due_runs, queued_run
from flowbook.store.reaper import crash, reap
from flowbook.store.workers import beat, forget, register

if TYPE_CHECKING:
    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.worker")

#: Seconds between two heartbeats of a worker, and two looks for runs whose process has gone.
HEARTBEAT = 10.0
#: Seconds that runs have to come to their end after the first signal.
GRACE = 30.0


class Worker:
    """Executes at most `limit` runs at a time. `said` is told what happens, one line each."""

    def __init__(
        self,
        *,
        limit: int,
        grace: float = GRACE,
        clock: Clock | None = None,
        said: Callable[[str], None] = _log.info,
    ) -> None:
        self.database: Database = engine.engine().database
        self.limit = limit
        self.grace = grace
        self.said = said
        self.id = new_id()
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self.at_once = threading.Event()
        self._wake = threading.Event()
        self._next_beat = 0.0
        self.scheduler = Scheduler(self.database)
        self.loop = Loop(self.scheduler, self.step, stop=self.stopping, clock=clock, wake=self._wake)

    def run(self) -> None:
        """Work until `stop` is called, then let the runs come to their end within the grace period."""
        register(self.database, self.id, this_process(), self.loop.clock.now())
        try:
            self.loop.run()
            self._let_finish()
        finally:
            self._end_all()
            forget(self.database, self.id)

    def run_once(self) -> int:
        """Execute what is due now and wait for it; returns how many runs that was."""
        self.scheduler.make_due_runs(self.loop.clock.now())
        reap(self.database)
        count = 0
        try:
            while not self.stopping.is_set():
                self._wake.clear()
                self._collect()
                count += self._claim_due()
                if not self.children:
                    return count
                self._wake.wait()
            self._let_finish()
        finally:
            self._end_all()
        return count

    def stop(self) -> None:
        """Claim nothing more. Called again: end the runs at once."""
        if self.stopping.is_set():
            self.at_once.set()
        self.stopping.set()
        self._wake.set()

    def step(self) -> None:
        """One turn of the loop: see who has ended, claim what is due, say that we live."""
        self._collect()
        self._claim_due()
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT
            beat(self.database, self.id, self.loop.clock.now())
            reap(self.database)

    def _claim_due(self) -> int:
        free = self.limit - len(self.children)
        if free <= 0:
            return 0
        claimed = 0
        for run in due_runs(self.database, self.loop.clock.now(), free):
            fence = claim(self.database, run, this_process())
            if fence is not None:
                claimed += 1
                self._start(run, fence)
        return claimed

    def _start(self, run: QueuedRun, fence: int) -> None:
        try:
            self.children.append(children.start(run, fence, ended=self._wake.set))
        except OSError as error:
            crash(self.database, run.id, f"The process for the run could not be started: {error}.", fence=fence)
            self.said(f"Run {run.number} of {run.flow!r} could not be started: {error}.")
        else:
            late = max(0.0, self.loop.clock.now() - run.due)
            self.said(f"Run {run.number} of {run.flow!r} begins ({run.name}), {late:.2f} s after its time.")

    def _collect(self) -> None:
        """Take leave of the processes that have ended, and say so for those that could not say it themselves."""
        for child in [child for child in self.children if child.process.poll() is not None]:
            self.children.remove(child)
            children.end_kernel(child.folder)
            message = (
                f"The process that executed the run is gone: {child.ended_by()}. See {child.folder / 'output.log'}."
            )
            crash(self.database, child.run.id, message, fence=child.fence)
            state = queued_run(self.database, child.run.id).state_type
            self.said(f"Run {child.run.number} of {child.run.flow!r} ended: {state.capitalize()}.")

    def _let_finish(self) -> None:
        deadline = time.monotonic() + self.grace
        if self.children:
            self.said(
                f"Waiting at most {self.grace:g} s for {len(self.children)} runs; a second signal ends them at once."
            )
        while self.children and time.monotonic() < deadline and not self.at_once.is_set():
            self._wake.clear()
            self._collect()
            if self.children and not self.at_once.is_set():
                self._wake.wait(min(1.0, max(0.0, deadline - time.monotonic())))

    def _end_all(self) -> None:
        if self.at_once.is_set():
            for child in self.children:
                children.end_at_once(child)
        else:
            children.end(self.children)
        self._collect()
