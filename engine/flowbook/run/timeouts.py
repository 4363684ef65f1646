"""Ending a call at its deadline, as far as Python allows.

A thread cannot be killed. So a call with a timeout runs in a thread of its own, and its caller stops waiting at the
deadline: the run is TimedOut on time. The thread is then asked to stop by an exception raised in it at its next
bytecode; one that is deep in C code goes on until it returns, which the warning says.
"""

from __future__ import annotations

import contextvars
import ctypes
import logging
import threading
from collections.abc import Callable
from typing import Any

from flowbook.core.protocol import Raised, Returned
from flowbook.errors import TaskTimeoutError
from flowbook.run.blocking import may_block

_STOP_GRACE = 0.05  # seconds for the thread to notice, before we say that it goes on


class StopThread(BaseException):
    """Raised inside a thread whose run has ended without it."""


def interrupt_thread(thread_id: int, error: type[BaseException] = StopThread) -> None:
    """Raise `error` in the thread at its next bytecode (CPython's PyThreadState_SetAsyncExc)."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


def call_within(seconds: float, call: Callable[[], Any], name: str) -> Returned | Raised:
    """The outcome of `call`, or Raised(TaskTimeoutError) after `seconds` even if it still runs."""
    box: list[Returned | Raised] = []
    ended = threading.Lock()
    ended.acquire()

    def run() -> None:
        try:
            box.append(Returned(call()))
        except StopThread:
            pass
        except BaseException as error:
            box.append(Raised(error))
        finally:
            ended.release()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name=f"flowbook-{name}", daemon=True)
    thread.start()
    try:
        with may_block():
            in_time = ended.acquire(timeout=seconds)
    except BaseException as error:  # the waiting thread was interrupted: so is the work
        if thread.ident is not None:
            interrupt_thread(thread.ident)
        return Raised(error)
    if in_time and box:
        return box[0]
    if thread.ident is not None:
        interrupt_thread(thread.ident)
    if not ended.acquire(timeout=_STOP_GRACE):
        logging.getLogger("flowbook.task_runs").warning(
            "%s has timed out, but its thread cannot be stopped while it waits in native code; it goes on until it "
            "returns, and what it returns is dropped.",
            name,
        )
    return Raised(TaskTimeoutError(f"{name} ran longer than its timeout of {seconds:g} seconds."))
