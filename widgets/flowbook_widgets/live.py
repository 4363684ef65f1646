"""The live view of a run as a widget."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from flowbook_widgets.answers import Answer
from flowbook_widgets.messages import Json
from flowbook_widgets.subshell import hear_in_subshell

_log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"


class LiveDag(anywidget.AnyWidget):
    """The graph of a run with its states, as they change.

    `run` is its id, `graph` the shape, `snapshot` the states as of a version; between snapshots, deltas come as
    messages. A snapshot goes as JSON text: a front end compares what it is sent with what it has, and of a thousand
    nodes one by one that takes a tenth of a second.
    """

    _esm = STATIC / "dag.js"
    _css = STATIC / "dag.css"
    graph = traitlets.Dict().tag(sync=True)
    snapshot = traitlets.Unicode("{}").tag(sync=True)
    run = traitlets.Unicode().tag(sync=True)
    can_cancel = traitlets.Bool(False).tag(sync=True)

    def show(self, graph: Json, snapshot: Json) -> None:
        """Show a graph of this shape in these states."""
        with self.hold_sync():  # one message: a front end never sees new states with an old shape
            self.graph, self.snapshot = dict(graph), json.dumps(snapshot)

    def answer_with(self, answer: Answer) -> None:
        """Answer the questions of the front end, also while a cell runs."""
        self.on_msg(lambda _widget, message, _buffers: self._asked(message, answer))
        hear_in_subshell(self)

    def _asked(self, message: Any, answer: Answer) -> None:
        if not isinstance(message, dict) or message.get("type") != "ask":
            return
        try:
            said = answer(message)
        except Exception:  # a question that fails must not disturb the run that it is about
            _log.warning("A question about a run could not be answered.", exc_info=True)
            said = {}
        self.send({"type": "answer", "id": message.get("id"), "answer": said})

    def keep(self, snapshot: Json) -> None:
        """Hold these states ready for a front end that comes later, or that missed a delta."""
        self.snapshot = json.dumps(snapshot)

    def patch(self, delta: Json) -> None:
        """Show what changed since the version before."""
        self.send(delta)
