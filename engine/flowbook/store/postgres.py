"""PostgreSQL: reaching it, whose turn it is to write, and what became of a commit that was never answered.

**One writes at a time.** A transaction that writes begins with the lock `_WRITING`, as one of SQLite begins with
``BEGIN IMMEDIATE``. So what is right on SQLite is right here: what was read stays true until it is committed, no two
transactions wait for each other, and events become visible in the order of their ``seq``, which whoever reads on with
``seq > last`` relies on. Locks of transactions are released after what they wrote became visible. A session that holds
the lock and falls silent (a laptop that sleeps, a cable that is pulled) is ended by the server after half a minute.

**A write that raises was not done; one that returns was.** When the connection is lost during COMMIT, the server may
have committed or not. PostgreSQL knows: `pg_xact_status` tells what became of a transaction by its id, which we have
asked for at its beginning. We ask once we hold `_WRITING` ourselves: then the lost transaction has ended one way or the
other, as it held that lock until its end. So whoever fails may do all of it again, and nothing is written twice. (What
nobody can know: whether a server that took over from another one has all of its transactions.)

**A server that restarts is waited for**, for up to `_PATIENCE` seconds: no connection that cannot be made, or that is
found broken when a transaction begins, is an error before that. Only when a database is opened, it has to be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

from flowbook.errors import StoreError
from flowbook.store.failures import reason_of
from flowbook.store.urls import shown

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

R = TypeVar("R")

_WRITING = int.from_bytes(b"flowbook")
_PATIENCE = 30.0  # seconds
_SILENT = 30_000  # milliseconds; a transaction never waits for anything but the database

_BEGIN = f"SELECT pg_advisory_xact_lock({_WRITING}), pg_current_xact_id()::text"
_BECAME = "SELECT pg_xact_status(%s::xid8)"


class Postgres:
    """The connections of this process to one PostgreSQL database."""

    def __init__(self, url: URL) -> None:
        self.engine = _engine(url)
        self._reached = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout, and cannot write."""
        with self._begun(lambda _: None) as (connection, _):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that nobody else writes beside. If this raises, nothing was written.

        Unless it raises StoreError because the server stays away after the connection was lost during COMMIT.
        """
        from sqlalchemy.exc import DBAPIError

        with self._begun(_take_turn, writes=True) as (connection, transaction):
            yield connection
            try:
                connection.commit()
            except DBAPIError as error:
                if not error.connection_invalidated or not self._was_committed(transaction):
                    raise

    def _was_committed(self, transaction: str) -> bool:
        with self._begun(lambda connection: _became(connection, transaction), writes=True) as (_, status):
            return status == "committed"

    @contextmanager
    def _begun(self, begin: Callable[[Connection], R], *, writes: bool = False) -> Iterator[tuple[Connection, R]]:
        """A connection on which `begin` was done. Until then, losing it means to do so on another one."""
        from sqlalchemy.exc import DBAPIError

        until = time.monotonic() + (_PATIENCE if self._reached else 0.0)
        pause = 0.05
        while True:
            connection = None
            try:
                connection = self.engine.connect()
                if not writes:
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                begun = begin(connection)
                break
            except DBAPIError as error:
                if connection is not None:
                    connection.close()
                if connection is not None and not error.connection_invalidated:
                    raise
                if time.monotonic() > until:
                    raise self._out_of_reach(error) from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            time.sleep(SystemRandom().uniform(0.5, 1.0) * pause)
            pause = min(2 * pause, 2.0)
        self._reached = True
        with connection:
            yield connection, begun

    def _out_of_reach(self, error: Exception) -> StoreError:
        return StoreError(
            f"The database {shown(self.engine.url)} cannot be reached: {reason_of(error)}. "
            "Check that the server runs, and FLOWBOOK_DATABASE_URL."
        )


def _take_turn(connection: Connection) -> str:
    """Wait for the turn to write; returns the id of the transaction."""
    return str(connection.exec_driver_sql(_BEGIN).one()[1])


def _became(connection: Connection, transaction: str) -> str | None:
    """What became of a transaction that took a turn; None if the server does not know it."""
    from sqlalchemy.exc import DBAPIError

    _take_turn(connection)
    try:
        status: str | None = connection.exec_driver_sql(_BECAME, (transaction,)).scalar()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    return status


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine

    try:
        return create_engine(url, pool_pre_ping=True, connect_args=_connect_args(url))
    except ModuleNotFoundError as error:
        raise StoreError(
            f"The database {shown(url)} needs the package {error.name}: pip install 'flowbook[postgres]'."
        ) from None


def _connect_args(url: URL) -> dict[str, Any]:
    """What libpq is told, unless the URL says otherwise. Either side is to notice soon that the other is gone."""
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
    server = {f"tcp_{name}": value for name, value in alive.items()}
    server["idle_in_transaction_session_timeout"] = _SILENT
    args: dict[str, Any] = {
        **alive,
        "connect_timeout": 10,
        "application_name": "flowbook",
        "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
    }
    return {name: value for name, value in args.items() if name not in url.query}
