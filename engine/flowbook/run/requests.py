"""Noticing what is asked of the flow runs that this process executes: one thread that looks into the store.

It lives for as long as flow runs are executed here, and looks only for those that have been for a while, so that short
ones cost nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flowbook.core.requests import Request
from flowbook.errors import FlowbookError, ParameterError

_log = logging.getLogger("flowbook.engine")

LOOK_EVERY = 0.25  # seconds; with the time that a run has to stop, it ends within two
_FIRST_LOOK = 0.5  # seconds after a run has begun
BEAT_EVERY = 10.0  # seconds


class Inbox(Protocol):
    """Where requests arrive."""

    def pending(self) -> Sequence[Request]:
        """All that nobody has answered."""

    def remove(self, request_id: str) -> None:
        """The request was done."""

    def refuse(self, request_id: str, problem: Mapping[str, Any]) -> None:
        """The request was not done, because of `problem`."""


class Asked(Protocol):
    """A flow run that is executed here. Both methods are called in the thread that looks, and must be quick."""

    def cancel(self, reason: str) -> None:
        """Have it end, soon."""

    def resume(self, data: Mapping[str, Any]) -> bool:
        """Have it go on. False if that is for another process to answer; raises a FlowbookError to refuse it."""


class Watcher:
    """Tells the flow runs of this process what is asked of them."""

    def __init__(
        self, inbox: Inbox, *, beat: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inbox = inbox
        self._beat = beat  # says that the runs of this process live
        self._next_beat = 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._runs: dict[str, tuple[Asked, float]] = {}
        self._cancelled: dict[str, list[str]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def enter(self, flow_run_id: str, run: Asked) -> None:
        """The flow run is executed here from now on."""
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._watch, name="flowbook-requests", daemon=True)
                thread.start()
                self._thread = thread
            self._runs[flow_run_id] = (run, self._clock())  # last: from now on the run may be ended where it stands

    def leave(self, flow_run_id: str) -> None:
        """The flow run has ended."""
        with self._lock:
            self._runs.pop(flow_run_id, None)
            answered = self._cancelled.pop(flow_run_id, ())
        for request_id in answered:
            self._inbox.remove(request_id)

    def find(self, flow_run_id: str) -> Asked | None:
        """The flow run, if it is executed here."""
        found = self._runs.get(flow_run_id)
        return found[0] if found else None

    def look_now(self) -> None:
        """Something was asked from within this process."""
        self._look(self._runs)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._wake.set()
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        failing = False
        while True:
            self._wake.wait(LOOK_EVERY)
            with self._lock:
                if self._closed or not self._runs:
                    self._thread = None
                    return
                now = self._clock()
                grown = [run_id for run_id, (_, began) in self._runs.items() if now - began >= _FIRST_LOOK]
            if not grown:
                continue
            try:
                self._look(grown)
                if now >= self._next_beat and any(now - began >= BEAT_EVERY for _, began in self._runs.copy().values()):
                    self._next_beat = now + BEAT_EVERY
                    self._beat()
                failing = False
            except Exception as error:  # the runs do not fail with it, and the next look may succeed
                if not failing:
                    _log.warning("Requests to cancel or resume runs cannot be read, trying again: %s", error)
                failing = True

    def _look(self, run_ids: Sequence[str] | Mapping[str, Any]) -> None:
        for request in self._inbox.pending():
            found = self._runs.get(request.flow_run_id) if request.flow_run_id in run_ids else None
            if found is not None:
                self._tell(found[0], request)

    def _tell(self, run: Asked, request: Request) -> None:
        if request.kind == "cancel":
            with self._lock:
                known = self._cancelled.setdefault(request.flow_run_id, [])
                if request.id in known or request.flow_run_id not in self._runs:
                    return
                known.append(request.id)  # removed when the run has ended, so that nobody takes it for undone
            run.cancel(request.data["reason"])
            return
        try:
            if run.resume(request.data):
                self._inbox.remove(request.id)
        except ParameterError as error:
            self._inbox.refuse(request.id, {"message": str(error), "input": True, "field": error.field})
        except FlowbookError as error:
            self._inbox.refuse(request.id, {"message": str(error), "input": False})
