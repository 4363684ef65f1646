"""Top-level awaits of a cell task: in whatever thread it runs, and stopped by whatever stops that thread."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from flowbook.run.blocking import wakes_by


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, in a thread of its own where this one already runs an event loop."""
    # Not in an `except`, whose error would stand above those of the cell.
    return _run_beside(coroutine) if _is_in_loop() else asyncio.run(_interruptible(_leaving_generators(coroutine)))


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _leaving_generators(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Asynchronous generators that a cell has begun go on in the next one, which has another loop: none closes them."""
    sys.set_asyncgen_hooks(firstiter=None)
    return await coroutine


async def _interruptible(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):  # it is closed: nothing waits any more
            loop.call_soon_threadsafe(lambda: None)

    with wakes_by(wake):  # the loop sleeps in native code, where an interrupt of this thread is not noticed
        return await coroutine


def _run_beside(coroutine: Coroutine[Any, Any, Any]) -> Any:
    ended = threading.Event()
    box: list[Any] = []
    errors: list[BaseException] = []
    loop = asyncio.new_event_loop()
    task = contextvars.copy_context().run(loop.create_task, _leaving_generators(coroutine))

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                box.append(runner.run(_result_of(task)))
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        raise
    if errors:
        raise errors[0]
    return box[0]


async def _result_of(task: asyncio.Task[Any]) -> Any:
    return await task
