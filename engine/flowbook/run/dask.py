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
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from flowbook.core.protocol import Raised, Returned
from flowbook.errors import CancelledRun, NotPicklable, UsageError, WorkerLost
from flowbook.run.blocking import interrupt_threads, wakes_by
from flowbook.run.channel import Part
from flowbook.run.future import Future
from flowbook.run.ids import new_id
from flowbook.run.pool import ThreadPool
from flowbook.run.relay import Relay, RemoteCaller
from flowbook.run.remote import Begun, begun, execute, failure, read_order
from flowbook.run.task_execution import TaskExecution
from flowbook.run.timeouts import OutOfTime, StopThread

_LARGE = 1 << 20  # bytes: a larger order goes to a worker as data of its own, not through the graph of tasks
_GATHER = 0.02  # seconds that a worker collects messages for
_LATE = 2.0  # seconds that messages may take longer than the outcome which they belong to
_GUARD = (
    "The processes of a local cluster import the script that was started: call the flow in it below "
    '`if __name__ == "__main__":`.'
)
_STOP_GRACE = 1.0  # seconds for interrupted code to end: less than a pool waits for its threads
_EXIT_GRACE = 0.2  # seconds for the workers of an interrupted flow run to end


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Which cluster: the one given, the one at an address, or one that is started for the flow run and closed after."""

    cluster: Any = None
    address: str | None = None
    cluster_class: str | Callable[..., Any] | None = None
    cluster_kwargs: Mapping[str, Any] = field(default_factory=dict)
    adapt_kwargs: Mapping[str, Any] = field(default_factory=dict)
    client_kwargs: Mapping[str, Any] = field(default_factory=dict)


def check_usable() -> None:
    """Raise UsageError unless Dask is there, and this is no process of a cluster that imports the user's script."""
    if find_spec("distributed") is None:
        raise UsageError('DaskTaskRunner needs dask.distributed; install it with `pip install "flowbook[dask]"`.')
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(f"A flow with a DaskTaskRunner was called while a process of Dask started. {_GUARD}")


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


class Line:
    """The connection to a cluster."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._own: Any = None
        self.calls_again = True
        """Whether the cluster would have another worker call a function, if the one that has called it goes away."""
        self.topic = f"flowbook-{new_id()}"
        self.calls: dict[str, _Call] = {}
        self.client: Any = None
        try:
            self.client = self._connect(target)
            self.client.subscribe_topic(self.topic, self._said)
            self.client.subscribe_topic("all", self._happened)
        except BaseException:  # an interrupt as well
            self.close(at_once=True)
            raise

    def capacity(self) -> int:
        """How many tasks the cluster can execute side by side, once it has grown as far as it may; 0: unknown."""
        threads: list[int] = list(self.client.nthreads().values())
        most = self._target.adapt_kwargs.get("maximum")
        if self._target.adapt_kwargs and most in (None, math.inf):
            return 0
        return max(sum(threads), int(most or 0) * max(threads, default=1))

    def close(self, *, at_once: bool = False) -> None:
        """Disconnect, and end a cluster that was started for us; `at_once`, whatever its workers still do."""
        if self._own is not None and at_once:
            impatient = threading.Timer(_EXIT_GRACE, _kill_workers, (self._own,))
            impatient.daemon = True
            impatient.start()
        if self.client is not None:
            with suppress(Exception):  # what is gone need not be closed
                for topic in (self.topic, "all"):
                    self.client.unsubscribe_topic(topic)
                self.client.close()
        if self._own is not None:
            with suppress(Exception):
                self._own.close()

    def _connect(self, target: Target) -> Any:
        from distributed import Client

        to: Any = target.cluster or target.address
        if to is None:
            to = self._own = _started(target)
            scheduler: Any = getattr(to, "scheduler", None)
            if hasattr(scheduler, "allowed_failures"):
                scheduler.allowed_failures = 0
                self.calls_again = False
        try:
            if target.adapt_kwargs:
                to.adapt(**target.adapt_kwargs)
            return Client(to, **{"set_as_default": False, **target.client_kwargs})  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            where = f"The Dask cluster at {target.address}" if target.address else f"The Dask cluster {to!r}"
            raise UsageError(
                f"{where} cannot be reached: {error}. Start its scheduler (`dask scheduler`), or correct the address "
                "that DaskTaskRunner was given."
            ) from error

    def _said(self, event: tuple[float, tuple[str, int, bytes]]) -> None:
        """A worker has sent a batch of messages."""
        call_id, number, batch = event[1]
        call = self.calls.get(call_id)
        if call is not None:
            call.inbox.put(_Batch(number, pickle.loads(batch)))  # noqa: S301 - from a process of our own

    def _happened(self, event: tuple[float, Any]) -> None:
        """Something has happened in the cluster."""
        what = event[1]
        if isinstance(what, Mapping) and what.get("action") == "remove-worker":
            for call in list(self.calls.values()):
                if call.where == what["worker"]:
                    call.inbox.put(_Lost(f"the Dask worker at {call.where} has left the cluster"))


def _started(target: Target) -> Any:
    """A cluster of our own."""
    make = target.cluster_class or "distributed.LocalCluster"
    if isinstance(make, str):
        module, _, name = make.rpartition(".")
        make = getattr(import_module(module), name)
    options = dict(target.cluster_kwargs)
    if target.cluster_class is None:
        options.setdefault("dashboard_address", ":0")  # several flow runs at once
    try:
        return make(**options)
    except RuntimeError as error:
        why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise UsageError(f"A Dask cluster could not be started: {why}. {_GUARD}") from error


def _kill_workers(cluster: Any) -> None:
    """End the processes of a local cluster that is being closed: it would wait some seconds for code that goes on."""
    from distributed import Nanny

    for worker in list(getattr(cluster, "workers", {}).values()):
        if isinstance(worker, Nanny) and worker.pid:
            with suppress(OSError):
                os.kill(worker.pid, _KILL)


_KILL = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class _Lost:
    why: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a worker returns: how many batches it has sent, what it has not, and the outcome.

    There is none when the function has been called before, by a worker that is gone.
    """

    batches: int
    rest: list[bytes]
    outcome: Parcel | None


class Parcel:
    """The parts of a message, for Dask to send as they lie in memory."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Parcel, ([pickle.PickleBuffer(part) if protocol >= 5 else bytes(part) for part in self.parts],)

    def open(self) -> list[Part]:
        """The parts. What was received in memory that cannot be changed is copied, since arrays come to lie in it."""
        head, *rest = [memoryview(part) for part in self.parts]
        return [head, *(bytearray(part) if part.readonly else part for part in rest)]

    def __sizeof__(self) -> int:
        return sum(memoryview(part).nbytes for part in self.parts)


@dataclass(slots=True, eq=False)
class _Call:
    """One order on its way. A thread of its own talks to Dask, since those of a pool may be interrupted anywhere."""

    line: Line
    id: str
    name: str
    parcel: Parcel | None
    timeout: float | None
    inbox: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    where: str | None = None
    """The address of the worker that has called the function."""
    future: Any = None
    stopped: bool = False

    @property
    def mark(self) -> str | None:
        """The name of the mark that the function has been called, if there is a need for one."""
        return f"flowbook-{self.id}" if self.line.calls_again else None

    def start(self) -> None:
        """Give the order to Dask; returns at once."""
        self.line.calls[self.id] = self
        threading.Thread(target=self._perform, name=f"flowbook-dask-{self.name}", daemon=True).start()

    def stop(self, error: type[BaseException] | None) -> None:
        """Have the worker end the code by `error`, if there is a worker, and Dask forget the order; returns at once."""
        if self.stopped:
            return
        self.stopped = True
        threading.Thread(target=self._stop, args=(error,), name=f"flowbook-stop-{self.name}", daemon=True).start()

    def _perform(self) -> None:
        try:
            self.inbox.put(self._answer())
        except BaseException as error:
            self.inbox.put(error)
        finally:
            self.future = None
            self._remove_mark()

    def _answer(self) -> _Answer:
        client, parcel, self.parcel = self.line.client, self.parcel, None
        data = client.scatter(parcel, hash=False) if parcel.__sizeof__() > _LARGE else parcel
        del parcel
        key = f"{self.name}-{self.id}"
        self.future = client.submit(
            carry_out, data, self.id, self.line.topic, self.timeout, self.mark, key=key, pure=False
        )
        if self.stopped:
            self.future.cancel()
        answer: _Answer = self.future.result()
        return answer

    def _remove_mark(self) -> None:
        from distributed import Event

        if self.mark is not None:
            with suppress(Exception):  # the scheduler is gone, and so is the mark
                Event(self.mark, client=self.line.client).clear()  # type: ignore[no-untyped-call]

    def _stop(self, error: type[BaseException] | None) -> None:
        future, client = self.future, self.line.client
        if future is None:
            return
        with suppress(Exception):
            if error is not None and self.where is not None:
                client.run(interrupt, self.id, error, workers=[self.where])
                deadline = time.monotonic() + _STOP_GRACE
                while self.future is not None and time.monotonic() < deadline:
                    time.sleep(0.005)
        with suppress(Exception):
            client.cancel([future], force=True)


class Workers(RemoteCaller):
    """Has functions called by the workers of a cluster."""

    def __init__(self, line: Line, threads: int) -> None:
        super().__init__(threads)
        self._line = line

    def conduct(
        self, order: Sequence[Part], run: TaskExecution, relay: Relay, timeout: float | None
    ) -> Returned | Raised:
        """The outcome of an order, once it has been carried out by a worker."""
        call = _Call(self._line, new_id(), run.work.name, Parcel(order), timeout)
        conversation = _Conversation(call, run, relay)
        call.start()
        try:
            return conversation.outcome()
        except BaseException:
            call.stop(KeyboardInterrupt)
            conversation.deadline = time.monotonic() + _STOP_GRACE
            conversation.outcome()
            raise
        finally:
            self._line.calls.pop(call.id, None)


class _Conversation:
    """What is said about one order, in the order in which it was said."""

    def __init__(self, call: _Call, run: TaskExecution, relay: Relay) -> None:
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
            if isinstance(said, _Batch):
                self._pass_on(said.messages)
                self._batches = said.number
            elif isinstance(said, _Answer) and said.outcome is not None:
                return self._conclude(said.batches, said.rest, said.outcome)
            elif isinstance(said, _Answer):
                return Raised(self._lost(f"the Dask worker at {self._call.where} did not come to its end"))
            elif isinstance(said, _Lost):
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
                if isinstance(said, _Batch):
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


# What a worker does


_threads: dict[str, int] = {}
"""The orders that this worker carries out, and in which threads."""
_striking = threading.Lock()


def carry_out(parcel: Parcel, call_id: str, topic: str, timeout: float | None, mark: str | None) -> _Answer:
    """Carry out an order in this thread of a worker; returns the outcome and what was not sent before it."""
    from distributed import get_worker

    if mark is not None and not _set_mark(mark):
        return _Answer(0, [], None)
    worker = get_worker()
    courier = _Courier(worker, topic, call_id)
    _threads[call_id] = threading.get_ident()
    try:
        try:
            courier.send(begun(worker.address))
            outcome = execute(read_order(parcel.open()), courier.send, timeout)
        except BaseException as error:
            outcome = failure(error)
        with _striking:
            del _threads[call_id]
        time.sleep(0)  # an interrupt that has just struck is raised here at the latest
    except BaseException as error:
        _threads.pop(call_id, None)
        outcome = failure(error)
    batches, rest = courier.finish()
    return _Answer(batches, rest, Parcel(outcome))


def _set_mark(name: str) -> bool:
    """Leave a mark at the scheduler; False if it was there already."""
    from distributed import Event

    mark = Event(name)  # type: ignore[no-untyped-call]
    if mark.is_set():  # type: ignore[no-untyped-call]
        return False
    mark.set()  # type: ignore[no-untyped-call]
    return True


def interrupt(call_id: str, error: type[BaseException]) -> None:
    """Raise `error` in the code of an order that this worker carries out, if it has not ended."""
    with _striking:
        thread = _threads.get(call_id)
        if thread is not None:
            interrupt_threads([thread], error)


class _Courier:
    """Brings messages to the flow's process, several at a time."""

    def __init__(self, worker: Any, topic: str, call_id: str) -> None:
        self._worker = worker
        self._topic = topic
        self._call_id = call_id
        self._pending: list[bytes] = []
        self._lock = threading.Lock()
        self._under_way = False
        self._sent = 0
        self._finished = False

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message soon. It has one part, since it is no outcome."""
        self._pending.append(bytes(parts[0]))
        if not self._under_way:
            self._under_way = True
            self._worker.loop.add_callback(self._worker.loop.call_later, _GATHER, self._go)

    def finish(self) -> tuple[int, list[bytes]]:
        """How many batches were sent, and the messages that were not."""
        with self._lock:
            self._finished = True
            return self._sent, self._pending

    def _go(self) -> None:
        """Send what has gathered; on the worker's event loop."""
        self._under_way = False
        with self._lock:
            if self._finished or not self._pending:
                return
            batch, self._pending = self._pending, []
            self._sent += 1
            self._worker.log_event(self._topic, (self._call_id, self._sent, pickle.dumps(batch)))
