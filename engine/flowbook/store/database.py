"""Opening the database: its folder, its schema, its transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_BUSY_SECONDS = 30


class Database:
    """One database. `url` is SQLAlchemy's; the folder of a SQLite file is made for its owner only."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import make_url

        self.url = make_url(url)
        self.engine = self._open()
        self._bring_up_to_date()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its beginning, so that it cannot fail half-way for a lock."""
        with self.engine.connect().execution_options(flowbook_write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _open(self) -> Engine:
        from sqlalchemy import create_engine, event

        if self.url.get_backend_name() != "sqlite":
            return create_engine(self.url)
        if self.url.database:
            _private_file(Path(self.url.database))
        engine = create_engine(self.url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _bring_up_to_date(self) -> None:
        """Create or migrate the tables. Alembic, slow to import, is only needed when there is something to migrate."""
        from sqlalchemy.exc import DBAPIError

        from flowbook.store.schema import REVISION

        try:
            found = self._revision()
            if found == REVISION:
                return
            if found is None:
                self._create(REVISION)
            else:
                from flowbook.store.migrate import upgrade

                upgrade(self, found)
        except DBAPIError as error:
            raise StoreError(
                f"The database {self.url.render_as_string()} cannot be used: {error.orig}. "
                "Check that its folder is writable and that the file is a flowbook database."
            ) from error

    def _revision(self) -> str | None:
        from sqlalchemy import inspect, text

        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    def _create(self, revision: str) -> None:
        """All tables of a new database in one transaction, marked as if migrated; another process may be first."""
        from sqlalchemy import text

        from flowbook.store.schema import metadata

        with self.write() as connection:
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
            if connection.scalar(text("SELECT version_num FROM alembic_version")) is None:
                connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _private_file(path: Path) -> None:
    """Make the folder (0700) and the file (0600) of a database, unless they are there."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database file {path} cannot be made: {error.strerror}. "
            "Set FLOWBOOK_HOME to a folder you can write to."
        ) from error


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, see below
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("flowbook_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
