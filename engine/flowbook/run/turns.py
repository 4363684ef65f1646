"""A flow run of a generator function goes in turns, one for each value; it can be cancelled in one or between."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowbook.errors import CancelRequested, IllegalTransition
from flowbook.run.stopping import InTask, InThread, Stoppable

if TYPE_CHECKING:
    from flowbook.run.flow_execution import FlowExecution
    from flowbook.run.requests import Watcher


class Turns:
    """The turns of one flow run. Nothing of it is executed between two of them."""

    def __init__(self, run: FlowExecution, watcher: Watcher) -> None:
        self._run = run
        self._watcher = watcher
        self._lock = threading.Lock()
        self._turn: Stoppable | None = None
        self._giving_up: threading.Thread | None = None
        watcher.enter(run.id, self)

    def take(self, advance: Callable[[Any], bool], how: Any) -> bool:
        """`advance` to the next value in this thread; False when the run has ended."""
        turn = InThread(self._run)
        try:
            try:
                self._begin(turn)
                return advance(how)
            finally:
                turn.take_leave()
        except (CancelRequested, IllegalTransition) as error:
            turn.take_leave()
            turn.ended_by(error)
            return False
        finally:
            self._end()

    async def atake(self, advance: Callable[[Any], Awaitable[bool]], how: Any) -> bool:
        """`take`, on the running event loop."""
        import asyncio

        turn = InTask(self._run)
        try:
            self._begin(turn)
            return await advance(how)
        except (CancelRequested, IllegalTransition, asyncio.CancelledError) as error:
            turn.ended_by(error)
            return False
        finally:
            turn.take_leave()
            self._end()

    def cancel(self, reason: str) -> None:
        """Have the run end as Cancelled; whoever takes its values is told with the next one."""
        with self._lock:
            if self._turn is not None:
                self._turn.cancel(reason)
            elif self._run.stopped_by is None:
                self._run.stopped_by = CancelRequested.because(reason)
                self._giving_up = threading.Thread(target=self._give_up, name="flowbook-stop", daemon=True)
                self._giving_up.start()

    def resume(self, data: Mapping[str, Any]) -> bool:
        """Have it go on, if it is paused."""
        self._run.pauses.resume(data)
        return True

    def over(self) -> None:
        """The run has ended."""
        self._watcher.leave(self._run.id)

    def _begin(self, turn: Stoppable) -> None:
        with self._lock:
            self._turn = turn

    def _end(self) -> None:
        with self._lock:
            self._turn, giving_up = None, self._giving_up
        if giving_up is not None:
            giving_up.join()
        if self._run.stopped_by is not None and not self._run.has_ended():
            self._give_up()  # the turn was over before it could be interrupted

    def _give_up(self) -> None:
        assert self._run.stopped_by is not None
        self._run.give_up(self._run.stopped_by())
