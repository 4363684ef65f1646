"""Output of a task under its own cell, wherever and whenever the task runs.

The kernel stamps each message with the request that is being executed, which it keeps in context variables. A task
that runs in the context that was current when its cell was executed therefore prints under that cell.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from flowbook.errors import NotPicklable
from flowbook.run.current import current

R = TypeVar("R")
_OURS = ("flowbook.", "flowbook_magics.", "asyncio.", "threading")
_traceback_lock = threading.Lock()


def under_cell(context: contextvars.Context | None, call: Callable[[], R]) -> R:
    """The result of `call`, run so that its output lands under the cell that `context` was captured in."""
    if context is None:
        return call()
    own, run = context.copy(), current.get()
    own.run(current.set, run)
    return own.run(call)


def clear(shell: Any) -> None:
    """Remove the earlier output of the cell, which may be the only trace of a failure that is no more."""
    if getattr(shell, "kernel", None) is not None:
        flush()
        # Not by `clear_output`, which waits for both streams once more.
        publisher = shell.display_pub
        message = publisher.session.msg("clear_output", {"wait": False}, parent=publisher.parent_header)
        publisher.session.send(publisher.pub_socket, message, ident=publisher.topic)


class Silence:
    """Tells whether anything was put out in this kernel since it was made."""

    def __init__(self, shell: Any) -> None:
        self._session = getattr(getattr(shell, "kernel", None), "session", None)
        self._before = self._messages()

    def lasted(self) -> bool:
        """Whether nothing was, as far as that is known. What was printed has to be flushed before."""
        return self._session is not None and self._messages() == self._before

    def _messages(self) -> int:
        count: int = getattr(self._session, "message_count", 0)
        return count


def flush() -> None:
    """Have what was printed sent, and wait for that."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "_flush_pending", True):  # a stream of ipykernel would wait also if there is nothing
            stream.flush()


def show(shell: Any, value: Any) -> None:
    """Display the value of a cell's last expression."""
    formatted, metadata = shell.display_formatter.format(value)
    if formatted:
        shell.display_pub.publish(data=formatted, metadata=metadata)


def show_figures() -> None:
    """Display the pyplot figures that a task has drawn, and close them, as the inline backend does after a cell."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and "inline" in pyplot.get_backend().lower() and pyplot.get_fignums():
        from matplotlib_inline.backend_inline import show as show_all

        show_all(True)  # type: ignore[no-untyped-call]


def show_error(shell: Any, error: BaseException) -> None:
    """Show the traceback of a failed task, from its cell on; of what could not go to another process, the sentence."""
    if isinstance(error, NotPicklable):
        said = f"{type(error).__name__}: {error}"
        error = shown_as(error, lambda: [said])
    with _traceback_lock:  # IPython's formatter keeps state between two calls
        shell.showtraceback((type(error), error, of_user(error)), tb_offset=0)
    flush()


def begins_in_cell(shell: Any, error: BaseException) -> BaseException:
    """The error, whose traceback IPython will show once from the cell's code on, without the magic's call of it."""
    tb = of_user(error)
    return shown_as(error, lambda: shell.InteractiveTB.structured_traceback(type(error), error, tb, tb_offset=0))


def shown_as(error: BaseException, render: Callable[[], list[str]]) -> BaseException:
    """The error, which IPython will show once by what `render` returns instead of a traceback."""

    def once() -> list[str]:
        del error._render_traceback_  # type: ignore[attr-defined]
        return render()

    with suppress(AttributeError):  # an exception class with __slots__ has no room for it
        error._render_traceback_ = once  # type: ignore[attr-defined]
    return error


def of_user(error: BaseException) -> TracebackType | None:
    """The traceback of an error from the user's code on, if that is in it."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        tb = tb.tb_next
    return tb or error.__traceback__
