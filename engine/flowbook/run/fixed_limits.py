"""Limits that are fixed beforehand and kept in memory: of tasks within one flow run."""

from __future__ import annotations

from collections.abc import Mapping

from flowbook.core.slots import Answers, Exchange, Limit, Room, serve
from flowbook.errors import UsageError


class FixedLimits:
    """The part of a store, for the slots of `slots`: a number for each name."""

    remote = False
    edition = 0

    def __init__(self, slots: Mapping[str, int]) -> None:
        for name, number in slots.items():
            if not isinstance(number, int) or number < 1:
                raise UsageError(f"The concurrency limit of {name!r} is {number!r}; give a whole number from 1 up.")
        self._limits = {name: Limit(name=name, slots=number) for name, number in slots.items()}
        self._rooms = {name: Room(limit=limit) for name, limit in self._limits.items()}

    def limits(self) -> Mapping[str, Limit]:
        """All limits by name."""
        return self._limits

    def exchange(self, exchange: Exchange) -> Answers:
        """Do all of it, returns first."""
        for returned in exchange.returns:
            for name in returned.names:
                self._rooms[name].held -= returned.occupy
        return Answers(answers=tuple(serve(self._rooms, (), exchange.asks)))
