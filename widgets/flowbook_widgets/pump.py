"""From events to the front end, in a thread of its own.

The thread that runs tasks only appends to a deque. This one folds the events into a snapshot, and every 40 ms sends
what changed; a new layout only when the graph's shape changed. So the view moves while a cell keeps the kernel busy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from math import inf
from typing import Any, Protocol

from flowbook.core.boxes import Box, boxes
from flowbook.core.events import Event
from flowbook.core.view import RunReducer, RunView
from flowbook.errors import FlowbookError
from flowbook.visualize import live_svg
from flowbook_widgets.messages import Json, header, node_of, nodes

INTERVAL = 0.04
#: Deltas reach only a front end that is there; who comes later finds a snapshot, at most this old (seconds).
_RESYNC = 1.0
# A large graph that grows is drawn again only after so many times the time that drawing it took, in seconds at most.
_PAUSE_FACTOR, _LONGEST_PAUSE = 4, 1.0
#: So many of the last log lines can be asked for.
_KEPT_LOGS = 2000
_log = logging.getLogger(__name__)


class Screen(Protocol):
    """What shows a run. All calls come from one thread."""

    def show(self, graph: Json, snapshot: Json) -> None:
        """Show everything: the shape and the states."""

    def keep(self, snapshot: Json) -> None:
        """Hold the states ready for a front end that comes later, or that missed a delta."""

    def patch(self, delta: Json) -> None:
        """Show what changed since the version before."""


class Pump:
    """Feeds a screen with the events of one flow run. Start it in the cell whose output it belongs to."""

    def __init__(
        self,
        flow_run_id: str,
        open_screen: Callable[[], Screen],
        *,
        grace: float = 0.0,
        clock: Callable[[], float] = time.time,
        draw: Callable[[RunView], str] = live_svg,
    ) -> None:
        self._reducer = RunReducer(flow_run_id, keep_logs=_KEPT_LOGS)
        self._open_screen = open_screen
        self._grace = grace
        self._clock = clock
        self._draw = draw
        self._events: deque[Event] = deque()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._folding = threading.Lock()
        self._thread: threading.Thread | None = None
        self._frames: _Frames | None = None

    def start(self, context: Context | None = None) -> None:
        """Begin. What is sent belongs to the cell in whose context this is called."""
        run = (context or copy_context()).run
        self._thread = threading.Thread(target=run, args=(self._run,), name="flowbook-view", daemon=True)
        self._thread.start()

    def feed(self, event: Event) -> None:
        """Take one event. It costs an append, may be called from any thread, and never raises."""
        self._events.append(event)
        if not self._wake.is_set():
            self._wake.set()

    def finish(self, timeout: float = 10.0) -> RunView:
        """Show everything fed so far and end. Returns the final snapshot, after `timeout` seconds at the latest."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return self.view()

    @property
    def busy(self) -> bool:
        """Whether the thread is still at work; after `finish`, that a layout takes very long."""
        return self._thread is not None and self._thread.is_alive()

    def view(self) -> RunView:
        """The snapshot after all events so far."""
        with self._folding:
            self._fold()
            return self._reducer.view

    def _run(self) -> None:
        try:
            self._stop.wait(self._grace)
            if self._stop.is_set():
                return  # over before anybody could have looked: what is left behind says it all
            self._frames = _Frames(self._open_screen(), self._clock, self._draw)
            while not self._stop.is_set():
                self._wake.wait(min(_RESYNC, self._frames.due_in()))
                self._wake.clear()
                began = time.monotonic()
                self._frame()
                took = time.monotonic() - began
                self._stop.wait(max(INTERVAL - took, took))  # a layout of seconds takes at most half of a processor
            self._frame(last=True)
        except Exception:  # a view that breaks must not break the run that it shows
            _log.warning("The live view of a run stopped; the run goes on.", exc_info=True)

    def _frame(self, *, last: bool = False) -> None:
        assert self._frames is not None
        with self._folding:
            self._fold()
            view, changed = self._reducer.view, set(self._reducer.changed)
            reshaped = self._reducer.shape_changed
            self._reducer.changed.clear()
            self._reducer.shape_changed = False
        self._frames.send(view, changed, reshaped=reshaped, last=last)

    def _fold(self) -> None:
        events = []
        while self._events:
            events.append(self._events.popleft())
        self._reducer.apply(events)


class _Frames:
    """What the screen knows, so that only the difference is sent."""

    def __init__(self, screen: Screen, clock: Callable[[], float], draw: Callable[[RunView], str]) -> None:
        self._screen = screen
        self._clock = clock
        self._draw = draw
        self._boxes: tuple[Box, ...] = ()
        self._box_of: dict[str, Box] = {}
        self._names: dict[str, str] = {}
        self._graph: Json = {"id": 0, "svg": ""}
        self._version = 0
        self._header: Json = {}
        self._nodes: dict[str, Json] = {}
        self._kept_at = 0.0
        self._kept_version = 0
        self._is_outdated = True
        self._next_drawing = 0.0

    def due_in(self) -> float:
        """In how many seconds a new shape has to be drawn."""
        return max(0.0, self._next_drawing - time.monotonic()) if self._is_outdated else inf

    def send(self, view: RunView, changed: set[str], *, reshaped: bool, last: bool) -> None:
        """Send the changes from the frame before to `view`."""
        renamed = any(view.nodes[id].name != self._names.get(id) for id in changed)
        self._is_outdated |= reshaped or renamed
        if self._is_outdated and self.due_in() == 0:
            self._names = {node.id: node.name for node in view.nodes.values()}
            self._is_outdated = False
            if self._redraw(view):
                return
        ended = view.state is not None and view.state.is_final()
        drawn = [self._box_of[id] for id in changed if id in self._box_of]
        touched = self._boxes if ended else {box.key: box for box in drawn}.values()
        fresh = {box.key: node for box in touched if (node := node_of(box, view)) != self._nodes.get(box.key)}
        above = header(view)
        if fresh or above != self._header:
            self._version += 1
            self._nodes |= fresh
            delta: Json = {"type": "delta", "graph": self._graph["id"], **self._stamp(), "nodes": fresh}
            if above != self._header:
                self._header = delta["header"] = above
            self._screen.patch(delta)
        if self._kept_version < self._version and (last or self._clock() - self._kept_at >= _RESYNC):
            self._keep()

    def _redraw(self, view: RunView) -> bool:
        """Send a new shape, if there is one."""
        drawn = boxes(view)
        self._box_of = {member: box for box in drawn for member in box.members}
        same = _shape(drawn) == _shape(self._boxes)
        self._boxes = drawn
        if same and self._version:  # one more run behind a box is no new shape
            return False
        self._graph = {"id": self._graph["id"] + 1, "svg": ""}
        began = time.monotonic()
        try:
            self._graph["svg"] = self._draw(view)
        except FlowbookError as error:
            self._graph["problem"] = str(error)
        ended = time.monotonic()
        self._next_drawing = ended + min(_LONGEST_PAUSE, _PAUSE_FACTOR * (ended - began))
        self._version += 1
        self._header, self._nodes = header(view), nodes(drawn, view)
        self._screen.show(self._graph, self._snapshot())
        self._kept_at, self._kept_version = self._clock(), self._version
        return True

    def _keep(self) -> None:
        self._screen.keep(self._snapshot())
        self._kept_at, self._kept_version = self._clock(), self._version

    def _snapshot(self) -> Json:
        stamp: dict[str, Any] = {"graph": self._graph["id"], **self._stamp()}
        return {**stamp, "header": self._header, "nodes": dict(self._nodes)}

    def _stamp(self) -> Json:
        return {"version": self._version, "now": self._clock()}


def _shape(drawn: tuple[Box, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(box.key, box.name, box.upstream) for box in drawn]
