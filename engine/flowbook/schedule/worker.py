"""A worker: claims runs that are due, and has each executed as the type of its pool says."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.deploying import Collision
from flowbook.run.ids import new_id
from flowbook.schedule.clock import Clock
from flowbook.schedule.loop import Loop
from flowbook.schedule.pruning import Pruner
from flowbook.schedule.worker_types import Launched, worker_type
from flowbook.store.claiming import Claimant, active_runs_of, claim_due, collisions, manifests_ahead, next_due
from flowbook.store.deployments import manifest_of
from flowbook.store.pools import pool_named
from flowbook.store.processes import this_process
from flowbook.store.queue import QueuedRun, hand_back, queued_run
from flowbook.store.reaper import crash, give_up_suspended, mark_late, reap
from flowbook.store.workers import beat, forget, register

if TYPE_CHECKING:
    from flowbook.store.database import Database

_log = logging.getLogger("flowbook.worker")

#: Seconds between two heartbeats of a worker.
HEARTBEAT = 10.0
#: Seconds between two looks for runs whose process has gone.
SWEEP = 2.0
#: Seconds that runs have to come to their end after the first signal.
GRACE = 30.0
_MOST_PREPARED = 10  # deployments
_SAY_LAST = 5.0  # seconds that an execution has to record why it ends


class Worker:
    """Executes at most `limit` runs at a time: those of `pool` (of its `queues`, if any are named), or those of its own
    `deployments`, by their ids. `said` is told what happens, one line each.
    """

    def __init__(
        self,
        *,
        limit: int,
        pool: str | None = None,
        queues: Sequence[str] = (),
        deployments: Sequence[str] = (),
        name: str | None = None,
        grace: float = GRACE,
        clock: Clock | None = None,
        said: Callable[[str], None] = _log.info,
    ) -> None:
        if pool is None and not deployments:
            raise ValueError("a worker executes the runs of a pool, or of some deployments")
        self.database: Database = engine.engine().database
        self.limit = limit
        self.grace = grace
        self.said = said
        self.id = new_id()
        self.claimant = Claimant(
            process=this_process(), pool=pool, queues=tuple(queues), deployments=tuple(deployments)
        )
        self.name = name or f"{self.claimant.process.host}-{self.claimant.process.pid}"
        self.type = worker_type(pool_named(self.database, pool).type if pool is not None else "process")
        self.launched: list[Launched] = []
        self.claimed: dict[str, int] = {}
        """The numbers of the runs that `run_once` took, by their ids."""
        self.stopping = threading.Event()
        self.at_once = threading.Event()
        self._wake = threading.Event()
        self._next_beat = 0.0
        self._told_busy = 0
        self._next_sweep = 0.0
        self._next_preparing = 0.0
        settings = engine.engine().settings
        self._pruner = Pruner(self.database, settings.home, settings.keep_runs, self.stopping)
        self.loop = Loop(self.database, self.step, stop=self.stopping, clock=clock, wake=self._wake)

    def run(self) -> None:
        """Work until `stop` is called, then let the runs come to their end within the grace period."""
        register(self.database, self.id, self.claimant, self.name, self.limit, self.loop.clock.now())
        try:
            self.loop.run()
            self._let_finish()
        finally:
            self._end_all()
            self._pruner.wait()
            forget(self.database, self.id)

    def run_once(self) -> int:
        """Execute what is due now and wait for it; returns how many runs that was."""
        from flowbook.schedule.fires import make_due_runs, set_right

        set_right(self.database, self.loop.clock.now())
        make_due_runs(self.database, self.loop.clock.now())
        reap(self.database)
        try:
            while not self.stopping.is_set():
                self._wake.clear()
                self._collect()
                self.claimed |= {run.id: run.number for run in self._claim_due(self.loop.clock.now())}
                if not self.launched:
                    break
                self._wake.wait()
            self._let_finish()
        finally:
            self._end_all()
            self.loop.clock.close()
        return len(self.claimed)

    def unsuccessful(self) -> list[int]:
        """The numbers of the runs that `run_once` took and that failed, crashed or were cancelled."""
        ends = {"FAILED", "CRASHED", "CANCELLED"}
        return [number for id_, number in self.claimed.items() if queued_run(self.database, id_).state_type in ends]

    def stop(self) -> None:
        """Claim nothing more. Called again: end the runs at once."""
        if self.stopping.is_set():
            self.at_once.set()
        self.stopping.set()
        self._wake.set()

    def step(self, now: float) -> float | None:
        """One turn of the loop: see who has ended, claim what is due, say that we live; when is the next run due?"""
        self._collect()
        ticks = time.monotonic()
        if ticks >= self._next_sweep:
            self._next_sweep = ticks + SWEEP
            reap(self.database)
            mark_late(self.database, now)
            give_up_suspended(self.database, now)
        due = next_due(self.database, self.claimant)
        if due is not None and due <= now:
            self._claim_due(now)
            due = next_due(self.database, self.claimant, after=now)
        if ticks >= self._next_beat or len(self.launched) != self._told_busy:
            self._next_beat, self._told_busy = ticks + HEARTBEAT, len(self.launched)
            beat(self.database, self.id, now, busy=self._told_busy)
        if ticks >= self._next_preparing:
            self._next_preparing = ticks + HEARTBEAT
            self._prepare()
        self._pruner.tick(ticks, now)
        return due

    def _claim_due(self, now: float) -> Sequence[QueuedRun]:
        free = self.limit - len(self.launched)
        if free <= 0:
            return ()
        self._settle_collisions(now)
        claimed = claim_due(self.database, self.claimant, now, free)
        for run in claimed:
            self._start(run)
        return claimed

    def _settle_collisions(self, now: float) -> None:
        """Cancel what the deployments say of runs that are due while others of theirs are executed."""
        requests = engine.engine().requests
        for row in collisions(self.database, self.claimant, now):
            if row.collision == Collision.CANCEL_NEW:
                requests.cancel(row.id, f"Deployment {row.name!r} executes as many runs as it may at a time.")
                continue
            for run_id in active_runs_of(self.database, row.deployment_id):
                requests.cancel(run_id, f"A newer run of deployment {row.name!r} takes its place.", again=False)

    def _prepare(self) -> None:
        """Have what the next runs need ready before they are due."""
        for manifest in manifests_ahead(self.database, self.claimant, _MOST_PREPARED):
            with suppress(Exception):  # the run that cannot be started will say why
                self.type.prepare(manifest, self._settings(self.claimant.pool, manifest))

    def _settings(self, pool: str | None, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the pool for runs of a version, which may have its own."""
        of_pool = pool_named(self.database, pool).settings if pool is not None else {}
        own = manifest.get("job_variables", {})
        return {**of_pool, **own, "env": {**of_pool.get("env", {}), **own.get("env", {})}}

    def _start(self, run: QueuedRun) -> None:
        try:
            assert run.deployment_id is not None  # only runs of deployments wait for workers
            assert run.version is not None
            manifest = manifest_of(self.database, run.deployment_id, run.version)
            settings = self._settings(run.pool, manifest)
            self.launched.append(self.type.launch(run, manifest, settings, self._wake.set))
        except Exception as error:
            crash(self.database, run.id, f"The run could not be started: {error}", fence=run.fence)
            self.said(f"Run {run.number} of {run.flow!r} could not be started: {error}")
        else:
            late = max(0.0, self.loop.clock.now() - run.due)
            self.said(f"Run {run.number} of {run.flow!r} begins ({run.name}), {late:.2f} s after its time.")

    def _collect(self) -> None:
        """Take leave of what has ended, and say so for those that could not say it themselves."""
        for ended in [each for each in self.launched if each.is_over()]:
            self.launched.remove(ended)
            message = f"The process that executed the run is gone: {ended.ended_by()}."
            crash(self.database, ended.run.id, message, fence=ended.run.fence)
            run = queued_run(self.database, ended.run.id)
            why = f": {run.state_message}" if run.state_message else "."
            self.said(f"Run {run.number} of {run.flow!r} ended: {run.state_type.capitalize()}{why}")

    def _let_finish(self) -> None:
        deadline = time.monotonic() + self.grace
        if self.launched:
            self.said(
                f"Waiting at most {self.grace:g} s for {len(self.launched)} runs; a second signal ends them at once."
            )
        while self.launched and time.monotonic() < deadline and not self.at_once.is_set():
            self._wake.clear()
            self._collect()
            if self.launched and not self.at_once.is_set():
                beat(self.database, self.id, self.loop.clock.now(), busy=len(self.launched))
                self._wake.wait(min(1.0, max(0.0, deadline - time.monotonic())))

    def _end_all(self) -> None:
        """End what is still executed; what had not begun is handed back for another worker."""
        for each in self.launched:
            hand_back(self.database, each.run)
            each.ask_to_end()
        deadline = time.monotonic() + (0.0 if self.at_once.is_set() else _SAY_LAST)
        for each in self.launched:
            while not each.is_over() and time.monotonic() < deadline:
                self._wake.wait(0.05)
                self._wake.clear()
            each.end_at_once()
        self._collect()
        self.type.close()
