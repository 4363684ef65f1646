"""A run shown under the cell that runs it: live while it goes on, and something to keep afterwards."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from flowbook.core.events import Event
from flowbook.core.view import RunView
from flowbook_widgets.actions import MIME_TYPE, Action, kernel_id, offered
from flowbook_widgets.answers import Details, answer_of, failure_in
from flowbook_widgets.pump import Pump, Screen
from flowbook_widgets.static import final_bundle

#: What can be done about a run that has failed.
Actions = Callable[[RunView], tuple[Action, ...]]

_log = logging.getLogger(__name__)

#: A run that ends sooner (seconds) gets no widget: it would be gone before it could be seen.
GRACE = 0.15


class LiveView:
    """Shows one flow run in the output of the cell in which the block is entered.

    ``with live_view(flow_run_id) as view:`` and `view.feed(event)` for every event. When the block is left, in
    whatever way, the live view is replaced by a picture and text that stay in the notebook. Outside a kernel only
    these are displayed, and outside IPython nothing is.
    """

    def __init__(
        self,
        flow_run_id: str,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.time,
        details: Details | None = None,
        cancel: Callable[[], object] | None = None,
        actions: Actions | None = None,
    ) -> None:
        self._pump = Pump(flow_run_id, self._open_widget, grace=grace, clock=clock)
        self._clock = clock
        self._details, self._cancel, self._actions = details, cancel, actions
        self._handle: Any = None
        self._placed: _Placed | None = None

    @property
    def feed(self) -> Callable[[Event], None]:
        """Takes one event: cheap, from any thread, never raises."""
        return self._pump.feed

    @property
    def view(self) -> RunView:
        """The snapshot after the events so far."""
        return self._pump.view()

    def __enter__(self) -> Self:
        if _shell() is not None and _in_kernel():
            from IPython.display import display

            # takes the place in the cell's output now, before anything that the tasks print
            self._handle = display({"text/plain": "Running…"}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            self._pump.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            view = self._pump.finish()
        except KeyboardInterrupt:  # a second interrupt: leave what is known, and no live view that never ends
            view = self._pump.view()
        try:
            self._leave_behind(view)
        except Exception:  # the run counts, not its picture
            _log.warning("The picture of a run could not be left in the notebook.", exc_info=True)

    def _leave_behind(self, view: RunView) -> None:
        if _shell() is None:
            return
        if self._placed is not None:
            self._placed.release()
        bundle = self._final(view)
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
        else:
            from IPython.display import display

            display(bundle, raw=True)  # type: ignore[no-untyped-call]
        if self._placed is not None:
            self._placed.close()

    def _final(self, view: RunView) -> dict[str, Any]:
        failure = failure_in(view, self._details)
        actions = self._actions(view) if self._actions is not None and failure is not None else ()
        bundle: dict[str, Any] = {
            **final_bundle(view, self._clock(), picture=not self._pump.busy, failure=failure, actions=actions)
        }
        if actions and _in_kernel():
            bundle[MIME_TYPE] = offered(view.id, kernel_id(), actions)
        return bundle

    def _open_widget(self) -> Screen:
        """Called in the pump's thread, whose context is that of the cell."""
        from flowbook_widgets.live import LiveDag

        widget = LiveDag(run=self.view.id)
        widget.can_cancel = self._cancel is not None
        widget.answer_with(lambda question: answer_of(self.view, question, details=self._details, cancel=self._cancel))
        self._placed = _Placed(widget, self._handle)
        return self._placed


class _Placed:
    """The widget, put into the cell's output when it has something to show."""

    def __init__(self, widget: Any, handle: Any) -> None:
        self._widget, self._handle = widget, handle
        self.keep, self.patch, self.close = widget.keep, widget.patch, widget.close

    def show(self, graph: dict[str, Any], snapshot: dict[str, Any]) -> None:
        self._widget.show(graph, snapshot)
        if self._handle is not None:
            self._handle.update(self._widget._repr_mimebundle_()[0], raw=True)
            self._handle = None

    def release(self) -> None:
        """Leave the place in the output to something else."""
        self._handle = None


def live_view(
    flow_run_id: str,
    *,
    grace: float = GRACE,
    details: Details | None = None,
    cancel: Callable[[], object] | None = None,
    actions: Actions | None = None,
) -> LiveView:
    """The live view of one flow run; after `grace` seconds it becomes a widget.

    `details` says more of a task run that a person opens. `cancel` asks the run to end; without it the view offers no
    button for that. Both may be called in any thread. `actions` are what a person can do about a run that has failed.
    """
    return LiveView(flow_run_id, grace=grace, details=details, cancel=cancel, actions=actions)


def _shell() -> Any:
    """The IPython shell, if there is one; a plain Python program does not import IPython for this."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _in_kernel() -> bool:
    return getattr(_shell(), "kernel", None) is not None
