"""Where the events of the engine go: to the store's sink and to the listeners in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flowbook.core.events import Event, EventKind
from flowbook.run.clock import clock

Listener = Callable[[Event], None]


class Sink(Protocol):
    """What keeps events. `append` must be cheap and never block; `flush` returns when all of them are committed."""

    def append(self, event: Event) -> None: ...

    def flush(self) -> None: ...


class Recorder:
    """Stamps each event with the time and hands it on. The runs that it records go by its clock."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.clock = clock()
        self._listeners: tuple[Listener, ...] = ()

    def emit(self, kind: EventKind, flow_run_id: str | None, task_run_id: str | None, data: Mapping[str, Any]) -> float:
        """Record one event now; returns its time in seconds since the epoch."""
        now = self.clock.time()
        self.relay(Event(kind=kind, time=now, flow_run_id=flow_run_id, task_run_id=task_run_id, data=data))
        return now

    def relay(self, event: Event) -> None:
        """Record an event of another process, which has stamped it with the time."""
        self.sink.append(event)
        for listener in self._listeners:
            listener(event)

    def flush(self) -> None:
        """Return when everything recorded so far is durable."""
        self.sink.flush()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with every event from now on, in the thread that records it; returns the way out.

        A listener must be quick and must not raise.
        """
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(known for known in self._listeners if known is not listener)

        return stop
