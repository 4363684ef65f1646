"""Concurrency limits in the database: making, changing and looking at them. Who gets slots: :mod:`.leases`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from flowbook.core.slots import Limit
from flowbook.errors import NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_MOST_SLOTS = 2**31 - 1  # what a column holds

_editions = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """A process that holds slots, since a time in seconds since the epoch, or that waits for them."""

    slots: int
    waiting: bool
    run_id: str | None
    host: str
    pid: int
    since: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitUse:
    """A limit, who holds slots of it, and how many of its slots a rate limit has taken that have not come back yet."""

    limit: Limit
    holders: tuple[Holder, ...]
    spent: float

    @property
    def in_use(self) -> int:
        """The number of slots that are not free."""
        return sum(holder.slots for holder in self.holders if not holder.waiting) + math.ceil(self.spent)


def edition() -> int:
    """Another number whenever this process has changed limits."""
    return _editions


def create_limit(database: Database, name: str, slots: int, *, decay: float = 0.0, active: bool = True) -> Limit:
    """A new limit. Raises UsageError if there is one of that name, or the values cannot be meant."""
    from sqlalchemy import insert

    from flowbook.store.schema import concurrency_limit

    limit = Limit(name=_checked_name(name), slots=_checked_slots(slots), decay=_checked_decay(decay), active=active)
    with database.write() as connection:
        if _find(connection, name) is not None:
            raise UsageError(
                f"There is a concurrency limit {name!r} already. "
                f"Change it with: flowbook concurrency-limit update {quote(name)} --limit {slots}"
            )
        row = {"name": name, "slots": slots, "decay": decay, "active": active, "created": time.time()}
        connection.execute(insert(concurrency_limit).values(**row))
    _changed()
    return limit


def update_limit(
    database: Database,
    name: str,
    *,
    slots: int | None = None,
    decay: float | None = None,
    active: bool | None = None,
) -> Limit:
    """Change what is given. Slots that are held stay held. Raises NotFound, or UsageError for values not meant so."""
    from sqlalchemy import update

    from flowbook.store.schema import concurrency_limit

    with database.write() as connection:
        row, now = _the(connection, name), shared_time(connection)
        changes: dict[str, Any] = {"active": row.active if active is None else active}
        if slots is not None:
            changes["slots"] = _checked_slots(slots)
        if decay is not None:  # what came back until now did so at the old rate
            changes |= {"decay": _checked_decay(decay), "taken": spent_of(row, now), "taken_at": now}
        connection.execute(update(concurrency_limit).where(concurrency_limit.c.name == name).values(**changes))
        changed = limit_of(_the(connection, name))
    _changed()
    return changed


def reset_limit(database: Database, name: str) -> int:
    """Free all slots of a limit, whoever holds them; returns how many were held. Raises NotFound."""
    from sqlalchemy import delete, func, select, update

    from flowbook.store.schema import concurrency_lease, concurrency_limit

    with database.write() as connection:
        _the(connection, name)
        held = (concurrency_lease.c.name == name, concurrency_lease.c.waiting.is_(False))
        number = connection.scalar(select(func.coalesce(func.sum(concurrency_lease.c.slots), 0)).where(*held))
        connection.execute(delete(concurrency_lease).where(*held))
        connection.execute(update(concurrency_limit).where(concurrency_limit.c.name == name).values(taken=0.0))
    return int(number or 0)


def delete_limit(database: Database, name: str) -> None:
    """Delete a limit: what waits for its slots goes on. Raises NotFound."""
    from sqlalchemy import delete

    from flowbook.store.schema import concurrency_limit

    with database.write() as connection:
        _the(connection, name)
        connection.execute(delete(concurrency_limit).where(concurrency_limit.c.name == name))
    _changed()


def all_limits(database: Database) -> dict[str, Limit]:
    """All limits by name, in its order."""
    from sqlalchemy import select

    from flowbook.store.schema import concurrency_limit

    with database.read() as connection:
        return {row.name: limit_of(row) for row in connection.execute(select(concurrency_limit).order_by("name"))}


def uses_of_limits(database: Database) -> list[LimitUse]:
    """All limits by name, and who holds or waits for their slots, whoever came first first."""
    from sqlalchemy import select

    from flowbook.store.schema import concurrency_lease, concurrency_limit

    holders: dict[str, list[Holder]] = {}
    with database.read() as connection:
        now = shared_time(connection)
        limits = list(connection.execute(select(concurrency_limit).order_by("name")))
        for row in connection.execute(select(concurrency_lease).order_by("created", "id")):
            fields = {field: getattr(row, field) for field in ("slots", "waiting", "run_id", "host", "pid")}
            holders.setdefault(row.name, []).append(Holder(**fields, since=row.created))
    return [
        LimitUse(limit=limit_of(row), holders=tuple(holders.get(row.name, ())), spent=spent_of(row, now))
        for row in limits
    ]


def use_of_limit(database: Database, name: str) -> LimitUse:
    """One limit, and who holds or waits for its slots. Raises NotFound."""
    uses = {use.limit.name: use for use in uses_of_limits(database)}
    if name not in uses:
        raise _not_found(name, list(uses))
    return uses[name]


def shared_time(connection: Connection, clock: Callable[[], float] | None = None) -> float:
    """Seconds since the epoch, by `clock` or by the one that all processes share: the machine's, or the database's."""
    from sqlalchemy import func, select

    if clock is not None or connection.dialect.name == "sqlite":
        return (clock or time.time)()
    return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)


def spent_of(row: Any, now: float) -> float:
    """How many of the slots that rate limits have taken have not come back yet, from a row of the limit."""
    left: float = row.taken - row.decay * max(0.0, now - row.taken_at)
    return max(0.0, left)


def limit_of(row: Any) -> Limit:
    """The limit in a row."""
    return Limit(name=row.name, slots=row.slots, decay=row.decay, active=bool(row.active))


def _find(connection: Connection, name: str) -> Any:
    from sqlalchemy import select

    from flowbook.store.schema import concurrency_limit

    query = select(concurrency_limit).where(concurrency_limit.c.name == name).with_for_update()
    return connection.execute(query).one_or_none()


def _the(connection: Connection, name: str) -> Any:
    from sqlalchemy import select

    from flowbook.store.schema import concurrency_limit

    found = _find(connection, name)
    if found is None:
        raise _not_found(name, list(connection.scalars(select(concurrency_limit.c.name))))
    return found


def _not_found(name: str, known: list[str]) -> NotFound:
    if not known:
        return NotFound(
            f"There is no concurrency limit {name!r}, nor any other. "
            f"Make one with: flowbook concurrency-limit create {quote(name)} 5"
        )
    hint = did_you_mean(name, known)
    return NotFound(f"There is no concurrency limit {name!r}.{hint} `flowbook concurrency-limit ls` lists them.")


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UsageError(f"The name of a concurrency limit is {name!r}; give one that can be read.")
    return name


def _checked_slots(slots: int) -> int:
    if slots < 0:
        raise UsageError(
            f"A concurrency limit cannot have {slots} slots; give a number from 0 up, which lets nobody in."
        )
    if slots > _MOST_SLOTS:
        raise UsageError(f"A concurrency limit cannot have {slots} slots, but {_MOST_SLOTS}; or delete the limit.")
    return slots


def _checked_decay(decay: float) -> float:
    if not 0 <= decay < math.inf:
        raise UsageError(f"Slots cannot decay at {decay} per second; give a number from 0 up, which is no decay.")
    return decay


def _changed() -> None:
    global _editions
    _editions += 1
