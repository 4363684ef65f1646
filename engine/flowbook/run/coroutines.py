"""Coroutine functions of users, in threads with a running event loop and without. Only they need asyncio imported."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future as Promise
from contextlib import suppress
from typing import Any, TypeVar

from flowbook.core.protocol import Raised, Returned
from flowbook.run.blocking import LOOP_GRACE, raise_in, release, stops_by, wakes_by
from flowbook.run.timeouts import OutOfTime

R = TypeVar("R")

_CANCEL_GRACE = 1.8  # seconds for a cancelled coroutine to end


async def await_within(seconds: float | None, call: Callable[[], Awaitable[Any]], name: str) -> Returned | Raised:
    """The outcome of an awaited call: cancelled, and out of time, after `seconds`. Other errors are raised."""
    if seconds is None:
        return Returned(await call())
    try:
        async with asyncio.timeout(seconds) as deadline:
            return Returned(await call())
    except TimeoutError:
        if not deadline.expired():
            raise
        return OutOfTime(name, seconds)


async def await_it(awaitable: Awaitable[R]) -> R:
    """What `awaitable` gives, as a coroutine function for `run_coroutine`."""
    return await awaitable


def run_coroutine(function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
    """The result of an ``async def``, on an event loop of its own: in another thread, where a loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(interruptible(function, *args))
    return _run_beside(function, *args)


def _run_beside(function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
    """The result, made on an event loop in another thread. An interrupt of this thread cancels it there."""
    loop, promise, ended = asyncio.new_event_loop(), Promise[R](), threading.Lock()
    tasks: list[asyncio.Task[Any] | None] = []

    async def work() -> R:
        tasks.append(asyncio.current_task())
        return await function(*args)

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                promise.set_result(runner.run(work()))
        except BaseException as error:
            promise.set_exception(error)
        finally:
            release(ended)

    ended.acquire()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name="flowbook-coroutine", daemon=True)
    thread.start()
    try:
        with wakes_by(lambda: release(ended)):
            ended.acquire()
    except BaseException:
        with suppress(RuntimeError):  # the loop is closed: it has just ended
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks if task is not None])
        thread.join(_CANCEL_GRACE)
        raise
    return promise.result()


async def interruptible(function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
    """Await the function; an interrupt of this thread cancels it, and is what it raises then."""
    stop = _Stop()
    with stops_by(stop.ask):
        try:
            return await function(*args)
        except asyncio.CancelledError:
            if stop.error is not None:
                raise stop.error from None
            raise
        finally:
            stop.leave()


class _Stop:
    """Ends the asyncio task that makes it, asked by another thread.

    An exception raised in this thread from outside might strike in the event loop, which would drop it, or the next
    step of a task. So that is the last resort: for a coroutine that blocks its loop.
    """

    def __init__(self) -> None:
        self.error: type[BaseException] | None = None
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._told = threading.Event()
        self._lock = threading.Lock()

    def ask(self, error: type[BaseException]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing is awaited any more
            self._loop.call_soon_threadsafe(self._cancel, error)
            threading.Thread(target=self._insist, args=(error,), name="flowbook-stop-coroutine", daemon=True).start()

    def _cancel(self, error: type[BaseException]) -> None:
        self._told.set()
        self.error = error
        if self._task is not None:
            self._task.cancel()

    def leave(self) -> None:
        """The task has ended."""
        with self._lock:
            self._told.set()

    def _insist(self, error: type[BaseException]) -> None:
        self._told.wait(LOOP_GRACE)
        with self._lock:
            if not self._told.is_set():
                raise_in(self._thread, error)
