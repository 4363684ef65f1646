"""An outcome that is not there yet, and that no thread needs to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowbook.run.blocking import may_block, release

if TYPE_CHECKING:
    from concurrent.futures import Future as Promise


class Later:
    """The outcome of an effect, once `promise` is kept. `finish` makes the outcome of it, and must not raise."""

    __slots__ = ("_finish", "_outcome", "promise")

    def __init__(self, promise: Promise[Any], finish: Callable[[Promise[Any]], Any]) -> None:
        self.promise = promise
        self._finish = finish
        self._outcome: list[Any] = []

    def then(self, callback: Callable[[Any], object]) -> None:
        """Have `callback` called with the outcome: at once if it is there, else in the thread that brings it."""
        self.promise.add_done_callback(lambda promise: callback(self._kept(promise)))

    def wait(self) -> Any:
        """The outcome, for a driver that has nothing else to do; an interrupt of the thread gives the promise up."""
        kept = threading.Lock()
        kept.acquire()
        self.promise.add_done_callback(lambda _: release(kept))
        try:
            with may_block(lambda: release(kept), self.promise.done):
                kept.acquire()
        except BaseException:
            self.give_up()
            raise
        return self._kept(self.promise)

    def give_up(self) -> None:
        """Nobody wants the outcome any more; what the promise brings all the same is handed back."""
        if not self.promise.cancel():
            self.promise.add_done_callback(self._kept)

    def _kept(self, promise: Promise[Any]) -> Any:
        if not self._outcome:
            self._outcome.append(self._finish(promise))
        return self._outcome[0]
