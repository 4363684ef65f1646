"""Who holds slots of concurrency limits, in the database.

A lease is over when it was returned; when its process has ended, if that ran on this machine; or when it was not
renewed in time. A process of this machine that lives is believed to use its slots though its lease has run out, unless
it is stopped: a laptop that wakes up has slept longer than any lease lasts, and so have all its processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from flowbook.core.slots import Answer, Answers, Ask, Exchange, Limit, Renewal, Return, Room, Waiting, serve
from flowbook.store.limits import all_limits, edition, limit_of, shared_time, spent_of
from flowbook.store.processes import Process, is_gone, is_stopped, this_process

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_PLACE = 30.0  # seconds for which it is known that a queue waits
_WRITE_AGAIN = 10.0  # seconds before the end of that at which it is written down again


class DatabaseSlots:
    """The slots of the limits in `database`, for this process. `clock` gives seconds since the epoch; by default it is
    the one that all processes share.
    """

    remote = True

    def __init__(
        self, database: Database, *, process: Process | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self._database = database
        self._process = process or this_process()
        self._clock = clock

    @property
    def edition(self) -> int:
        """Another number whenever limits were changed in this process."""
        return edition()

    def limits(self) -> Mapping[str, Limit]:
        """All limits by name."""
        return all_limits(self._database)

    def exchange(self, exchange: Exchange) -> Answers:
        """Do all of it in one transaction. Whoever asks again and in vain only costs a look."""
        if not (exchange.returns or exchange.renewals or exchange.left) and all(ask.known for ask in exchange.asks):
            with self._database.read() as connection:
                now = shared_time(connection, self._clock)
                limits = _limits(connection, exchange, lock=False)
                round = _Round(limits, _leases(connection, exchange.asks), exchange.asks, self._process, now)
                if not round.changes():
                    return Answers(answers=tuple(round.answers))
        with self._database.write() as connection:
            now = shared_time(connection, self._clock)
            # The limits come first, in the order of their names, so that no two processes wait for each other.
            limits = _limits(connection, exchange, lock=True)
            _delete(connection, [*(one.id for one in exchange.returns if not one.rate), *exchange.left])
            _take_back(connection, limits, [one for one in exchange.returns if one.rate], now)
            lost = _renew(connection, exchange.renewals, now)
            round = _Round(limits, _leases(connection, exchange.asks), exchange.asks, self._process, now)
            round.write(connection)
            return Answers(answers=tuple(round.answers), lost=lost)


class _Round:
    """Serving all those who ask, in one transaction at the time `now`. It writes nothing before `write`."""

    def __init__(
        self, limits: Mapping[str, Any], leases: Sequence[Any], asks: Sequence[Ask], mine: Process, now: float
    ) -> None:
        self._limits = limits
        self._leases = leases
        self._asks = asks
        self._mine = mine
        self._now = now
        self._over: set[str] = set()
        self.answers = self._serve()
        if any(answer.granted < len(ask.wants) for ask, answer in self._answered()):
            self._over = _over(leases, mine, now)
            if self._over:
                self._leases = [lease for lease in leases if lease.id not in self._over]
                self.answers = self._serve()

    def _answered(self) -> Iterator[tuple[Ask, Answer]]:
        return zip(self._asks, self.answers, strict=True)

    def _serve(self) -> list[Answer]:
        self._rooms = {
            name: Room(limit=limit_of(row), spent=spent_of(row, self._now))
            for name, row in self._limits.items()
            if row.active
        }
        others: dict[str, Waiting] = {}
        for lease in self._leases:
            if not lease.waiting:
                if lease.name in self._rooms:
                    self._rooms[lease.name].held += lease.slots
            elif _process_of(lease) != self._mine:
                other = others.setdefault(lease.id, Waiting(waited=self._now - lease.created, occupy=lease.slots))
                other.names.append(lease.name)
        return serve(self._rooms, list(others.values()), self._asks)

    def changes(self) -> bool:
        """Whether there is anything to write."""
        stale, added = self._places()
        return bool(self._over or stale or added or any(answer.granted for answer in self.answers))

    def write(self, connection: Connection) -> None:
        """Write down who holds what now, and who waits."""
        from flowbook.store.schema import concurrency_lease

        stale, added = self._places()
        _delete(connection, [*self._over, *stale])
        for ask, answer in self._answered():
            if ask.rate and answer.granted:
                _set_taken(connection, {name: self._rooms[name].spent for name in answer.names}, self._now)
            elif not ask.rate:
                for want in ask.wants[: answer.granted]:
                    lease = {"id": want.id, "slots": want.occupy, "run_id": want.run_id, "waiting": False}
                    lease |= {"created": self._now, "expires": self._now + want.duration}
                    added += self._rows(answer, lease)
        if added:
            connection.execute(concurrency_lease.insert(), added)

    def _places(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Where our queues stand: what is not true any more, and what is to be written down."""
        stale: list[str] = []
        added: list[dict[str, Any]] = []
        for ask, answer in self._answered():
            found = [lease for lease in self._leases if lease.id == ask.queue]
            if answer.granted == len(ask.wants) or answer.error is not None or ask.rate:
                stale += [ask.queue] if found else []
                continue
            occupy = ask.wants[answer.granted].occupy
            good = [row for row in found if row.slots == occupy and row.expires > self._now + _WRITE_AGAIN]
            if answer.granted or {row.name for row in good} != set(answer.names):
                stale += [ask.queue] if found else []
                since = self._now - (0.0 if answer.granted else ask.waited)
                place = {"id": ask.queue, "slots": occupy, "run_id": None, "waiting": True}
                added += self._rows(answer, place | {"created": since, "expires": self._now + _PLACE})
        return stale, added

    def _rows(self, answer: Answer, fields: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of one lease: one for each limit."""
        mine = {"host": self._mine.host, "pid": self._mine.pid, "pid_started": self._mine.started}
        return [{**fields, **mine, "name": name} for name in answer.names]


def _over(leases: Sequence[Any], mine: Process, now: float) -> set[str]:
    """The ids of the leases that are over."""
    gone = cache(is_gone)
    stopped = cache(is_stopped)

    def is_over(lease: Any) -> bool:
        process, late = _process_of(lease), lease.expires <= now
        if process == mine:
            return False
        if process.host == mine.host:
            return gone(process) or (late and stopped(process.pid))
        return bool(late)

    return {lease.id for lease in leases if is_over(lease)}


def _process_of(lease: Any) -> Process:
    return Process(host=lease.host, pid=lease.pid, started=lease.pid_started)


# --- the statements, made once: they are sent often -------------------------------------------------------------------


@cache
def _statements() -> SimpleNamespace:
    from sqlalchemy import bindparam, delete, select, update

    from flowbook.store.schema import concurrency_lease as lease
    from flowbook.store.schema import concurrency_limit as limit

    limits = select(limit).where(limit.c.name.in_(bindparam("names", expanding=True))).order_by(limit.c.name)
    renewed: Any = {"expires": bindparam("until"), "run_id": bindparam("run")}
    return SimpleNamespace(
        limits=limits,
        locked_limits=limits.with_for_update(),
        leases=select(lease).where(lease.c.name.in_(bindparam("names", expanding=True))),
        ids=select(lease.c.id).where(lease.c.id.in_(bindparam("ids", expanding=True))),
        delete=delete(lease).where(lease.c.id.in_(bindparam("ids", expanding=True))),
        renew=update(lease).where(lease.c.id == bindparam("lease")).values(renewed),
        take=update(limit)
        .where(limit.c.name == bindparam("of"))
        .values(taken=bindparam("now_taken"), taken_at=bindparam("at")),
    )


def _limits(connection: Connection, exchange: Exchange, *, lock: bool) -> dict[str, Any]:
    """The rows of the limits that the exchange names."""
    named = [one.names for one in exchange.asks] + [one.names for one in exchange.returns]
    names = sorted({name for names in named for name in names})
    if not names:
        return {}
    query = _statements().locked_limits if lock else _statements().limits
    return {row.name: row for row in connection.execute(query, {"names": names})}


def _leases(connection: Connection, asks: Sequence[Ask]) -> list[Any]:
    """All leases of the limits that are asked for."""
    names = sorted({name for ask in asks for name in ask.names})
    return list(connection.execute(_statements().leases, {"names": names})) if names else []


def _delete(connection: Connection, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(_statements().delete, {"ids": ids})


def _take_back(connection: Connection, limits: dict[str, Any], returns: Sequence[Return], now: float) -> None:
    """Slots that a rate limit has taken were not used."""
    for name in {name for one in returns for name in one.names if name in limits}:
        taken = spent_of(limits[name], now) - sum(one.occupy for one in returns if name in one.names)
        _set_taken(connection, {name: max(0.0, taken)}, now)
        limits[name] = SimpleNamespace(**limits[name]._asdict() | {"taken": max(0.0, taken), "taken_at": now})


def _set_taken(connection: Connection, taken: Mapping[str, float], now: float) -> None:
    rows = [{"of": name, "now_taken": number, "at": now} for name, number in taken.items()]
    if rows:
        connection.execute(_statements().take, rows)


def _renew(connection: Connection, renewals: Sequence[Renewal], now: float) -> frozenset[str]:
    """Let leases last for longer; returns the ids of those that are not there any more."""
    if not renewals:
        return frozenset()
    ids = {one.id for one in renewals}
    rows = [{"lease": one.id, "until": now + one.duration, "run": one.run_id} for one in renewals]
    connection.execute(_statements().renew, rows)
    return frozenset(ids - set(connection.scalars(_statements().ids, {"ids": sorted(ids)})))
