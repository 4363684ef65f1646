"""The driver that performs many lives in a few threads.

A task run is queued only when its inputs are there, and a run that sleeps is parked in a heap, so neither holds a
thread. A thread that waits for another run does not count against the size of the pool. So a bounded pool cannot
deadlock, and a thousand runs waiting for their retry do not delay the others.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from flowbook.core.protocol import Life
from flowbook.core.states import State, cancelled, crashed, describe_error, not_ready
from flowbook.errors import IllegalTransition, UpstreamTaskError
from flowbook.run.blocking import belongs_to
from flowbook.run.execution import TaskExecution
from flowbook.run.future import Future
from flowbook.run.inline import step
from flowbook.run.timeouts import interrupt_thread

_INTERRUPT_GRACE = 1.5  # seconds for interrupted threads to end, before their runs are given up


class _Job(NamedTuple):
    """A run that can go on now. `life` is None when it has not begun."""

    run: TaskExecution
    context: contextvars.Context
    life: Life | None = None


class ThreadPool:
    """Executes task runs in at most `max_workers` threads, started when there is work for them."""

    def __init__(self, max_workers: int) -> None:
        self._max = max_workers
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._ready: deque[_Job] = deque()
        self._parked: list[tuple[float, int, _Job]] = []
        self._blocked_on: dict[TaskExecution, int] = {}
        self._open: set[TaskExecution] = set()
        self._running: dict[int, TaskExecution] = {}
        self._threads = self._idle = self._blocked = 0
        self._generation = 0
        self._tiebreak = itertools.count()

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        """Execute `run` once all of `after` have ended."""
        job = _Job(run, contextvars.copy_context())
        with self._lock:
            self._open.add(run)
            if not after:
                self._enqueue(job)
                return
            self._blocked_on[run] = len(after)
        for future in after:
            future.add_done_callback(lambda _: self._input_ended(job))

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended; see `Runner.close`."""
        if error is not None:
            self._cancel_unbegun()
        try:
            if error is not None and not isinstance(error, Exception):
                self._interrupt_running(type(error))
            with self._lock:
                while self._open:
                    self._ended.wait()
        finally:
            with self._lock:
                self._generation += 1
                self._threads = self._idle = 0
                self._work.notify_all()

    def blocked(self) -> None:
        """One of our threads is about to wait: another may work in its place."""
        with self._lock:
            self._blocked += 1
            if self._ready:
                self._staff()

    def unblocked(self) -> None:
        """That thread goes on."""
        with self._lock:
            self._blocked -= 1

    def _input_ended(self, job: _Job) -> None:
        with self._lock:
            if job.run not in self._blocked_on:  # cancelled meanwhile
                return
            self._blocked_on[job.run] -= 1
            if not self._blocked_on[job.run]:
                del self._blocked_on[job.run]
                self._enqueue(job)

    def _enqueue(self, job: _Job) -> None:
        self._ready.append(job)
        self._staff()

    def _staff(self) -> None:
        """Wake a thread for the work at hand, or start one."""
        if self._idle >= len(self._ready):
            self._work.notify()
        elif self._threads - self._blocked < self._max:
            self._threads += 1
            threading.Thread(
                target=self._serve,
                args=(self._generation,),
                name=f"flowbook-pool-{self._threads}",
                daemon=True,
            ).start()

    def _serve(self, generation: int) -> None:
        belongs_to(self)
        while (job := self._next(generation)) is not None:
            job.context.run(self._advance, job)

    def _next(self, generation: int) -> _Job | None:
        """The next run that can go on; None when the pool was closed. Waits in between."""
        with self._lock:
            while generation == self._generation:
                now = time.monotonic()
                if self._parked and self._parked[0][0] <= now:
                    return heapq.heappop(self._parked)[2]
                if self._ready:
                    return self._ready.popleft()
                self._idle += 1
                self._work.wait(self._parked[0][0] - now if self._parked else None)
                if generation == self._generation:
                    self._idle -= 1
            return None

    def _advance(self, job: _Job) -> None:
        """Perform the life of a run until it sleeps or ends."""
        run, thread = job.run, threading.get_ident()
        self._running[thread] = run
        try:
            life, outcome = job.life, None
            if life is None:
                run.resolve_inputs()
                life = run.life()
            pause = step(run, life, outcome)
        except StopIteration:
            self._end(run)
        except UpstreamTaskError as error:
            self._end(run, not_ready(str(error)))
        except BaseException as error:
            self._end(run, _unexpected_end(error))
        else:
            with self._lock:
                due = time.monotonic() + pause.seconds
                heapq.heappush(self._parked, (due, next(self._tiebreak), job._replace(life=life)))
        finally:
            self._running.pop(thread, None)

    def _end(self, run: TaskExecution, state: State | None = None) -> None:
        """`run` has ended; if its life did not say how, in `state`."""
        if state is not None and not (run.state and run.state.is_final()):
            run.enter(state)
        with self._lock:
            self._open.discard(run)
            if not self._open:
                self._ended.notify_all()

    def _cancel_unbegun(self) -> None:
        with self._lock:
            unbegun = [job.run for job in self._ready] + list(self._blocked_on)
            unbegun += [job.run for _, _, job in self._parked]
            self._ready.clear()
            self._parked.clear()
            self._blocked_on.clear()
        for run in unbegun:
            self._end(run, cancelled("Not begun: the flow run ended before its turn."))

    def _interrupt_running(self, error: type[BaseException]) -> None:
        """Interrupt what runs; a run whose thread does not react in time is cancelled and its thread left alone."""
        for thread in list(self._running):
            interrupt_thread(thread, error)
        with self._lock:
            self._ended.wait_for(lambda: not self._open, _INTERRUPT_GRACE)
            deaf = list(self._open)
        for run in deaf:
            self._end(run, cancelled("Cancelled by an interrupt; its thread goes on until its native call returns."))


def _unexpected_end(error: BaseException) -> State:
    """The state of a run whose driver was broken into: between calls by an interrupt, else by a fault of ours."""
    if isinstance(error, KeyboardInterrupt):
        return cancelled(data=error)
    if isinstance(error, IllegalTransition):
        return cancelled(str(error))
    return crashed(f"The engine failed while executing the run: {describe_error(error)}", data=error)
