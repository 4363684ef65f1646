"""The driver that performs many lives in a few threads.

A task run is queued only when its inputs are there, and a run that sleeps or waits for a slot is parked, so neither
holds a thread. A thread that waits for another run does not count against the size of the pool. So a bounded pool
cannot deadlock, and a thousand runs waiting for their retry do not delay the others.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from flowbook.core.protocol import Life, Sleep
from flowbook.core.states import State, cancelled
from flowbook.run.blocking import belongs_to, forget_interrupt, interrupt_threads, may_block
from flowbook.run.clock import clock
from flowbook.run.future import Future
from flowbook.run.inline import step
from flowbook.run.later import Later
from flowbook.run.task_execution import TaskExecution
from flowbook.run.work import Caller

_INTERRUPT_GRACE = 1.5  # seconds for interrupted threads to end, before their runs are given up


_NOT_BEGUN = cancelled("Not begun: the flow run ended before its turn.")
_NOT_RETRIED = cancelled("Not retried: the flow run ended before its turn.")


class _Job(NamedTuple):
    """A run that can go on now, with the outcome of what it waited for. `life` is None when it has not begun."""

    run: TaskExecution
    context: contextvars.Context
    life: Life | None = None
    outcome: Any = None


class _Crew:
    """The threads that a pool started since it was last closed: how many there are, and how many do what."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self.threads = 0
        self.working = 0  # at runs that do not wait for others
        self.waiting = 0  # at runs that do
        self.idle = 0
        self.wakes_at = math.inf  # when an idle one looks at what is parked
        self.ending = False  # the flow run has failed: nothing is retried any more
        self.give_up_at: float | None = None  # set by the first interrupt

    def blocked(self) -> None:
        """The run in one of our threads is about to wait: another thread may work in its place."""
        self._pool._count(self, -1)

    def unblocked(self) -> None:
        """That run goes on."""
        self._pool._count(self, +1)


class ThreadPool:
    """Executes task runs in at most `max_workers` threads, started when there is work for them.

    With a `caller`, the threads only see to the runs, and their functions are called elsewhere.
    """

    def __init__(self, max_workers: int, caller: Caller | None = None) -> None:
        self._max = max_workers
        self._caller = caller
        self._clock = clock()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._ready: deque[_Job] = deque()
        self._parked: list[tuple[float, int, _Job]] = []
        self._blocked_on: dict[TaskExecution, int] = {}
        self._awaiting: dict[TaskExecution, Later] = {}
        self._open: set[TaskExecution] = set()
        self._running: dict[int, TaskExecution] = {}
        self._tiebreak = itertools.count()
        self._crew = _Crew(self)

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        """Execute `run` once all of `after` have ended."""
        job = _Job(run, contextvars.copy_context())
        run.caller = self._caller
        with self._lock:
            interrupted = self._crew.give_up_at is not None
            self._open.add(run)
            if after:
                self._blocked_on[run] = len(after)
            elif not interrupted:
                self._enqueue(job)
        if interrupted:
            self._cancel_unbegun((run,))
            return
        for future in after:
            future.add_done_callback(lambda _: self._input_ended(job))

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended; see `Runner.close`."""
        if error is not None:
            self._cancel_unbegun()
            if not isinstance(error, Exception):
                self._interrupt(type(error))
        self._wait_for_all()
        with self._lock:
            self._crew = _Crew(self)  # those of the old one go home
            self._work.notify_all()

    def _wait_for_all(self, until: float = math.inf) -> None:
        """Return when no run is open, or at the time `until`."""
        with may_block(self._look_again, lambda: not self._open), self._lock:
            while self._open and (left := until - time.monotonic()) > 0:
                self._ended.wait(min(left, threading.TIMEOUT_MAX))

    def _look_again(self) -> None:
        with self._lock:
            self._ended.notify_all()

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
        self._clock.ready(job.run)
        self._staff()

    def _count(self, crew: _Crew, working: int) -> None:
        """A run in one of the crew's threads goes on (1) or waits for others (-1)."""
        with self._lock:
            crew.working += working
            crew.waiting -= working
            if crew is self._crew:
                self._staff()

    def _staff(self) -> None:
        """See to it that a thread takes what is ready, and one wakes up for what is parked."""
        crew = self._crew
        wanted = len(self._ready) or int(bool(self._parked) and self._parked[0][0] < crew.wakes_at)
        if not wanted or crew.working >= self._max:
            return
        if crew.idle < wanted and crew.threads - crew.waiting < self._max:
            crew.threads += 1
            name = f"flowbook-pool-{crew.threads}"
            threading.Thread(target=self._serve, args=(crew,), name=name, daemon=True).start()
        elif crew.idle:
            self._work.notify()

    def _serve(self, crew: _Crew) -> None:
        belongs_to(crew)
        worked = False
        try:
            while self._work_once(crew, worked):
                worked = True
        except Exception:
            raise
        except BaseException:
            return  # an interrupt that was meant for the run which has just ended

    def _work_once(self, crew: _Crew, worked: bool) -> bool:
        """Take the next run a step further; False when the pool was closed. An idle thread keeps no run alive."""
        job = self._next(crew, worked)
        if job is not None:
            life, pause = job.context.run(self._advance, job)
            if life is not None and pause is not None:
                # After the context was left: the thread that goes on with the run enters it again.
                self._put_aside(job._replace(life=life, outcome=None), pause)
        return job is not None

    def _next(self, crew: _Crew, worked: bool) -> _Job | None:
        """The next run that can go on; None when the pool was closed. `worked`: the thread has done its last one."""
        with self._lock:
            if worked:
                crew.working -= 1
            while crew is self._crew:
                wakes_at = math.inf
                if crew.working < self._max:
                    job = self._take()
                    if job is not None:
                        crew.working += 1
                        self._staff()
                        return job
                    if self._parked:
                        wakes_at = crew.wakes_at = self._parked[0][0]
                crew.idle += 1
                self._clock.wait(self._work, wakes_at)
                crew.idle -= 1
                if wakes_at == crew.wakes_at:
                    crew.wakes_at = math.inf
            return None

    def _take(self) -> _Job | None:
        if self._parked and self._parked[0][0] <= self._clock.monotonic():
            job = heapq.heappop(self._parked)[2]
            self._clock.ready(job.run)
            return job
        return self._ready.popleft() if self._ready else None

    def _advance(self, job: _Job) -> tuple[Life | None, Sleep | Later | None]:
        """Perform the life of a run until it ends, or waits: then the life and what it waits for are returned."""
        run, thread = job.run, threading.get_ident()
        self._running[thread] = run
        self._clock.resumed(run)
        try:
            life = job.life
            if life is None:
                end = run.prepare()
                if end is not None:
                    self._end(run, end)
                    return None, None
                life = run.life()
            return life, step(run, life, job.outcome)
        except StopIteration:
            self._end(run)
        except BaseException as error:
            run.break_off(error)
            self._end(run)
        finally:
            self._running.pop(thread, None)
            forget_interrupt()
        return None, None

    def _put_aside(self, job: _Job, pause: Sleep | Later) -> None:
        """The run waits without a thread."""
        if isinstance(pause, Later):
            self._await(job, pause)
        elif not self._park(job, pause.seconds):
            self._end(job.run, _NOT_RETRIED)

    def _await(self, job: _Job, later: Later) -> None:
        """Have the run go on when the outcome is there."""
        with self._lock:
            stopped = self._crew.ending or job.run not in self._open
            if not stopped:
                self._awaiting[job.run] = later
        if stopped:
            later.give_up()
            self._end(job.run, _NOT_BEGUN)
        else:
            later.then(lambda outcome: self._resume(job, outcome))
            with self._lock:
                if job.run in self._awaiting:
                    self._clock.left(job.run)

    def _resume(self, job: _Job, outcome: Any) -> None:
        with self._lock:
            if self._awaiting.pop(job.run, None) is not None:  # else cancelled meanwhile
                self._enqueue(job._replace(outcome=outcome))

    def _park(self, job: _Job, seconds: float) -> bool:
        """Have the run go on in so many seconds; False if it is not to go on at all."""
        with self._lock:
            if self._crew.ending or job.run not in self._open:
                return False
            until = self._clock.monotonic() + seconds
            heapq.heappush(self._parked, (until, next(self._tiebreak), job))
            self._clock.parked(job.run, until, self._look_for_what_is_due)
            return True

    def _look_for_what_is_due(self) -> None:
        with self._lock:
            self._work.notify_all()

    def _end(self, run: TaskExecution, state: State | None = None) -> None:
        """`run` has ended; if its life did not say how, in `state`."""
        try:
            if state is not None:
                run.end_as(state)
        finally:
            with self._lock:
                self._open.discard(run)
                if not self._open:
                    self._ended.notify_all()
                self._clock.left(run)

    def _cancel_unbegun(self, runs: Sequence[TaskExecution] = ()) -> None:
        """Cancel `runs` and all that wait: for a thread, for their inputs, for their retry."""
        with self._lock:
            self._crew.ending = True
            unbegun = [*runs, *(job.run for job in self._ready), *self._blocked_on]
            asleep = [job.run for _, _, job in self._parked]
            awaiting = list(self._awaiting.items())
            self._awaiting.clear()
            self._ready.clear()
            self._parked.clear()
            self._blocked_on.clear()
        for run, later in awaiting:
            later.give_up()
            unbegun.append(run)
        for run in unbegun:
            self._end(run, _NOT_BEGUN)
        for run in asleep:
            self._end(run, _NOT_RETRIED)

    def _interrupt(self, error: type[BaseException]) -> None:
        """Interrupt what runs; a run whose thread does not react in time is cancelled and its thread left alone."""
        with self._lock:
            if self._crew.give_up_at is None:  # a second Ctrl-C does not begin the wait anew
                self._crew.give_up_at = time.monotonic() + _INTERRUPT_GRACE
            give_up_at = self._crew.give_up_at
        running = dict(self._running)
        for run in running.values():
            run.stopped_by = error
        interrupt_threads(running, error)
        self._wait_for_all(give_up_at)
        self._cancel_unbegun()
        for run in list(self._open):
            self._end(run, cancelled("Cancelled by an interrupt; its thread goes on until its native call returns."))
