"""Event loops of cell tasks: in whatever thread a cell runs, and stopped by whatever stops that thread."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flowbook.run.blocking import interrupt_threads
from flowbook.run.coroutines import interruptible
from flowbook.run.current import current

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

#: Seconds between two looks whether a thread that waits for its turn is to be stopped.
_LOOK_EVERY = 0.05
#: How often a loop turns after a cell, so that what the cell has started begins, as it does in a kernel between cells.
_TURNS = 10
#: How many looks in a row must show that the run whose turn it is has ended, until its loop is given up.
_PATIENCE = 200
#: Seconds for a cell that is stopped to clean up, until it is stopped again.
_CLEANING_UP = 0.5
#: How often it is stopped: one that strikes in a flush, say, is lost.
_STRIKES = 4


class CellLoop:
    """An event loop that cells run in, one at a time. Otherwise it stands still, as a kernel's does meanwhile."""

    def __init__(self, *, goes_on: bool = False) -> None:
        """`goes_on`: other cells go on with what one has left behind."""
        self._goes_on = goes_on
        self._giving_up = threading.Lock()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._turn = threading.Lock()
        self._run_inside: Execution | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine, in a thread of its own where this one already runs an event loop."""
        # Not in an `except`, whose error would stand above those of the cell.
        return self._run_beside(coroutine) if _is_in_loop() else self._run(coroutine)

    def close(self) -> None:
        """Cancel what is left, and close the loop."""
        closing = threading.Thread(target=self._runner.close)  # this one may run another loop
        closing.start()
        closing.join()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with self._in_turn():
            loop = self._runner.get_loop()
            task = contextvars.copy_context().run(loop.create_task, interruptible(_leaving_generators, coroutine))
            try:
                result = loop.run_until_complete(task)
            finally:
                if not task.done():  # this thread was stopped
                    task.cancel()
                    with suppress(BaseException):
                        loop.run_until_complete(task)
            if self._goes_on:
                loop.run_until_complete(_turns())
            return result

    def _run_beside(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        context, ended = contextvars.copy_context(), threading.Event()
        box: list[Any] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                box.append(context.run(self._run, coroutine))
            except BaseException as error:
                errors.append(error)
            finally:
                ended.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            ended.wait()
        except BaseException:
            for _ in range(_STRIKES):
                interrupt_threads([thread.ident or 0], KeyboardInterrupt)
                if ended.wait(_CLEANING_UP):
                    break
            raise
        if errors:
            raise errors[0]
        return box[0]

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        turn, looks = self._turn, 0
        while not turn.acquire(timeout=_LOOK_EVERY):
            looks = looks + 1 if _has_ended(self._run_inside) else 0
            with self._giving_up:
                if looks > _PATIENCE and turn is self._turn:  # its thread is stuck in native code
                    self._begin_anew()
            turn = self._turn
        self._run_inside = current.get()
        try:
            yield
        finally:
            turn.release()


notebook_loop = CellLoop(goes_on=True)
"""The loop of the cells whose asynchronous objects go from cell to cell."""


def _has_ended(run: Execution | None) -> bool:
    return run is not None and run.state is not None and run.state.is_final()


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _leaving_generators(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Asynchronous generators that a cell has begun go on in the next one, which may have another loop: none closes
    them."""
    sys.set_asyncgen_hooks(firstiter=None)
    return await coroutine


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
