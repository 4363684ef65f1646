"""A request for slots, and what comes of it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from shlex import quote
from typing import NamedTuple

from flowbook.core.slots import Return, Want
from flowbook.errors import AcquireConcurrencySlotTimeoutError

_LATE = 1.0  # seconds after its deadline at which whoever waits for a request need not be told any more


class Key(NamedTuple):
    """What those in one queue have in common: the limits that they need slots of, in order, and whether for good."""

    names: tuple[str, ...]
    rate: bool = False


class Lease:
    """Slots that the store has given to this process. Times are on its own clock."""

    __slots__ = ("duration", "holder", "id", "key", "lingers_until", "names", "occupy", "renew_at", "run_id", "since")

    def __init__(self, key: Key, want: Want, names: tuple[str, ...], now: float) -> None:
        self.key = key
        self.id = want.id
        self.names = names  # those of the key that are limited
        self.occupy = want.occupy
        self.duration = want.duration
        self.run_id = want.run_id
        self.since = now
        self.renew_at = now + want.duration / 3
        self.lingers_until = -math.inf
        self.holder: weakref.ref[Held] | None = None

    def is_forgotten(self) -> bool:
        """Whether an interrupt has struck between taking it from one holder and giving it to the next."""
        return self.holder is not None and self.holder() is None

    def as_return(self) -> Return:
        """What the store is told when nobody needs it any more."""
        return Return(id=self.id, names=self.names, occupy=self.occupy, rate=self.key.rate)


class Held:
    """Slots that somebody holds: until they are given back, or nobody knows of this object any more."""

    __slots__ = ("__weakref__", "_give_back", "lease")

    def __init__(self, lease: Lease, give_back: Callable[[Held], None]) -> None:
        self.lease: Lease | None = lease
        self._give_back = give_back

    @property
    def names(self) -> tuple[str, ...]:
        """The limits that they are slots of; empty once they are given back."""
        return self.lease.names if self.lease is not None else ()

    def __del__(self) -> None:
        if self.lease is not None and not self.lease.key.rate:
            self._give_back(self)


class Request(Future[Held]):
    """Slots that are asked for. `cancel` withdraws the request, and gives back what it has brought."""

    def __init__(
        self,
        key: Key,
        occupy: int,
        *,
        duration: float,
        run_id: str | None,
        deadline: float,
        withdraw: Callable[[Request], None],
        give_back: Callable[[Held], None],
    ) -> None:
        super().__init__()
        self.key = key
        self.occupy = occupy
        self.duration = duration
        self.run_id = run_id
        self.deadline = deadline
        self._withdraw = withdraw
        self._give_back = give_back

    def time_left(self, now: float) -> float | None:
        """The seconds for which to wait for it; None if there is no end.

        It is told when its time is over. Raises AcquireConcurrencySlotTimeoutError when that is overdue, because the
        store has kept everybody waiting.
        """
        if self.deadline == math.inf:
            return None
        left = self.deadline + _LATE - now
        if left <= 0:
            raise out_of_time(self)
        return left

    def cancel(self) -> bool:
        """Nobody wants the slots any more. False if they were there already, or never to be had."""
        if self.done():
            if not self.cancelled() and self.exception() is None:
                self._give_back(self.result())
            return self.cancelled()
        if super().cancel():
            self._withdraw(self)
            return True
        return self.cancel()


def out_of_time(request: Request) -> AcquireConcurrencySlotTimeoutError:
    """The error of a request that has waited for too long."""
    names = ", ".join(map(repr, request.key.names))
    slots = "1 slot" if request.occupy == 1 else f"{request.occupy} slots"
    return AcquireConcurrencySlotTimeoutError(
        f"There was no room for {slots} of {names} within the timeout. "
        f"Who holds them is told by: flowbook concurrency-limit inspect {quote(request.key.names[0])}"
    )
