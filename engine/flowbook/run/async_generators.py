"""Runs of async generator functions: as :mod:`flowbook.run.generators` says, on a running event loop."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from operator import methodcaller
from typing import Any, TypeVar

from flowbook.core.protocol import Effect, Raised, Returned
from flowbook.core.states import State
from flowbook.run.aio import performed, prepared
from flowbook.run.execution import Execution
from flowbook.run.generators import Course, Resume, Yielded

R = TypeVar("R")


async def iterate(begin: Callable[[], Execution], answer: Callable[[State], Any]) -> AsyncGenerator[Any, Any]:
    """The values of the run that `begin` gives as the first of them is asked for; raises what `answer` raises.

    One that is forgotten is closed by the event loop.
    """
    run = begin()
    iteration = AsyncIteration(run)
    advance = run.ataking(iteration.advance)
    resume: Resume | None = None
    while await advance(resume):
        try:
            sent = yield iteration.take()
        except GeneratorExit:
            await iteration.close()
            raise
        except BaseException as error:
            resume = methodcaller("athrow", error)
        else:
            resume = methodcaller("asend", sent)
    assert run.state is not None
    answer(run.state)


class AsyncIteration(Course):
    """The life of a run of an async generator function, on the event loop on which its values are taken."""

    def __init__(self, run: Execution) -> None:
        super().__init__(run, start=anext, close=methodcaller("aclose"))
        self._turn = asyncio.Lock()
        self._goes_on = False

    async def advance(self, how: Resume | None) -> bool:
        """Go on to the next value; False when the run has ended."""
        async with self._turn:
            self._goes_on = how is not self._close
            try:
                return await self._advance(how)
            finally:
                self._goes_on = False

    async def close(self) -> None:
        """End the run early; raises what its function raises as it cleans up."""
        await self.advance(self._close)

    def leave(self) -> None:
        """Nothing: it cannot go on without its event loop, not even to clean up."""

    async def aleave(self) -> None:
        if not self._goes_on:
            with suppress(Exception):
                await self.close()

    async def _advance(self, sent: Any) -> bool:
        try:
            with self._run.recorder.clock.at_work(asyncio.get_running_loop()):
                while type(step := self._steps.send(sent)) is not Yielded:
                    sent = await step()  # type: ignore[operator]
        except StopIteration:
            self._end()
            return False
        except BaseException as error:
            self._end(error)
            return False
        self._value = step.value
        return True

    async def _prepare(self) -> State | None:
        return await prepared(self._run)

    async def _perform(self, effect: Effect) -> Any:
        return await performed(self._run, effect)

    async def _go_on(self, how: Resume) -> Yielded | Returned | Raised:
        began = time.monotonic()
        outcome = await self._run.awithin(self._time_left(), lambda: _InContext(self._context, self._resume(how)))
        return self._outcome(outcome, began)

    async def _resume(self, how: Resume) -> Yielded | Returned:
        if self._generator is None:
            self._generator = self._run.invoke()
        try:
            return Yielded(await how(self._generator))
        except StopAsyncIteration:
            return Returned(None)

    async def _conclude(self, outcome: Returned | Raised) -> Returned | Raised:
        return await self._run.aconclude(outcome)


class _InContext:
    """Awaits a coroutine whose code runs in `context`, whatever the context of the task that awaits it."""

    def __init__(self, context: contextvars.Context, coroutine: Coroutine[Any, Any, R]) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        resume = partial(self._coroutine.send, None)
        while True:
            try:
                waits_for = self._context.run(resume)
            except StopIteration as end:
                return end.value
            try:
                sent = yield waits_for
            except BaseException as error:
                resume = partial(self._coroutine.throw, error)
            else:
                resume = partial(self._coroutine.send, sent)
