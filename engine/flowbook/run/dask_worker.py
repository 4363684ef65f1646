"""What a worker of a Dask cluster does: it carries out an order, and sends what that says while it goes on."""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowbook.run.blocking import interrupt_threads
from flowbook.run.channel import Part
from flowbook.run.remote import begun, execute, failure, read_order

_GATHER = 0.02  # seconds that a worker collects messages for

_threads: dict[str, int] = {}
"""The orders that this worker carries out, and in which threads."""
_striking = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
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


def carry_out(parcel: Parcel, call_id: str, topic: str, timeout: float | None, mark: str | None) -> Answer:
    """Carry out an order in this thread of a worker; returns the outcome and what was not sent before it."""
    from distributed import get_worker

    if mark is not None and not _set_mark(mark):
        return Answer(0, [], None)
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
    return Answer(batches, rest, Parcel(outcome))


def _set_mark(name: str) -> bool:
    """Leave a mark at the scheduler; False if it was there already."""
    from distributed import Event

    mark = Event(name)  # type: ignore[no-untyped-call]
    if mark.is_set():  # type: ignore[no-untyped-call]
        return False
    mark.set()  # type: ignore[no-untyped-call]
    return True


def interrupt(call_id: str, error: type[BaseException]) -> bool:
    """Raise `error` in the code of an order, if this worker carries it out; whether it does."""
    with _striking:
        thread = _threads.get(call_id)
        if thread is not None:
            interrupt_threads([thread], error)
        return thread is not None


class _Courier:
    """Brings messages to the flow's process, several at a time."""

    def __init__(self, worker: Any, topic: str, call_id: str) -> None:
        self._worker = worker
        self._topic = topic
        self._call_id = call_id
        # Never replaced by another: whoever was about to append would do so to what is under way already.
        self._pending: deque[bytes] = deque()
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
            return self._sent, list(self._pending)

    def _go(self) -> None:
        """Send what has gathered; on the worker's event loop."""
        self._under_way = False
        with self._lock:
            if self._finished or not self._pending:
                return
            batch = [self._pending.popleft() for _ in range(len(self._pending))]
            self._sent += 1
            self._worker.log_event(self._topic, (self._call_id, self._sent, pickle.dumps(batch)))
