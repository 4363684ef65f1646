"""Looking at a database without leaving a trace: nothing is made, migrated or checkpointed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.store.urls import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

_BUSY_SECONDS = 5


@contextmanager
def looking_at(url: URL) -> Iterator[Connection]:
    """A connection for reading, in one transaction. Raises SQLAlchemy's errors."""
    engine = _engine(url)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine, pool

    file = sqlite_file(url)
    if url.get_backend_name() != "sqlite":
        from flowbook.store.postgres import Postgres

        return Postgres(url).engine.execution_options(postgresql_readonly=True)
    if file is None:
        return create_engine(url)
    return create_engine("sqlite://", creator=lambda: _read_only(file), poolclass=pool.NullPool)


def _read_only(file: Path) -> sqlite3.Connection:
    # A reader, too, makes the log and its index if they are not there. They are not if nobody has the database open.
    unused = not Path(f"{file}-wal").exists()
    uri = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if unused else ''}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)
