"""The connection to a Dask cluster, and the orders that are on their way to its workers."""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from flowbook.errors import UsageError
from flowbook.run.dask_worker import Answer, Parcel, carry_out, interrupt
from flowbook.run.ids import new_id

_LARGE = 1 << 20  # bytes: a larger order goes to a worker as data of its own, not through the graph of tasks
_EXIT_GRACE = 0.2  # seconds for the workers of an interrupted flow run to end
_KILL = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM
#: Seconds for interrupted code to end: less than a pool waits for its threads.
STOP_GRACE = 1.0
#: What to do about a script that the processes of a local cluster import.
GUARD = (
    "The processes of a local cluster import the script that was started: call the flow in it below "
    '`if __name__ == "__main__":`.'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Which cluster: the one given, the one at an address, or one that is started for the flow run and closed after."""

    cluster: Any = None
    address: str | None = None
    cluster_class: str | Callable[..., Any] | None = None
    cluster_kwargs: Mapping[str, Any] = field(default_factory=dict)
    adapt_kwargs: Mapping[str, Any] = field(default_factory=dict)
    client_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the code of an order has said: the batch of this number, counted from 1."""

    number: int
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker that carried an order out is gone."""

    why: str


class Line:
    """The connection to a cluster."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._own: Any = None
        self.calls_again = True
        """Whether the cluster would have another worker call a function, if the one that has called it goes away."""
        self.topic = f"flowbook-{new_id()}"
        self.calls: dict[str, Call] = {}
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
            call.inbox.put(Batch(number, pickle.loads(batch)))  # noqa: S301 - from a process of our own

    def _happened(self, event: tuple[float, Any]) -> None:
        """Something has happened in the cluster."""
        what = event[1]
        if isinstance(what, Mapping) and what.get("action") == "remove-worker":
            for call in list(self.calls.values()):
                if call.where == what["worker"]:
                    call.inbox.put(Lost(f"the Dask worker at {call.where} has left the cluster"))


def _started(target: Target) -> Any:
    """A cluster of our own."""
    make = target.cluster_class or "distributed.LocalCluster"
    if isinstance(make, str):
        module, _, name = make.rpartition(".")
        make = getattr(import_module(module), name)
    options = dict(target.cluster_kwargs)
    if target.cluster_class is None:
        options.setdefault("dashboard_address", ":0")  # several flow runs at once
    vars(sys.modules["__main__"]).setdefault("__spec__", None)  # which new processes ask for, and `%reset` takes away
    try:
        return make(**options)
    except RuntimeError as error:
        why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise UsageError(f"A Dask cluster could not be started: {why}. {GUARD}") from error


def _kill_workers(cluster: Any) -> None:
    """End the processes of a local cluster that is being closed: it would wait some seconds for code that goes on."""
    from distributed import Nanny

    for worker in list(getattr(cluster, "workers", {}).values()):
        if isinstance(worker, Nanny) and worker.pid:
            with suppress(OSError):
                os.kill(worker.pid, _KILL)


@dataclass(slots=True, eq=False)
class Call:
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

    def _answer(self) -> Answer:
        client, parcel, self.parcel = self.line.client, self.parcel, None
        data = client.scatter(parcel, hash=False) if parcel.__sizeof__() > _LARGE else parcel
        del parcel
        key = f"{self.name}-{self.id}"
        self.future = client.submit(
            carry_out, data, self.id, self.line.topic, self.timeout, self.mark, key=key, pure=False
        )
        if self.stopped:
            self.future.cancel()
        answer: Answer = self.future.result()
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
            if error is not None:
                # All are asked while nobody has been heard to have begun: what a busy worker says may come late.
                workers = None if self.where is None else [self.where]
                struck = client.run(interrupt, self.id, error, workers=workers, on_error="ignore")
                deadline = time.monotonic() + STOP_GRACE
                while any(struck.values()) and self.future is not None and time.monotonic() < deadline:
                    time.sleep(0.005)
        with suppress(Exception):
            client.cancel([future], force=True)
