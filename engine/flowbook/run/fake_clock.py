"""A clock for tests: it passes only where runs sleep, and then at once.

Time is the same for everybody, so it may jump to the moment at which the next sleeper wakes only when nobody is at
work any more. Somebody is at work who performs a run, unless it waits for a time, for another run or for one that it
has called, and a pool with a run that can go on. Code of the user that waits by its own means looks like work, and it
may be for one that sleeps. So a sleep ends at the latest when it is over in real time, or when nothing has happened for
a second.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flowbook.errors import UsageError
from flowbook.run.blocking import activity, may_block, release, waiting

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

_PATIENCE = 1.0  # real seconds
_ROUNDS = 20  # of an event loop, in which whatever can go on there does

Wake = Callable[[], None]
Over = Callable[[], bool]


class FakeClock:
    """A clock that stands still while code runs, and passes at once where runs sleep before a retry.

    `start` is an aware datetime, by default the current second. `advance` lets time pass: in a test between two runs,
    in a task to have it take so long. What does not follow this clock: ``timeout_seconds``, timeouts of futures, and
    what the code under test does by itself, such as ``time.sleep`` and ``asyncio.sleep``.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is None:
            start = datetime.now(UTC).replace(microsecond=0)
        elif start.utcoffset() is None:
            raise UsageError(f"FakeClock starts at {start!r}, which has no time zone; add tzinfo=UTC, say.")
        self._start = start.timestamp()
        self._passed = 0.0
        self._changed = threading.Condition(threading.Lock())  # which guards all that follows
        self._at_work: dict[object, _Activity] = {}
        self._alarms: dict[object, _Alarm] = {}
        self._changes = 0
        self._keeper: threading.Thread | None = None

    def now(self) -> datetime:
        """The time on this clock: an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, by: float | timedelta) -> None:
        """Let time pass: a timedelta, or seconds. Raises UsageError if that would be backwards."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        if not 0 <= seconds < math.inf:
            raise UsageError(f"A clock cannot be advanced by {by!r}; give seconds or a timedelta from 0 up.")
        with self._changed:
            due = self._pass_to(self._passed + seconds)
        for wake in due:
            wake()

    def time(self) -> float:
        """The time on this clock in seconds since the epoch."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """The seconds that have passed since the start."""
        return self._passed

    def __repr__(self) -> str:
        return f"<FakeClock at {self.now().isoformat()}>"

    # --- what the drivers ask of a clock, see `flowbook.run.clock.Clock` --------------------------------------------

    def pause(self, seconds: float) -> None:
        """Sleep in this thread."""
        woken = threading.Lock()
        woken.acquire()
        with self._alarm(seconds, lambda: release(woken)) as over, may_block(lambda: release(woken), over):
            woken.acquire()

    async def sleep(self, seconds: float) -> None:
        """Sleep in this coroutine."""
        import asyncio

        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        with self._alarm(seconds, lambda: _wake_up(loop, woken)) as over, waiting(over):
            await woken

    def wait(self, condition: threading.Condition, until: float) -> None:
        """Wait for a notification only: who parks a run here has told what wakes the pool."""
        condition.wait()

    @contextmanager
    def at_work(self, loop: AbstractEventLoop | None = None) -> Iterator[None]:
        """Inside, this thread or coroutine performs a run; whoever has called it waits for it."""
        caller = activity.get()
        if not isinstance(caller, _Activity) or caller.clock is not self:
            caller = None
        mine = _Activity(self, loop)
        self._begin(mine, caller)
        token = activity.set(mine)
        try:
            yield
        finally:
            self._end(mine, caller)
            activity.reset(token)

    def ready(self, run: object) -> None:
        """A run of a pool is at work before a thread has taken it."""
        with self._changed:
            self._alarms.pop(run, None)
            self._at_work[run] = _Activity(self)
            self._note()

    def resumed(self, run: object) -> None:
        """Waits of this thread are those of the run."""
        activity.set(self._at_work.get(run))

    def parked(self, run: object, until: float, wake: Wake) -> None:
        """A run of a pool sleeps."""
        with self._changed:
            self._at_work.pop(run, None)
            self._alarms[run] = self._alarm_at(until, wake)
            self._note()

    def left(self, run: object) -> None:
        """A run of a pool is nobody's business any more, or not for now."""
        with self._changed:
            self._at_work.pop(run, None)
            self._alarms.pop(run, None)
            self._note()

    # --- letting time pass --------------------------------------------------------------------------------------------

    def _begin(self, mine: _Activity, caller: _Activity | None) -> None:
        with self._changed:
            self._at_work[mine] = mine
            if caller is not None:
                caller.called += 1
            self._note()

    def _end(self, mine: _Activity, caller: _Activity | None) -> None:
        with self._changed:
            del self._at_work[mine]
            if caller is not None:
                caller.called -= 1
            self._note()

    @contextmanager
    def _alarm(self, seconds: float, wake: Wake) -> Iterator[Over]:
        """Inside, somebody sleeps; gives what tells whether the time is over."""
        key = object()
        with self._changed:
            until = self._passed + seconds
            self._alarms[key] = self._alarm_at(until, wake)
            self._note()
        try:
            yield lambda: self._passed >= until
        finally:
            with self._changed:
                del self._alarms[key]
                self._note()

    def _alarm_at(self, until: float, wake: Wake) -> _Alarm:
        return _Alarm(until, time.monotonic() + until - self._passed, wake)

    def _note(self) -> None:
        """Something has changed that decides whether time may pass."""
        self._changes += 1
        if self._keeper is not None:
            self._changed.notify_all()
        elif self._alarms:
            self._keeper = threading.Thread(target=self._keep, name="flowbook-clock", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        """Let time pass until nobody sleeps any more: what the clock's own thread does."""
        while (due := self._next_due()) is not None:
            for wake in due:
                wake()

    def _next_due(self) -> list[Wake] | None:
        """Wait until time may pass, let it, and return who is to be woken; None when nobody sleeps."""
        with self._changed:
            while self._alarms:
                ahead = [alarm for alarm in self._alarms.values() if alarm.until > self._passed]
                seen = self._changes
                if not ahead:
                    self._changed.wait()
                    continue
                first = min(ahead, key=lambda alarm: (alarm.until, alarm.over))
                if self._is_idle(seen) or self._nothing_happens(min(_PATIENCE, first.over - time.monotonic()), seen):
                    return self._pass_to(first.until)
            self._keeper = None
            return None

    def _pass_to(self, moment: float) -> list[Wake]:
        self._passed = moment
        self._note()
        return [alarm.wake for alarm in self._alarms.values() if alarm.until <= moment]

    def _nothing_happens(self, seconds: float, seen: int) -> bool:
        """Wait for so many real seconds; whether there is nothing new since `seen`."""
        return not self._changed.wait_for(lambda: self._changes != seen, seconds)

    def _is_idle(self, seen: int) -> bool:
        """Whether nobody is at work, nor comes to be as the event loops go round, with nothing new since `seen`."""
        free = self._free_loops()
        return free is not None and all(self._goes_round(loop, seen) for loop in free)

    def _free_loops(self) -> set[AbstractEventLoop] | None:
        """The event loops on which runs are performed and that are not blocked; None if somebody is at work."""
        if any(alarm.until <= self._passed for alarm in self._alarms.values()):
            return None  # whoever it is for is about to wake up
        activities = self._at_work.values()
        blocked = {thread for one in activities for thread, over in one.waiting.values() if thread and not over()}
        if any(one.is_busy(blocked) for one in activities):
            return None
        return {one.loop for one in activities if one.loop is not None and one.thread not in blocked}

    def _goes_round(self, loop: AbstractEventLoop, seen: int) -> bool:
        """Let the loop do what can be done there now; False if it is too busy for that, or something has changed."""
        done = False

        def go_round(rounds: int) -> None:
            nonlocal done
            if rounds:
                loop.call_soon(go_round, rounds - 1)
            else:
                with self._changed:
                    done = True
                    self._changed.notify_all()

        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(go_round, _ROUNDS)
            self._changed.wait_for(lambda: done or self._changes != seen, _PATIENCE)
            return done and self._changes == seen
        return True


class _Alarm(NamedTuple):
    """Somebody sleeps `until` a time on the clock; on the system's, the sleep is `over` then."""

    until: float
    over: float
    wake: Wake


class _Activity:
    """A run that is being performed."""

    def __init__(self, clock: FakeClock, loop: AbstractEventLoop | None = None) -> None:
        self.clock = clock
        self.loop = loop
        self.thread = threading.get_ident()
        self.called = 0  # runs that it has called and that have not returned
        self.waiting: dict[object, tuple[int | None, Over]] = {}

    def is_busy(self, blocked: set[int]) -> bool:
        """Whether it is at work, or about to be as a wait is over. Nobody works on the loop of a blocked thread."""
        if self.waiting:
            return any(over() for _, over in self.waiting.values())
        return not self.called and (self.loop is None or self.thread not in blocked)

    @contextmanager
    def waits(self, over: Over, thread_id: int | None) -> Iterator[None]:
        """Inside, it is not at work until `over` says so, nor is anybody else in the thread, if one is given."""
        key = object()
        with self.clock._changed:
            self.waiting[key] = thread_id, over
            self.clock._note()
        try:
            yield
        finally:
            with self.clock._changed:
                del self.waiting[key]
                self.clock._note()


def _wake_up(loop: AbstractEventLoop, sleeper: Future[None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody sleeps there any more
        loop.call_soon_threadsafe(lambda: None if sleeper.done() else sleeper.set_result(None))
