"""Slots of concurrency limits: what a process asks of whoever keeps them, and who of those that ask is served.

A *limit* has so many slots. A *lease* holds some of them until it is returned. A rate limit takes slots without a
lease: they come back by themselves, `decay` of them per second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Protocol

from flowbook.errors import ConcurrencySlotAcquisitionError

_TURN_AFTER = 1.0  # seconds after which a process that waits may not be overtaken by others
_ALMOST = 1e-6  # of a slot, for sums of fractions
_TICK = 0.02  # seconds; who waits for a fast rate limit is served several slots at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A concurrency limit. With 0 slots it lets nobody in; if it is not active, it limits nothing.

    `decay` is in slots per second; without one it is no rate limit.
    """

    name: str
    slots: int
    decay: float = 0.0
    active: bool = True

    def check(self, occupy: int, *, rate: bool = False) -> None:
        """Raise ConcurrencySlotAcquisitionError if so many slots can never be had."""
        if rate and not self.decay:
            raise ConcurrencySlotAcquisitionError(
                f"The concurrency limit {self.name!r} has no slot decay, so it cannot be used as a rate limit. Give it "
                f"one with: flowbook concurrency-limit update {quote(self.name)} --slot-decay-per-second 1"
            )
        if 0 < self.slots < occupy:
            raise ConcurrencySlotAcquisitionError(
                f"{occupy} slots of the concurrency limit {self.name!r} were asked for, which has {self.slots}. Ask "
                f"for less, or raise it with: flowbook concurrency-limit update {quote(self.name)} --limit {occupy}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Want:
    """One lease that is wanted, under this id. It is to be renewed within `duration` seconds."""

    id: str
    occupy: int
    duration: float
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What those want who wait in one queue, first come, first served. They take slots of all `names` or of none.

    `queue` is the queue's id, `waited` how many seconds ago it was served or came to be; if it is `known`, the store
    has been asked before and in vain. With `rate`, slots are taken for good. Other processes that have waited for
    longer go first, as long as it is `polite`.
    """

    queue: str
    names: tuple[str, ...]
    wants: tuple[Want, ...]
    waited: float
    known: bool = False
    rate: bool = False
    polite: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Return:
    """A lease that is not needed any more; or, with `rate`, slots that were taken and not used."""

    id: str
    names: tuple[str, ...]
    occupy: int
    rate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Renewal:
    """A lease that is needed for `duration` seconds more, by the run `run_id`."""

    id: str
    duration: float
    run_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """All that a process has to say at one time. Nobody waits any more in the queues that were `left`."""

    returns: tuple[Return, ...] = ()
    renewals: tuple[Renewal, ...] = ()
    left: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()


@dataclass(kw_only=True, slots=True)
class Answer:
    """What comes of an Ask: its first `granted` wants are served, with leases of `names` (those that are limited).

    `retry_in`: the seconds after which a rate limit has slots for the next one. `yielded`: there are slots, but others
    go first. `error`: why the first want can never be served.
    """

    granted: int = 0
    names: tuple[str, ...] = ()
    retry_in: float | None = None
    yielded: bool = False
    error: ConcurrencySlotAcquisitionError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The answer to each Ask of an Exchange, and the leases that could not be renewed because they are gone."""

    answers: tuple[Answer, ...]
    lost: frozenset[str] = frozenset()


class SlotStore(Protocol):
    """Whoever keeps the limits and the leases."""

    remote: bool
    """Whether others share the slots and a call takes time, so that leases are renewed, and handed on for a while
    without asking."""

    @property
    def edition(self) -> int:
        """Another number whenever limits were changed in this process."""

    def limits(self) -> Mapping[str, Limit]:
        """All limits by name."""

    def exchange(self, exchange: Exchange) -> Answers:
        """Do all of it, returns first."""


@dataclass(kw_only=True, slots=True)
class Room:
    """An active limit, and how many of its slots are taken: by leases (`held`) and for good (`spent`)."""

    limit: Limit
    held: int = 0
    spent: float = 0.0

    @property
    def free(self) -> float:
        return self.limit.slots - self.held - self.spent


@dataclass(kw_only=True, slots=True)
class Waiting:
    """A queue of another process that has waited for so many seconds, and what its first one needs."""

    waited: float
    occupy: int
    names: list[str] = field(default_factory=list)


def serve(rooms: Mapping[str, Room], others: Sequence[Waiting], asks: Sequence[Ask]) -> list[Answer]:
    """Serve those who ask, in their order, as far as there are slots; `rooms` are changed accordingly.

    A queue of another process goes before one that has waited for less, but only if there are slots for it: whoever
    waits for something else besides keeps nobody waiting.
    """
    answers = []
    for ask in asks:
        limited = [rooms[name] for name in ask.names if name in rooms]
        answer = Answer(names=tuple(room.limit.name for room in limited))
        kept = _kept_for(others, rooms, ask) if ask.polite else {}
        for want in ask.wants:
            try:
                for room in limited:
                    room.limit.check(want.occupy, rate=ask.rate)
            except ConcurrencySlotAcquisitionError as error:
                answer.error = error if not answer.granted else None
                break
            if not _fits(limited, want.occupy, {}):
                answer.retry_in = _time_to_decay(limited, want.occupy) if ask.rate else None
                break
            if not _fits(limited, want.occupy, kept):
                answer.yielded = True
                break
            for room in limited:
                if ask.rate:
                    room.spent += want.occupy
                else:
                    room.held += want.occupy
            answer.granted += 1
        answers.append(answer)
    return answers


def _kept_for(others: Sequence[Waiting], rooms: Mapping[str, Room], ask: Ask) -> dict[str, int]:
    """How many free slots of each limit are for those who have waited for longer than `ask`."""
    kept: dict[str, int] = {}
    for other in sorted(others, key=lambda other: -other.waited):
        if other.waited > max(_TURN_AFTER, ask.waited):
            limited = [rooms[name] for name in other.names if name in rooms]
            if _fits(limited, other.occupy, kept):
                for name in other.names:
                    kept[name] = kept.get(name, 0) + other.occupy
    return kept


def _fits(limited: Sequence[Room], occupy: int, kept: Mapping[str, int]) -> bool:
    return all(room.free - kept.get(room.limit.name, 0) >= occupy - _ALMOST for room in limited)


def _time_to_decay(limited: Sequence[Room], occupy: int) -> float | None:
    """The seconds until enough slots have come back; None if that also takes the return of leases."""
    short = [(occupy - room.free, room) for room in limited if room.free < occupy]
    if any(shortage > room.spent + _ALMOST for shortage, room in short):
        return None
    seconds = max(shortage / room.limit.decay for shortage, room in short)
    least = min(room.limit.slots / room.limit.decay / 2 for room in limited)  # none comes back to a limit that is full
    return max(seconds, min(_TICK, least))
