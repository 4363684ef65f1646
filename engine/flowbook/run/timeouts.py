"""Ending a call at its deadline, as far as Python allows.

A thread cannot be killed. So a call with a timeout runs in a thread of its own, and its caller stops waiting at the
deadline: the run is TimedOut on time. The thread is then asked to stop by an exception raised in it at its next
bytecode; one that is deep in C code goes on until it returns, which the warning says.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

from flowbook.core.protocol import Raised, Returned
from flowbook.errors import TaskTimeoutError
from flowbook.run.blocking import (
    belongs_to,
    crew_of_this_thread,
    forget_interrupt,
    interrupt_threads,
    release,
    wakes_by,
)

_STOP_GRACE = 0.05  # seconds for the thread to notice, before we say that it goes on


class StopThread(BaseException):
    """Raised inside a thread whose run has ended without it."""


class OutOfTime(Raised):
    """The call was given up at its own deadline."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(TaskTimeoutError(f"{name} ran longer than its timeout of {seconds:g} seconds."))


def call_within(seconds: float, call: Callable[[], Any], name: str) -> Returned | Raised:
    """The outcome of `call`, or OutOfTime after `seconds` even if it still runs."""
    box: list[Returned | Raised] = []
    ended = threading.Lock()
    ended.acquire()
    crew = crew_of_this_thread()

    def run() -> None:
        belongs_to(crew)  # it does the work of the thread that waits for it, and may come to wait as well
        try:
            box.append(Returned(call()))
        except StopThread:
            pass
        except BaseException as error:
            box.append(Raised(error))
        finally:
            forget_interrupt()
            release(ended)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name=f"flowbook-{name}", daemon=True)
    thread.start()
    try:
        with wakes_by(lambda: release(ended)):
            in_time = ended.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
    except BaseException as error:  # the waiting thread was interrupted: so is the work
        _stop(thread)
        return Raised(error)
    if in_time and box:
        return box[0]
    _stop(thread)
    if not ended.acquire(timeout=_STOP_GRACE):
        logging.getLogger("flowbook.task_runs").warning(
            "%s has timed out, but its thread cannot be stopped while it waits in native code; it goes on until it "
            "returns, and what it returns is dropped.",
            name,
        )
    return OutOfTime(name, seconds)


def _stop(thread: threading.Thread) -> None:
    if thread.ident is not None:
        interrupt_threads([thread.ident], StopThread)
