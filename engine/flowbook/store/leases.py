"""Who holds slots of concurrency limits, in the database.

A lease is over when it was returned; when its process has ended, if that ran on this machine; or when it was not
renewed in time. A process of this machine that lives is believed to use its slots though its lease has run out, unless
it is stopped: a laptop that wakes up has slept longer than any lease lasts, and so have all its processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from flowbook.core.slots import Answer, Answers, Ask, Exchange, Limit, Renewal, Return, Room, Waiting, serve
from flowbook.store.limits import all_limits, edition, spent_of
from flowbook.store.processes import Process, is_gone, this_process

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_PLACE = 30.0  # seconds for which a queue that waits is known, before it is written down again
_Row = dict[str, Any]


class DatabaseSlots:
    """The slots of the limits in `database`. `clock` gives seconds since the epoch, where the database has no own."""

    remote = True

    def __init__(
        self, database: Database, *, process: Process | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._given_process = process
        self._clock = clock

    @property
    def edition(self) -> int:
        """Another number whenever limits were changed in this process."""
        return edition()

    def limits(self) -> Mapping[str, Limit]:
        """All limits by name."""
        return all_limits(self._database)

    def exchange(self, exchange: Exchange) -> Answers:
        """Do all of it in one transaction. Who asks again, and in vain, only costs a look."""
        only_asks = not (exchange.returns or exchange.renewals or exchange.left)
        if only_asks and all(ask.known for ask in exchange.asks):
            with self._database.read() as connection:
                now = self._now(connection)
                served = self._serve(connection, exchange.asks, now, lock=False)
                if not served.changes(now):
                    return Answers(answers=tuple(served.answers))
        with self._database.write() as connection:
            now = self._now(connection)
            named = {name for one in (*exchange.asks, *exchange.returns) for name in one.names}
            if named and not exchange.asks:  # in the order of their names, before any lease, so that nobody waits in a ring
                connection.execute(_statements().lock, {"names": sorted(named)})
            _delete(connection, [*(one.id for one in exchange.returns if not one.rate), *exchange.left])
            _take_back(connection, [one for one in exchange.returns if one.rate], now)
            lost = _renew(connection, exchange.renewals, now)
            if exchange.asks:
                served = self._serve(connection, exchange.asks, now, lock=True, also=named)
                served.write(connection, self._process, now)
                return Answers(answers=tuple(served.answers), lost=lost)
            return Answers(answers=(), lost=lost)
