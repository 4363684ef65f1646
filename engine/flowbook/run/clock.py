"""What the engine knows of time.

There is one clock in force at a time, the system's unless a test says otherwise. An engine's recorder and the pools of
threads keep the one that was in force when they were made.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic as system_monotonic
from time import time as system_time
from typing import TYPE_CHECKING, Protocol

from flowbook.run.blocking import pause

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Clock(Protocol):
    """Says what time it is, and lets time pass. It is told who is at work, since one for tests waits for that."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since a moment that stays the same."""

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass in this thread; an interrupt of it ends them."""

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass in this coroutine."""

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait for the condition, whose lock is held, at most to this time of `monotonic`."""

    def at_work(self, loop: AbstractEventLoop | None = None) -> AbstractContextManager[None]:
        """Inside, this thread performs a run; or, on `loop`, this coroutine."""

    def ready(self, run: object) -> None:
        """A pool is to go on with a run at once."""

    def resumed(self, run: object) -> None:
        """This thread of a pool, in the context of the run, goes on with it."""

    def parked(self, run: object, until: float, wake: Callable[[], None]) -> None:
        """A pool goes on with a run at this time of `monotonic`; `wake` makes the pool look for what is due."""

    def left(self, run: object) -> None:
        """A run of a pool has ended, or waits for something else than the time."""


class SystemClock:
    """The clock of this machine. It passes by itself, whoever is at work."""

    time = staticmethod(system_time)
    monotonic = staticmethod(system_monotonic)
    pause = staticmethod(pause)

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass in this coroutine."""
        import asyncio

        await asyncio.sleep(seconds)

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait for the condition, whose lock is held, at most to this time of `monotonic`."""
        condition.wait(None if until == math.inf else until - system_monotonic())

    def at_work(self, loop: AbstractEventLoop | None = None) -> AbstractContextManager[None]:
        """Makes no difference."""
        return _NOTHING

    def ready(self, run: object) -> None:
        """Makes no difference."""

    def resumed(self, run: object) -> None:
        """Makes no difference."""

    def parked(self, run: object, until: float, wake: Callable[[], None]) -> None:
        """Makes no difference: a thread of the pool waits until then."""

    def left(self, run: object) -> None:
        """Makes no difference."""


_NOTHING = nullcontext()
_SYSTEM = SystemClock()
_in_force: Clock = _SYSTEM


def clock() -> Clock:
    """The clock in force."""
    return _in_force


@contextmanager
def using(other: Clock) -> Iterator[None]:
    """Inside, `other` is in force, in all threads of this process."""
    global _in_force
    before, _in_force = _in_force, other
    try:
        yield
    finally:
        _in_force = before


def _back_to_the_system_s() -> None:
    """A forked child has nobody who would let a clock for tests pass."""
    global _in_force
    _in_force = _SYSTEM


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_back_to_the_system_s)
