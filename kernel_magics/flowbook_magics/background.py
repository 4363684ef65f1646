"""A flow run that goes on while the kernel executes other cells."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from flowbook.errors import FlowbookError, UsageError
from flowbook.flow_runs import cancel_flow_run
from flowbook_magics import outputs
from flowbook_magics.tables import Text

if TYPE_CHECKING:
    from flowbook.core.states import State
    from flowbook.run.flow_execution import FlowExecution
    from flowbook_magics.session import Session

_ENDS_WITHIN = 10.0  # seconds; it takes less than two, if the computer is not very busy


class BackgroundRun:
    """One flow run in a thread of its own. What it shows lands under the cell in which this was made."""

    def __init__(
        self, shell: Any, run: FlowExecution, view: ExitStack, execute: Callable[[FlowExecution], State]
    ) -> None:
        """`execute` is called with `run`, and `view` closed after that."""
        self.run = run
        self._shell = shell
        self._view = view
        self._execute = execute
        # The process does not wait for it: a kernel that is shut down ends, and its runs have crashed.
        in_this_cell = contextvars.copy_context().run
        self._thread = threading.Thread(target=in_this_cell, args=(self._go,), name="flowbook-run", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended, or its view is not as it stays."""
        return self._thread.is_alive()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within `timeout` seconds."""
        self._thread.join(timeout)
        return not self.goes_on

    @property
    def said(self) -> str:
        """The flow run and the state it is in, as a sentence begins."""
        return f"Flow run {self.run.name!r} is {self.run.state.name if self.run.state is not None else 'Pending'}."

    def _go(self) -> None:
        try:
            with self._view:
                state = self._execute(self.run)
        except FlowbookError as error:  # the record cannot be written, and there is no cell to fail
            sys.stderr.write(f"flowbook: {error}\n")
            return
        if state.is_completed() and state.data is not None:
            outputs.show(self._shell, state.data)


def refuse_second(session: Session) -> None:
    """Raise UsageError while a flow run goes on in the background: two would write the same names."""
    if session.background is not None and session.background.goes_on:
        raise UsageError(
            f"%flow run: the flow run {session.background.run.name!r} goes on in the background; wait for its end, or "
            "end it with `%flow cancel`."
        )


def cancel(session: Session) -> Text:
    """Cancel the flow run that goes on in the background; returns once nothing of it runs."""
    background = session.background
    if background is None or not background.goes_on:
        raise UsageError(
            "%flow cancel: no flow run goes on in the background of this notebook. `%runs cancel RUN` cancels another."
        )
    try:
        cancel_flow_run(background.run.id)
    except UsageError:  # it has just ended by itself
        background.wait(_ENDS_WITHIN)
        return Text(background.said)
    ended = background.wait(_ENDS_WITHIN)
    return Text(background.said if ended else f"Flow run {background.run.name!r} is being cancelled.")
