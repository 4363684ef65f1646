"""Which run the code that asks is part of."""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

current: ContextVar[Execution | None] = ContextVar("flowbook_current_run", default=None)
"""The innermost run; None outside of all, and in threads that a run's own code has started."""

current_tags: ContextVar[frozenset[str]] = ContextVar("flowbook_tags", default=frozenset())
"""The tags that runs get which begin in this context."""

_plain_start = threading.Thread.start


def speaker() -> Execution | None:
    """The run that the calling code speaks for: its own, or else the unfinished one that has started its thread."""
    run = current.get()
    if run is None:
        started_by: weakref.ref[Execution] | None = getattr(threading.current_thread(), "_flowbook_run", None)
        run = started_by() if started_by is not None else None
        if run is not None and run.state is not None and run.state.is_final():
            return None  # a thread of an executor, say, which serves others by now
    return run


def start_of_thread(thread: threading.Thread) -> None:
    """`threading.Thread.start`, which remembers the run: context variables do not go with a new thread."""
    run = current.get()
    if run is not None:
        thread._flowbook_run = weakref.ref(run)  # type: ignore[attr-defined]
    _plain_start(thread)
