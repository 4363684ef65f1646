"""Waiting for slots of concurrency limits without holding a thread.

Whoever needs slots makes a request and is told when they are there. One thread per process and store, which lives
while somebody waits or holds slots, does all the asking: it takes and returns slots for everybody in one transaction,
renews leases, and looks again while slots are held by other processes. In this process slots are handed on at once, by
whoever gives them back.

Python may give slots back anywhere, when it closes a generator that was forgotten within a ``with`` block, and an
interrupt may strike anywhere. So what is to be done goes to an inbox and stays there until it is done, and what was
found out goes to an outbox and stays there until it is told.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import TypeVar

from flowbook.core.slots import Exchange, Limit, SlotStore
from flowbook.errors import StoreError
from flowbook.run.blocking import release
from flowbook.run.fixed_limits import FixedLimits
from flowbook.run.slot_queues import Queues
from flowbook.run.slot_requests import Held, Key, Request

R = TypeVar("R")

__all__ = ["Held", "Request", "Slots", "slots_of"]

_KNOWN_FOR = 3.0  # seconds after which limits are read again
_IDLE = 5.0  # seconds for which the thread stays when there is nothing to do
_TRY_AGAIN = 1.0  # seconds after the store could not be told
_TRIALS = 3  # failures in a row, after which those who wait are told
_NO_DURATION = 300.0  # seconds

_log = logging.getLogger("flowbook.concurrency")


class Slots:
    """The slots of the limits in `store`, for all of this process.

    Limits that other processes create, change or delete are seen within `_KNOWN_FOR` seconds, those of this process at
    once. `clock` gives seconds since a moment that stays the same. A forked child gets nothing here: it needs a new
    object.
    """

    def __init__(self, store: SlotStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._pid = os.getpid()
        self._lock = threading.RLock()  # around the queues
        self._busy = False  # somebody is at the queues
        self._queues = Queues(self.give_back, lambda: self._known, remote=store.remote)
        self._inbox: deque[Callable[[float], None]] = deque()
        self._known: Mapping[str, Limit] = {}
        self._known_until = -math.inf
        self._edition = store.edition
        self._thread: threading.Thread | None = None
        self._bell = threading.Lock()  # released to wake the thread
        self._bell.acquire()
        self._wakes_at = math.inf
        self._idling = False
        self._failures = 0
        self._closing = False

    def request(
        self,
        names: Sequence[str],
        occupy: int = 1,
        run_id: str | None = None,
        *,
        rate: bool = False,
        duration: float = _NO_DURATION,
        timeout: float | None = None,
    ) -> Request | None:
        """`occupy` slots of each of the limits of these names, when all of them are there; None if none is limited.

        Give them back with `give_back`, or with `Request.cancel`, which may be called at any time. With `rate` they
        are taken for good and come back by decay. Leases are renewed as long as they are held, for `duration` seconds
        at a time. After `timeout` seconds the request fails with AcquireConcurrencySlotTimeoutError; the store is asked
        once in any case. Raises ConcurrencySlotAcquisitionError if there are never as many slots.
        """
        limits = self._limited(names)
        if not limits:
            return None
        if any(0 < limit.slots < occupy or (rate and not limit.decay) for limit in limits):
            limits = self._limited(names, fresh=True)
            for limit in limits:
                limit.check(occupy, rate=rate)
            if not limits:
                return None
        request = Request(
            Key(tuple(limit.name for limit in limits), rate),
            occupy,
            duration=duration,
            run_id=run_id,
            deadline=math.inf if timeout is None else self._clock() + max(0.0, timeout),
            withdraw=self._withdraw,
            give_back=self.give_back,
        )
        self._do(lambda now: self._queues.add(request, now))
        return request

    def give_back(self, held: Held) -> None:
        """Let others have the slots; nothing if they were given back before."""
        self._do(lambda now: self._queues.give_back(held, now))

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names that no limit has, whether active or not."""
        if all(name in self._limits() for name in names):
            return []
        known = self._limits(fresh=True)
        return [name for name in names if name not in known]

    def close(self) -> None:
        """Return all slots and end the thread. Whoever still waits is cancelled."""
        if os.getpid() != self._pid:
            return
        self._closing = True
        for request in self._at_queues(lambda _: self._queues.abandon()):
            request.cancel()
        thread = self._thread
        if thread is not None:
            release(self._bell)
            thread.join()
        self._closing = False

    def _withdraw(self, request: Request) -> None:
        self._do(lambda now: self._queues.withdraw(request, now))

    # --- which limits there are ---------------------------------------------------------------------------------------

    def _limited(self, names: Sequence[str], *, fresh: bool = False) -> list[Limit]:
        """The active limits of these names, in the order of their names."""
        known = self._limits(fresh=fresh)
        found = {name: known[name] for name in names if name in known}
        return [limit for _, limit in sorted(found.items()) if limit.active] if found else []

    def _limits(self, *, fresh: bool = False) -> Mapping[str, Limit]:
        now = self._clock()
        if fresh or now >= self._known_until or self._edition != self._store.edition:
            edition = self._store.edition  # before reading: what changes meanwhile is read again
            self._known = self._store.limits()
            self._edition, self._known_until = edition, now + _KNOWN_FOR
        return self._known

    # --- doing what is asked ------------------------------------------------------------------------------------------

    def _do(self, work: Callable[[float], None]) -> None:
        """Have `work` done to the queues. It may be begun a second time, after an interrupt of the thread at it."""
        if os.getpid() == self._pid:
            self._inbox.append(work)
            self._empty_inbox()

    def _empty_inbox(self) -> None:
        while self._inbox:
            with self._lock:
                if self._busy:  # this thread is at it, further up its stack
                    return
                self._busy = True
                try:
                    while self._inbox:
                        self._inbox[0](self._clock())
                        self._inbox.popleft()
                    if not self._store.remote:
                        self._exchange_here()
                    starting = self._see_to_thread()
                finally:
                    self._busy = False
            self._start(starting)
            self._deliver()

    def _at_queues(self, work: Callable[[float], R]) -> R:
        """What `work` makes of the queues, done now and in this thread, which nobody interrupts."""
        with self._lock:
            self._busy = True
            try:
                result = work(self._clock())
            finally:
                self._busy = False
        self._deliver()
        self._empty_inbox()
        return result

    def _exchange_here(self) -> None:
        """A store in memory answers at once."""
        while (exchange := self._queues.collect(self._clock())) is not None:
            self._queues.apply(exchange, self._store.exchange(exchange), self._clock())

    def _deliver(self) -> None:
        outbox = self._queues.deliveries
        while outbox:
            delivery = None
            try:
                delivery = outbox.popleft()
                self._answer(*delivery)
                delivery = None
            except IndexError:  # another thread was faster
                return
            finally:
                if delivery is not None:  # an interrupt: the thread will do it
                    outbox.appendleft(delivery)
                    release(self._bell)

    def _answer(self, request: Request, outcome: Held | BaseException) -> None:
        with suppress(InvalidStateError):  # it was cancelled meanwhile: what nobody takes is given back by itself
            if isinstance(outcome, Held):
                request.set_result(outcome)
            else:
                request.set_exception(outcome)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _see_to_thread(self) -> threading.Thread | None:
        """Wake the thread if there is something to do before it would look; returns it if it is to be started."""
        due = self._queues.next_due()
        if due >= self._wakes_at or self._closing:
            return None
        self._wakes_at = due
        if self._thread is not None:
            release(self._bell)
            return None
        self._thread = threading.Thread(target=self._keep, name="flowbook-slots", daemon=True)
        return self._thread

    def _start(self, thread: threading.Thread | None) -> None:
        if thread is not None:
            try:
                thread.start()
            except BaseException:
                if not thread.is_alive():
                    self._thread, self._wakes_at = None, math.inf
                raise

    def _keep(self) -> None:
        """What the thread does as long as it lives."""
        while (seconds := self._turn()) is not None:
            if seconds > 0:
                self._bell.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))

    def _turn(self) -> float | None:
        """Do what is due; returns the seconds until there is more to do, or None if the thread is to end."""
        exchange = self._at_queues(self._collect)
        if exchange is not None:
            self._tell(exchange)
        return self._at_queues(self._plan)

    def _collect(self, now: float) -> Exchange | None:
        self._wakes_at = -math.inf  # nobody needs to wake it before it sleeps
        return self._queues.collect(now)

    def _tell(self, exchange: Exchange) -> None:
        try:
            answers = self._store.exchange(exchange)
        except Exception as error:
            self._failures += 1
            reason = getattr(error, "orig", None) or error  # without SQLAlchemy's statement and its values
            _log.warning(
                "Slots of concurrency limits could not be taken or returned: %s. It will be tried again.", reason
            )
            told = StoreError(f"Slots of concurrency limits cannot be taken: {reason}.")
            told.__cause__ = error
            given_up = told if self._failures >= _TRIALS else None
            self._at_queues(lambda now: self._queues.fail(exchange, now, given_up))
            return
        self._failures = 0
        for lease in self._at_queues(lambda now: self._queues.apply(exchange, answers, now)):
            _log.warning(
                "Slots of %s were taken away: the limit was reset or deleted, or they were not renewed in time. What "
                "holds them goes on.",
                ", ".join(map(repr, lease.names)),
            )

    def _plan(self, now: float) -> float | None:
        self._queues.expire(now)
        due = self._queues.next_due()
        idle = due == math.inf
        if (idle and (self._idling or self._closing)) or (self._failures and self._closing):
            self._thread, self._wakes_at, self._idling = None, math.inf, False
            return None
        self._idling = idle
        self._wakes_at = max(due, now + _TRY_AGAIN) if self._failures else due
        return min(self._wakes_at - now, _IDLE) if idle else self._wakes_at - now


def slots_of(limits: Mapping[str, int]) -> Slots:
    """Slots of limits that are fixed beforehand, for one flow run: a number for each name. Raises UsageError."""
    return Slots(FixedLimits(limits))
