"""Interrupts that Python loses, repeated.

A signal is noticed at the main thread's next bytecode. One that comes just as this thread begins to wait in native
code, or that the system gives to another thread, is noticed only when the wait ends. And what is raised in a finalizer,
or in the callback of a weak reference, ends only that: Python tells `sys.unraisablehook`, and goes on. So a thread
of ours hears of both, and repeats a moment later what may have had no effect. It hears through a pipe, since code in a
finalizer must take no lock.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from flowbook.errors import CancelRequested
from flowbook.run.blocking import interrupt_again, keep_interrupt
from flowbook.run.timeouts import StopThread

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: Strikes in the main thread, and ends its waits. It does nothing by default, and hardly anybody uses it.
#: There is none on Windows.
SPARE: int | None = getattr(signal, "SIGURG", None)

_AFTER = (0.01, 0.2)  # seconds until what was lost is repeated: twice, since the machine may be busy
_NO_SIGNAL = 0
_INTERRUPTS = (KeyboardInterrupt, CancelRequested, StopThread)


def repeat_lost(
    strike: Callable[[int, FrameType | None], None], strike_again: Callable[[type[BaseException]], None]
) -> None:
    """Repeat interrupts that are lost, from now on. It can only begin in the main thread; again does no harm.

    `strike` becomes the handler of the spare signal, unless the user has one; `strike_again` is told of an error that
    it raised in vain.
    """
    global _repeater
    if SPARE is None or threading.current_thread() is not threading.main_thread():
        return
    with suppress(ValueError):  # a subinterpreter has no signals
        if signal.getsignal(SPARE) in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(SPARE, strike)
        if _repeater is None or _repeater.process != os.getpid():  # a fork has no threads
            _repeater = _Repeater(strike, strike_again)
        _repeater.hear()


def repeat_interrupt() -> None:
    """Interrupt the main thread, which calls this, once more in a moment: where it is now, nobody would hear of it."""
    if _repeater is not None:
        _repeater.drop(KeyboardInterrupt)


class _Repeater:
    """The thread that repeats interrupts of this process."""

    def __init__(
        self, strike: Callable[[int, FrameType | None], None], strike_again: Callable[[type[BaseException]], None]
    ) -> None:
        self.process = os.getpid()
        self._strike = strike
        self._strike_again = strike_again
        self._main = threading.get_ident()
        self._dropped: deque[tuple[int, type[BaseException]]] = deque()
        self._said, self._says = os.pipe()
        os.set_blocking(self._says, False)
        _own.add(self._says)
        self._told = sys.unraisablehook
        sys.unraisablehook = self._hear_of_dropped
        threading.Thread(target=self._repeat, name="flowbook-interrupts", daemon=True).start()

    def hear(self) -> None:
        """Hear of signals, unless somebody else does."""
        others = signal.set_wakeup_fd(self._says, warn_on_full_buffer=False)
        if others not in _own:
            signal.set_wakeup_fd(others, warn_on_full_buffer=False)

    def _hear_of_dropped(self, dropped: UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, _INTERRUPTS):
            self._told(dropped)
            return
        if threading.get_ident() != self._main:
            keep_interrupt(dropped.exc_type)
        self.drop(dropped.exc_type)

    def drop(self, error: type[BaseException]) -> None:
        """The calling thread was struck by an error that it does not feel."""
        self._dropped.append((threading.get_ident(), error))
        with suppress(BlockingIOError):  # it is full of signals, and being read
            os.write(self._says, bytes([_NO_SIGNAL]))

    def _repeat(self) -> None:
        while said := os.read(self._said, 1000):
            for seconds in _AFTER:
                time.sleep(seconds)
                while self._dropped:
                    self._raise_again(*self._dropped.popleft())
                if any(number not in (_NO_SIGNAL, SPARE) for number in said):
                    self._end_wait()

    def _raise_again(self, thread: int, error: type[BaseException]) -> None:
        if thread != self._main:
            interrupt_again(thread)
        elif issubclass(error, KeyboardInterrupt):
            signal.pthread_kill(thread, signal.SIGINT)
        else:
            self._strike_again(error)

    def _end_wait(self) -> None:
        """Have the main thread look for signals, even if it waits in native code."""
        assert SPARE is not None
        if signal.getsignal(SPARE) is self._strike:
            signal.pthread_kill(self._main, SPARE)


_repeater: _Repeater | None = None
_own = {-1}
"""Where signals are told if nobody else wants to hear of them; a fork has that of its parent."""
