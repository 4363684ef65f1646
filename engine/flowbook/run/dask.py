"""Task runs on a Dask cluster.

A task run is driven in the flow's process, as any other; a Dask worker calls its function. What the function prints
and logs, and what happens inside of it, comes by Dask's own events (`Worker.log_event`, `Client.subscribe_topic`) in
batches of some 20 ms; what was not sent by then comes with the outcome.

Dask gives the tasks of a worker that goes away to another one. For a task run whose function has been called that is
not what the user asked for: it ends as Crashed, and is called again only if it has retries. A local cluster of our own
is told so. On any other one, the worker that calls the function leaves a mark at the scheduler, and none calls it again
that finds the mark.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from flowbook.core.protocol import Raised, Returned
from flowbook.errors import CancelledRun, NotPicklable, UsageError, WorkerLost
from flowbook.run.blocking import wakes_by
from flowbook.run.channel import Part
from flowbook.run.dask_line import GUARD, STOP_GRACE, Batch, Call, Line, Lost, Target
from flowbook.run.dask_worker import Answer, Parcel
from flowbook.run.future import Future
from flowbook.run.ids import new_id
from flowbook.run.pool import ThreadPool
from flowbook.run.relay import Relay, RemoteCaller
from flowbook.run.remote import Begun
from flowbook.run.task_execution import TaskExecution
from flowbook.run.timeouts import OutOfTime, StopThread

_LATE = 2.0  # seconds that messages may take longer than the outcome which they belong to

__all__ = ["DaskPool", "Target", "check_usable"]


def check_usable() -> None:
    """Raise UsageError unless Dask is there, and this is no process of a cluster that imports the user's script."""
    if find_spec("distributed") is None:
        raise UsageError('DaskTaskRunner needs dask.distributed; install it with `pip install "flowbook[dask]"`.')
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(f"A flow with a DaskTaskRunner was called while a process of Dask started. {GUARD}")


class DaskPool:
    """Executes task runs on a cluster, to which it connects when the first of them is submitted."""

    def __init__(self, target: Target, threads: int) -> None:
        self._target = target
        self._threads = threads
        self._connecting = threading.Lock()
        self._line: Line | None = None
        self._pool: ThreadPool | None = None

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        """Execute `run` once all of `after` have ended. Raises UsageError if the cluster cannot be reached."""
        with self._connecting:
            if self._pool is None:
                self._line = Line(self._target)
                self._pool = ThreadPool(self._line.capacity() or self._threads, Workers(self._line, self._threads))
            pool = self._pool
        pool.submit(run, after)

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended, and the connection is closed; see `Runner.close`."""
        if self._pool is not None:
            self._pool.close(error)
        line, self._line, self._pool = self._line, None, None
        if line is not None:
            line.close(at_once=error is not None and not isinstance(error, Exception))


class Workers(RemoteCaller):
    """Has functions called by the workers of a cluster."""

    def __init__(self, line: Line, threads: int) -> None:
        super().__init__(threads)
        self._line = line

    def conduct(
        self, order: Sequence[Part], run: TaskExecution, relay: Relay, timeout: float | None
    ) -> Returned | Raised:
        """The outcome of an order, once it has been carried out by a worker."""
        call = Call(self._line, new_id(), run.work.name, Parcel(order), timeout)
        conversation = _Conversation(call, run, relay)
        call.start()
        try:
            return conversation.outcome()
        except BaseException:
            call.stop(KeyboardInterrupt)
            conversation.deadline = time.monotonic() + STOP_GRACE
            conversation.outcome()
            raise
        finally:
            self._line.calls.pop(call.id, None)


class _Conversation:
    """What is said about one order, in the order in which it was said."""

    def __init__(self, call: Call, run: TaskExecution, relay: Relay) -> None:
        self._call = call
        self._run = run
        self._relay = relay
        self._batches = 0
        self.deadline = math.inf

    def outcome(self) -> Returned | Raised:
        """Pass on what is said; returns the outcome, which is OutOfTime at the deadline."""
        while True:
            try:
                said = self._next(self.deadline)
            except queue.Empty:
                self._call.stop(StopThread)
                return OutOfTime(self._run.title, self._call.timeout or 0.0)
            if isinstance(said, Batch):
                self._pass_on(said.messages)
                self._batches = said.number
            elif isinstance(said, Answer) and said.outcome is not None:
                return self._conclude(said.batches, said.rest, said.outcome)
            elif isinstance(said, Answer):
                return Raised(self._lost(f"the Dask worker at {self._call.where} did not come to its end"))
            elif isinstance(said, Lost):
                self._call.stop(None)
                return Raised(self._lost(said.why))
            elif isinstance(said, BaseException):
                return Raised(self._explained(said))

    def _next(self, deadline: float) -> Any:
        left = deadline - time.monotonic()
        with wakes_by(lambda: self._call.inbox.put(None)):
            return self._call.inbox.get(
                timeout=None if left == math.inf else min(max(0.0, left), threading.TIMEOUT_MAX)
            )

    def _pass_on(self, messages: list[bytes]) -> None:
        for each in messages:
            message = self._relay.read([each])
            if isinstance(message, Begun):
                self._call.where = message.where
                if self._call.timeout is not None:
                    self.deadline = time.monotonic() + self._call.timeout
            self._relay.take(message)

    def _conclude(self, batches: int, rest: list[bytes], parcel: Parcel) -> Returned | Raised:
        """The outcome, after the batches that were sent before it."""
        deadline = time.monotonic() + _LATE
        with suppress(queue.Empty):
            while self._batches < batches:
                said = self._next(deadline)
                if isinstance(said, Batch):
                    self._pass_on(said.messages)
                    self._batches = said.number
        self._pass_on(rest)
        outcome = self._relay.take(self._relay.read(parcel.open()))
        assert outcome is not None
        return outcome

    def _lost(self, why: str) -> WorkerLost:
        title = f"{self._run.title[0].lower()}{self._run.title[1:]}"
        return WorkerLost(
            f"The worker that executed {title} went away before the task had ended: {why}. Its log says more; the "
            "usual reasons are too little memory and a crash in a library."
        )

    def _explained(self, error: BaseException) -> BaseException:
        """What to say when Dask has no answer."""
        from distributed import KilledWorker

        title = f"{self._run.title[0].lower()}{self._run.title[1:]}"
        if isinstance(error, KilledWorker):
            said: BaseException = self._lost(f"the Dask worker at {error.last_worker.address} has died")
        elif isinstance(error, CancelledError):
            said = CancelledRun(
                f"Dask has cancelled {title}: {error}. Another client did so, or the scheduler went away."
            )
        elif isinstance(error, OSError):
            said = WorkerLost(f"The Dask cluster that executed {title} can no longer be reached: {error}.")
        else:
            said = NotPicklable(
                f"Dask could not execute {title}: {type(error).__name__}: {error}. Its workers need the same versions "
                "of Python, flowbook and the task's modules as the flow's process."
            )
        said.__cause__ = error
        return said
