"""Waiting in a thread that others count on.

A pool's thread that waits for something the same pool must run may not count against the pool's size, or a bounded
pool deadlocks. And a thread that waits in native code notices an interrupt only when its wait ends, so whoever
interrupts it must be able to end the wait.

An exception raised in a thread from outside may strike between taking a lock and the block that gives it back. In
`logging`, whose locks all threads share, that would silence the whole process. So a thread inside `logging` is not
interrupted, and one that prints or logs all the time notices by itself as it comes to the next line.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from types import FrameType
from typing import Any, Protocol, TypeVar

C = TypeVar("C", bound=Callable[..., Any])


class MakesUp(Protocol):
    """The threads of a pool, which another one joins while one of them is blocked."""

    def blocked(self) -> None: ...

    def unblocked(self) -> None: ...


class Activity(Protocol):
    """A run that is being performed, to a clock that passes only while nobody is at work."""

    def waits(self, over: Callable[[], bool], thread_id: int | None) -> AbstractContextManager[None]:
        """Inside, it is not at work until `over` says so, nor is anybody else in the thread, if one is given."""


activity: ContextVar[Activity | None] = ContextVar("flowbook_activity", default=None)
"""What the calling code is part of, if the clock in force wants to know."""

_NOTHING = nullcontext()
_here = threading.local()
_wakers: dict[int, Callable[[], None]] = {}
_stoppers: dict[int, Callable[[type[BaseException]], None]] = {}
_interrupts: dict[int, type[BaseException]] = {}
LOOP_GRACE = 0.3  # seconds for an event loop to come round to a task that is cancelled
_LOGGING_GRACE = 0.2  # seconds for threads to come out of `logging`


def belongs_to(crew: MakesUp | None) -> None:
    """This thread is one of `crew`, or does the work of one of them."""
    _here.crew = crew


def crew_of_this_thread() -> MakesUp | None:
    """The threads that this one belongs to, if it is a pool's."""
    return getattr(_here, "crew", None)


@contextmanager
def may_block(wake: Callable[[], None], over: Callable[[], bool]) -> Iterator[None]:
    """While inside, this thread does not count against its pool's size.

    `wake` ends the wait from another thread; `over` tells any thread whether there is nothing to wait for any more.
    """
    crew = crew_of_this_thread()
    if crew is not None:
        crew.blocked()
    try:
        with wakes_by(wake), waiting(over, threading.get_ident()):
            yield
    finally:
        if crew is not None:
            crew.unblocked()


def waiting(over: Callable[[], bool], thread_id: int | None = None) -> AbstractContextManager[None]:
    """While inside, the calling run is not at work until `over` says so; the thread, if one is given, is blocked."""
    busy = activity.get()
    return _NOTHING if busy is None else busy.waits(over, thread_id)


def wakes_by(wake: Callable[[], None]) -> AbstractContextManager[None]:
    """While inside, an interrupt of this thread calls `wake`, which must be harmless if nothing waits any more."""
    return _told_to(_wakers, wake)


def stops_by(stop: Callable[[type[BaseException]], None]) -> AbstractContextManager[None]:
    """While inside, `stop` is called with the error in place of an interrupt of this thread, and sees to its end."""
    return _told_to(_stoppers, stop)


@contextmanager
def _told_to(table: dict[int, C], call: C) -> Iterator[None]:
    me = threading.get_ident()
    outer = table.get(me)
    table[me] = call
    try:
        yield
    finally:
        if outer is None:
            table.pop(me, None)
        else:
            table[me] = outer


def release(lock: threading.Lock) -> None:
    """Let whoever waits for `lock` go on; nothing if somebody did so before."""
    with suppress(RuntimeError):
        lock.release()


def pause(seconds: float) -> None:
    """`time.sleep`, but an interrupt ends it in any thread."""
    never = threading.Lock()
    never.acquire()
    with may_block(lambda: release(never), lambda: False):
        never.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


def interrupt_threads(thread_ids: Iterable[int], error: type[BaseException]) -> None:
    """Raise `error` in the threads at their next bytecode (by PyThreadState_SetAsyncExc), and end their waits."""
    threads = set(thread_ids)
    _interrupts.update(dict.fromkeys(threads, error))
    _interrupt_all(threads)


def interrupt_again(thread_id: int) -> None:
    """Raise in the thread what it has kept by `keep_interrupt`, unless it does something else by now."""
    _interrupt_all({thread_id})


def raise_in(thread_id: int, error: type[BaseException]) -> None:
    """Raise `error` in the thread at its next bytecode, wherever that is."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


def _interrupt(thread_id: int) -> None:
    error = _interrupts.pop(thread_id, None)
    stop = _stoppers.get(thread_id)
    if error is None:
        return
    if stop is not None:
        stop(error)
        return
    raise_in(thread_id, error)
    wake = _wakers.get(thread_id)
    if wake is not None:
        wake()


def _interrupt_all(left: set[int]) -> None:
    deadline = time.monotonic() + _LOGGING_GRACE
    while left:
        frames = sys._current_frames()
        for thread_id in [one for one in left if not is_logging(frames.get(one))]:
            left.remove(thread_id)
            _interrupt(thread_id)
        del frames
        if time.monotonic() > deadline:
            return
        if left:
            time.sleep(0.001)


def notice_interrupt() -> None:
    """Raise the error that this thread is to be interrupted with, if there is one: a safe place to do so."""
    if _interrupts:
        error = _interrupts.pop(threading.get_ident(), None)
        if error is not None:
            raise error


def keep_interrupt(error: type[BaseException]) -> None:
    """This thread was interrupted with `error` in vain, and is to be again."""
    _interrupts[threading.get_ident()] = error


def forget_interrupt() -> None:
    """This thread is about to do something else than what was to be interrupted."""
    if _interrupts:
        _interrupts.pop(threading.get_ident(), None)


def drop_interrupt() -> None:
    """No interrupt that is under way to this thread arrives.

    Another one takes its place, and arrives here. To set none instead would leave Python 3.11 with a mark that there is
    one, for good, and code that is profiled or traced would then stand still at the next call.
    """
    forget_interrupt()
    try:
        _receive_dropped()
    except _Dropped:
        return
    except BaseException as interrupt:  # Ctrl-C comes first, perhaps before it was sent
        try:
            _receive_dropped()
        except _Dropped:
            raise interrupt from None


def _receive_dropped() -> None:
    raise_in(threading.get_ident(), _Dropped)
    while True:
        pass


class _Dropped(BaseException):
    """Takes the place of an interrupt."""


def is_logging(frame: FrameType | None) -> bool:
    """Whether `frame` is, or was called by, a function of `logging`."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "logging":
            return True
        frame = frame.f_back
    return False
