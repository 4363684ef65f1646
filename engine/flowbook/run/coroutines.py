"""Coroutine functions of users, in threads with a running event loop and without. Only they need asyncio imported."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from flowbook.core.protocol import Raised, Returned
from flowbook.run.blocking import wakes_by
from flowbook.run.timeouts import OutOfTime

R = TypeVar("R")


async def await_within(
    seconds: float | None, call: Callable[[], Coroutine[Any, Any, Any]], name: str
) -> Returned | Raised:
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
        return asyncio.run(_interruptible(function, *args))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        return beside.submit(contextvars.copy_context().run, _run_in_new_loop, function, *args).result()


def _run_in_new_loop(function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
    return asyncio.run(function(*args))


async def _interruptible(function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
    loop = asyncio.get_running_loop()
    with wakes_by(lambda: _wake_loop(loop)):
        return await function(*args)


def _wake_loop(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # it is closed: nothing waits any more
        loop.call_soon_threadsafe(lambda: None)
