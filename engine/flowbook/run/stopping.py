"""Ending a flow run that is executed in this process, on request of somebody else.

The code of the run is interrupted where it stands: by an exception in its thread, by a signal if that is the main one
(which also ends calls that wait in native code), by cancelling its asyncio task. Whoever is interrupted takes leave
before it returns to the code that called the flow, and nothing strikes any more after that. A run that has not ended
soon after is recorded as ended all the same, and its code left alone.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from flowbook.core.states import State
from flowbook.errors import CancelRequested, IllegalTransition
from flowbook.run import inline
from flowbook.run.blocking import LOOP_GRACE, drop_interrupt, interrupt_threads
from flowbook.run.current import current
from flowbook.run.interrupts import SPARE, repeat_lost
from flowbook.run.logs import logger_of

if TYPE_CHECKING:
    import asyncio

    from flowbook.run.flow_execution import FlowExecution
    from flowbook.run.requests import Watcher

_GRACE = 1.4  # seconds for a run to end, before its end is recorded without it
_AGAIN = 0.02  # seconds between two signals to a thread that could not be interrupted where it was


def drive_here(run: FlowExecution, watcher: Watcher) -> State:
    """Execute a flow run in the calling thread, where it can be cancelled and resumed; returns its final state."""
    stoppable = InThread(run)
    try:
        try:
            watcher.enter(run.id, stoppable)
            return inline.drive(run)
        finally:
            stoppable.take_leave()
    except (CancelRequested, IllegalTransition) as error:
        stoppable.take_leave()
        return stoppable.ended_by(error)
    finally:
        watcher.leave(run.id)


async def drive_task_here(
    run: FlowExecution, watcher: Watcher, stop: Callable[[BaseException], None] | None = None
) -> State:
    """Like `drive_here`, on the running event loop. `stop` ends it in place of a cancelled asyncio task."""
    import asyncio

    from flowbook.run import aio
    from flowbook.run.heartbeat import beating

    stoppable = InTask(run, stop)
    try:
        watcher.enter(run.id, stoppable)
        with beating():
            return await aio.drive(run)
    except (CancelRequested, IllegalTransition, asyncio.CancelledError) as error:
        return stoppable.ended_by(error)
    finally:
        stoppable.take_leave()
        watcher.leave(run.id)


class Stoppable:
    """A flow run that is executed here."""

    def __init__(self, run: FlowExecution) -> None:
        self.run = run
        self.thread = threading.get_ident()
        self.in_main_thread = threading.current_thread() is threading.main_thread()
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._stopper: threading.Thread | None = None
        if self.in_main_thread:
            lose_no_interrupt()

    def cancel(self, reason: str) -> None:
        """Have it end as Cancelled because of `reason`; asking again changes nothing."""
        with self._lock:
            if self._left.is_set() or self.run.stopped_by is not None:
                return
            self.run.stopped_by = CancelRequested.because(reason)
        self._stopper = threading.Thread(target=self._stop, name=f"flowbook-stop-{self.run.name}", daemon=True)
        self._stopper.start()

    def resume(self, data: Mapping[str, Any]) -> bool:
        """Have it go on, if it is paused."""
        self.run.pauses.resume(data)
        return True

    def ended_by(self, error: BaseException) -> State:
        """The final state of the run after `error`; raises it if the request to cancel is not the reason."""
        run = self.run
        wanted = run.stopped_by
        if wanted is None or (isinstance(error, CancelRequested) and not isinstance(error, wanted)):
            raise error
        if not isinstance(error, IllegalTransition):
            run.break_off(wanted())  # unless its driver did so
        elif self._stopper is not None:
            self._stopper.join()  # which is about to end it
        assert run.state is not None
        return run.state

    def take_leave(self) -> None:
        """From now on nothing strikes the code that called the flow. It may be struck itself, and is called again."""
        raise NotImplementedError  # pragma: no cover - each has its own

    def _stop(self) -> None:
        deadline = time.monotonic() + _GRACE
        self._interrupt(deadline)
        if self._left.wait(max(0.0, deadline - time.monotonic())) or self.run.stopped_by is None:
            return
        if not self.run.has_ended():
            logger_of(self.run).warning(
                "%s is cancelled. Its code has not ended: it may wait in native code, and goes on until it returns.",
                self.run.title,
            )
            self.run.give_up(self.run.stopped_by())

    def _interrupt(self, deadline: float) -> None:
        raise NotImplementedError  # pragma: no cover

    def _signal(self, deadline: float) -> None:
        """Send signals to the main thread until one strikes where it may."""
        assert SPARE is not None
        _to_strike.add(self)
        while time.monotonic() < deadline:
            with self._lock:
                if self._left.is_set():
                    return
                if self in _to_strike:
                    signal.pthread_kill(self.thread, SPARE)
            self._left.wait(_AGAIN)

    def strike_again(self) -> None:
        """What was raised in the main thread had no effect there."""
        with self._lock:
            if not self._left.is_set():
                _to_strike.add(self)

    def _spare(self) -> None:
        self._left.set()
        _to_strike.discard(self)
        if self.run.stopped_by is not None:
            _struck.pop(self.run.stopped_by, None)

    def may_be_struck(self, frame: FrameType | None) -> bool:
        """Whether what the main thread does in `frame` is the run's, and can be interrupted there."""
        return not self._left.is_set() and _may_raise_in(frame)


class InThread(Stoppable):
    """A flow run that is executed in the thread that began it, which does nothing else meanwhile."""

    def take_leave(self) -> None:
        with self._lock:
            self._spare()
            stopped = self.run.stopped_by is not None
        if stopped:
            drop_interrupt()

    def _interrupt(self, deadline: float) -> None:
        assert self.run.stopped_by is not None
        if self.in_main_thread and _handles_signal():
            self._signal(deadline)
            return
        with self._lock:
            if not self._left.is_set():
                interrupt_threads([self.thread], self.run.stopped_by)


class InTask(Stoppable):
    """A flow run that is executed by an asyncio task, beside others on its loop."""

    def __init__(self, run: FlowExecution, stop: Callable[[BaseException], None] | None = None) -> None:
        import asyncio

        super().__init__(run)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self._told = threading.Event()
        self._cancels = 0
        self._cancel = stop or self._cancel_task

    def take_leave(self) -> None:
        with self._lock:
            self._spare()
        while self._cancels and self._task is not None:
            self._cancels -= 1
            self._task.uncancel()

    def may_be_struck(self, frame: FrameType | None) -> bool:
        """A signal may find the loop at something else."""
        flow = getattr(current.get(), "flow", None)  # one that is no flow run is part of one, or of none
        while flow is not None and flow is not self.run:
            flow = flow.parent
        return flow is self.run and super().may_be_struck(frame)

    def _interrupt(self, deadline: float) -> None:
        try:
            self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop is closed, and the run left behind
            return
        # A coroutine that blocks its loop is not cancelled by it.
        if not self._told.wait(LOOP_GRACE) and self.in_main_thread and _handles_signal():
            self._signal(deadline)

    def _tell(self) -> None:
        self._told.set()
        if not self._left.is_set() and self.run.stopped_by is not None:
            self._cancel(self.run.stopped_by())

    def _cancel_task(self, error: BaseException) -> None:
        if self._task is not None:
            self._cancels += 1
            self._task.cancel(str(error))


_to_strike: set[Stoppable] = set()
"""The runs that the next signal strikes, in the main thread."""

_struck: dict[type[BaseException], Stoppable] = {}
"""Those that were struck, by what was raised, until they take leave."""


def lose_no_interrupt() -> None:
    """Have interrupts arrive wherever they strike, from now on. To be called in the main thread; again does no harm."""
    repeat_lost(_strike, _strike_again)


def _handles_signal() -> bool:
    return SPARE is not None and signal.getsignal(SPARE) is _strike


def _may_raise_in(frame: FrameType | None) -> bool:
    """Whether an exception does no harm in `frame`.

    A function of `logging` may have taken a lock that all threads share, and not come to the block that gives it back;
    what `emit` does is inside of such a block.
    """
    if frame is None or frame.f_globals.get("__name__") != "logging":
        return True
    return frame.f_code.co_name == "emit"


def _strike(_number: int, frame: FrameType | None) -> None:
    for stoppable in tuple(_to_strike):
        error = stoppable.run.stopped_by
        if stoppable.may_be_struck(frame) and error is not None:
            _to_strike.discard(stoppable)
            _struck[error] = stoppable
            raise error


def _strike_again(error: type[BaseException]) -> None:
    if error in _struck:
        _struck[error].strike_again()
