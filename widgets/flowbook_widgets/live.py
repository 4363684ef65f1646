"""The live view of a run as a widget."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from flowbook_widgets.messages import Json

STATIC = Path(__file__).parent / "static"


class LiveDag(anywidget.AnyWidget):
    """The graph of a run with its states, as they change.

    `graph` is the shape, `snapshot` the states as of a version; between snapshots, deltas come as messages.
    """

    _esm = STATIC / "dag.js"
    _css = STATIC / "dag.css"
    graph = traitlets.Dict().tag(sync=True)
    snapshot = traitlets.Dict().tag(sync=True)

    def show(self, graph: Json, snapshot: Json) -> None:
        """Show a graph of this shape in these states."""
        with self.hold_sync():  # one message: a front end never sees new states with an old shape
            self.graph, self.snapshot = dict(graph), snapshot

    def keep(self, snapshot: Json) -> None:
        """Hold these states ready for a front end that comes later, or that missed a delta."""
        self.snapshot = snapshot

    def patch(self, delta: Json) -> None:
        """Show what changed since the version before."""
        self.send(delta)
