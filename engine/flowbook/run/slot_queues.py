"""Who in this process waits for slots, and what this process holds. Nothing here blocks: see :mod:`flowbook.run.slots`.

There is one queue per set of names: first come, first served. A lease that is given back goes to the next one in its
queue, or lingers there for a moment for one that is about to come, without the store being told. That lasts for a
second since the store gave it; then it is returned, so that other processes get their turn.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from random import SystemRandom
from typing import NamedTuple

from flowbook.core.slots import Answer, Answers, Ask, Exchange, Limit, Renewal, Return, Want
from flowbook.run.ids import new_id
from flowbook.run.slot_requests import Held, Key, Lease, Request, out_of_time

TENURE = 1.0  # seconds for which a lease is handed on in this process
LINGER = 0.05  # seconds for which a free lease is kept for the next one to come
_SOONEST_POLL, _LATEST_POLL = 0.1, 0.4  # seconds until the store is asked again, more or less
_PATIENCE = 0.5  # seconds for which other processes may go first
_MOST_AT_ONCE = 100  # leases asked for


class Queue:
    """Those who wait for slots of the same limits, in the order in which they came. Times are this process's own."""

    def __init__(self, key: Key, now: float) -> None:
        self.id = new_id()
        self.key = key
        self.waiting: OrderedDict[Request, None] = OrderedDict()
        self.idle: list[Lease] = []
        self.since = now  # when it was served last, or came to be
        self.due = math.inf  # when the store is to be asked
        self.poll = _SOONEST_POLL
        self.asking = False  # the store is being asked just now
        self.known = False  # the store knows that it waits
        self.polite_until = math.inf

    @property
    def head(self) -> Request:
        """The one whose turn is next."""
        return next(iter(self.waiting))


class Delivery(NamedTuple):
    """What a request is to be answered with, once nothing is locked any more."""

    request: Request
    outcome: Held | BaseException


class Queues:
    """All queues of a process for one store. The caller sees to it that only one thread is here at a time."""

    def __init__(self, give_back: Callable[[Held], None], limits: Callable[[], Mapping[str, Limit]], *, remote: bool):
        self._give_back = give_back
        self._limits = limits
        self._remote = remote
        self._tenure = TENURE if remote else 0.0
        self._queues: dict[Key, Queue] = {}
        self._leases: dict[str, Lease] = {}
        self._timed: set[Request] = set()
        self._returns: list[Return] = []
        self._left: list[str] = []
        self.deliveries: deque[Delivery] = deque()

    # --- what happens in this process ---------------------------------------------------------------------------------

    def add(self, request: Request, now: float) -> None:
        """Somebody asks for slots."""
        queue = self._queue(request.key, now)
        if not queue.waiting:
            for lease in queue.idle:
                if lease.occupy == request.occupy and self._may_hand_on(lease, now):
                    queue.idle.remove(lease)
                    self._hand(lease, request, now)
                    return
            queue.since, queue.due, queue.poll = now, now, _SOONEST_POLL
        queue.waiting[request] = None
        if request.deadline < math.inf:
            self._timed.add(request)

    def withdraw(self, request: Request, now: float) -> None:
        """Somebody does not wait any more."""
        queue = self._queues.get(request.key)
        if queue is not None and request in queue.waiting:
            if queue.head is request:
                queue.due = now  # the next one may want less
            self._leave(queue, request)

    def give_back(self, held: Held, now: float) -> None:
        """Somebody does not need slots any more; nothing if they were given back before."""
        lease, held.lease = held.lease, None
        if lease is not None:
            self._free(lease, now)

    def expire(self, now: float) -> None:
        """Those who cannot wait any longer do not, once the store was asked for them."""
        for request in [one for one in self._timed if one.deadline <= now]:
            queue = self._queues[request.key]
            if queue.due > now and not queue.asking:
                self._leave(queue, request)
                self.deliveries.append(Delivery(request, out_of_time(request)))

    def abandon(self) -> list[Request]:
        """All leases are to be returned, as the process is about to end; returns who still waits."""
        unserved = [request for queue in self._queues.values() for request in queue.waiting]
        for queue in self._queues.values():
            queue.idle.clear()
        for lease in list(self._leases.values()):
            self._return(lease, 0.0)
        return unserved

    def _queue(self, key: Key, now: float) -> Queue:
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(key, now)
        return queue

    def _free(self, lease: Lease, now: float) -> None:
        """Nobody holds the lease: it goes to the next one, lingers, or is returned."""
        if lease.key.rate:
            self._returns.append(lease.as_return())
            return
        queue = self._queue(lease.key, now)
        if not self._may_hand_on(lease, now):
            self._return(lease, now)
        elif not queue.waiting:
            lease.lingers_until = now + LINGER
            queue.idle.append(lease)
        elif queue.head.occupy == lease.occupy:
            self._hand(lease, queue.head, now)
        else:
            self._return(lease, now)

    def _may_hand_on(self, lease: Lease, now: float) -> bool:
        return lease.id in self._leases and now - lease.since < self._tenure

    def _hand(self, lease: Lease, request: Request, now: float) -> None:
        """The lease is for this request."""
        queue = self._queues[request.key]
        if request in queue.waiting:
            self._leave(queue, request)
        if (lease.run_id, lease.duration) != (request.run_id, request.duration):
            lease.run_id, lease.duration = request.run_id, request.duration
            lease.renew_at = min(lease.renew_at, now + min(TENURE, request.duration / 3))
        held = Held(lease, self._give_back)
        lease.holder = weakref.ref(held)
        self.deliveries.append(Delivery(request, held))

    def _leave(self, queue: Queue, request: Request) -> None:
        del queue.waiting[request]
        self._timed.discard(request)
        if not queue.waiting:
            self._deserted(queue)

    def _deserted(self, queue: Queue) -> None:
        """Nobody waits in the queue any more."""
        queue.due = queue.polite_until = math.inf
        if queue.known and not queue.asking:
            queue.known = False
            self._left.append(queue.id)

    def _return(self, lease: Lease, now: float) -> None:
        """The slots are free: for others in this process as well."""
        if self._leases.pop(lease.id, None) is None:
            return
        self._returns.append(lease.as_return())
        for queue in self._queues.values():
            if queue.waiting and not set(queue.key.names).isdisjoint(lease.names):
                queue.due = now

    # --- what the store is told, and says -----------------------------------------------------------------------------

    def collect(self, now: float) -> Exchange | None:
        """What the store is to be told now; None if it is nothing."""
        self._return_idle(now)
        asking = [queue for queue in self._queues.values() if queue.due <= now and not queue.asking]
        for lease in [one for one in self._leases.values() if one.renew_at <= now and one.is_forgotten()]:
            self._return(lease, now)
        renewed = [lease for lease in self._leases.values() if lease.renew_at <= now]
        if not (asking or renewed or self._returns or self._left):
            return None
        exchange = Exchange(
            returns=tuple(self._returns),
            left=tuple(self._left),
            renewals=tuple(Renewal(id=one.id, duration=one.duration, run_id=one.run_id) for one in renewed),
            asks=tuple(self._ask(queue, now) for queue in sorted(asking, key=lambda queue: queue.since)),
        )
        self._returns, self._left = [], []
        for lease in renewed:
            lease.renew_at = now + lease.duration / 3
        return exchange

    def _return_idle(self, now: float) -> None:
        """Return what has lingered for long enough, and what others in this process can use."""
        wanted = {name for queue in self._queues.values() if queue.due <= now for name in queue.key.names}
        for queue in list(self._queues.values()):
            for lease in list(queue.idle):
                if lease.lingers_until <= now or not wanted.isdisjoint(lease.names):
                    queue.idle.remove(lease)
                    self._return(lease, now)

    def _ask(self, queue: Queue, now: float) -> Ask:
        queue.asking, queue.due = True, math.inf
        wants = tuple(
            Want(id=new_id(), occupy=request.occupy, run_id=request.run_id, duration=request.duration)
            for request in self._first_of(queue)
        )
        return Ask(
            queue=queue.id,
            names=queue.key.names,
            rate=queue.key.rate,
            wants=wants,
            waited=now - queue.since,
            known=queue.known,
            polite=now < queue.polite_until,
        )

    def _first_of(self, queue: Queue) -> Iterator[Request]:
        """As many of those who wait as may be served at once."""
        known = self._limits()
        most = min((known[name].slots for name in queue.key.names if name in known), default=_MOST_AT_ONCE)
        total = 0
        for number, request in enumerate(queue.waiting):
            total += request.occupy
            if number and (total > most or number == _MOST_AT_ONCE):
                return
            yield request

    def apply(self, exchange: Exchange, answers: Answers, now: float) -> list[Lease]:
        """The store has answered; returns the leases that are lost."""
        lost = [self._leases.pop(lease_id) for lease_id in answers.lost if lease_id in self._leases]
        by_id = {queue.id: queue for queue in self._queues.values()}
        for ask, answer in zip(exchange.asks, answers.answers, strict=True):
            queue = by_id[ask.queue]
            queue.asking = False
            queue.known = answer.granted < len(ask.wants) and not ask.rate
            for want in ask.wants[: answer.granted]:
                self._granted(queue, want, answer.names, now)
            if answer.error is not None and queue.waiting and queue.head.occupy == ask.wants[answer.granted].occupy:
                self.deliveries.append(Delivery(queue.head, answer.error))
                self._leave(queue, queue.head)
            self._plan_next_ask(queue, ask, answer, now)
        for queue in list(self._queues.values()):
            if not (queue.waiting or queue.idle or queue.asking):
                del self._queues[queue.key]
        return lost

    def _granted(self, queue: Queue, want: Want, names: tuple[str, ...], now: float) -> None:
        """The store has given a lease: to the first one in the queue, if that is still the one who wanted it."""
        lease = Lease(queue.key, want, names, now)
        if not self._remote or queue.key.rate:
            lease.renew_at = math.inf
        if names and not queue.key.rate:
            self._leases[lease.id] = lease
        if queue.waiting and queue.head.occupy == want.occupy:
            self._hand(lease, queue.head, now)
        else:
            self._free(lease, now)

    def _plan_next_ask(self, queue: Queue, ask: Ask, answer: Answer, now: float) -> None:
        if answer.granted:
            queue.since, queue.poll, queue.polite_until = now, _SOONEST_POLL, math.inf
        if not queue.waiting:
            self._deserted(queue)
        elif answer.granted == len(ask.wants) or answer.error is not None:
            queue.due = now
        elif answer.yielded:
            queue.polite_until = min(queue.polite_until, now + _PATIENCE)
            queue.due = min(queue.due, now + _about(_SOONEST_POLL))
        elif self._remote:  # in memory, nothing changes but what is returned
            queue.due = min(queue.due, now + (answer.retry_in or _about(queue.poll)))
            queue.poll = min(_LATEST_POLL, queue.poll * 1.5)

    def fail(self, exchange: Exchange, now: float, error: BaseException | None = None) -> None:
        """The store could not be told, and will be told again. With an `error`, those who asked wait no longer."""
        self._returns[:0] = exchange.returns
        self._left[:0] = exchange.left
        for renewal in exchange.renewals:
            if renewal.id in self._leases:
                self._leases[renewal.id].renew_at = now
        by_id = {queue.id: queue for queue in self._queues.values()}
        for ask in exchange.asks:
            queue = by_id[ask.queue]
            queue.asking, queue.known, queue.due = False, True, now
            if not ask.rate:  # who knows whether it was done all the same
                self._returns.extend(Return(id=want.id, names=ask.names, occupy=want.occupy) for want in ask.wants)
            if error is not None:
                self.deliveries.extend(Delivery(request, error) for request in queue.waiting)
                for request in list(queue.waiting):
                    self._leave(queue, request)
            if not queue.waiting:
                self._deserted(queue)

    def next_due(self) -> float:
        """When there is something to do next; infinity if nobody waits and nothing is held."""
        if self._returns or self._left:
            return -math.inf
        times = [queue.due for queue in self._queues.values() if not queue.asking]
        times += [lease.lingers_until for queue in self._queues.values() for lease in queue.idle]
        times += [lease.renew_at for lease in self._leases.values()]
        times += [request.deadline for request in self._timed]
        return min(times, default=math.inf)


def _about(seconds: float) -> float:
    return seconds * SystemRandom().uniform(0.8, 1.25)
