"""Opening the database: its folder, its schema, its transactions."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from flowbook.errors import StoreError
from flowbook.store.failures import reason_of
from flowbook.store.postgres import Postgres
from flowbook.store.sqlite import Sqlite
from flowbook.store.telling import told
from flowbook.store.urls import parse_url, shown

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Database:
    """One database. `url` is SQLAlchemy's; the folder of a SQLite file is made for its owner only."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self._connections = Sqlite(self.url) if self.url.get_backend_name() == "sqlite" else Postgres(self.url)
        self.engine = self._connections.engine
        try:
            self._bring_up_to_date()
        except BaseException:
            self.close()
            raise

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that holds the write lock from its beginning, so that it cannot fail half-way for a lock."""
        return self._connections.write()

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the database throughout."""
        return self._connections.read()

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

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
            if (sentence := told(self.url, error)) is not None:
                raise sentence from error
            check = "that the file is a flowbook database"
            if isinstance(self._connections, Postgres):
                check = f"that {self.url.username} may make and change tables there"
            raise StoreError(
                f"The database {shown(self.url)} cannot be used: {reason_of(error)}. Check {check}."
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
        from sqlalchemy import inspect, text

        from flowbook.store.schema import definitions, metadata

        with self.write() as connection:
            there = set(inspect(connection).get_table_names())
            if "alembic_version" not in there and (taken := sorted(there & set(metadata.tables))):
                raise StoreError(
                    f"The database {shown(self.url)} has a table {taken[0]!r} that is not flowbook's. "
                    "Set FLOWBOOK_HOME or FLOWBOOK_DATABASE_URL to a database of its own for flowbook."
                )
            for statement in definitions(self.url.get_backend_name()):
                connection.exec_driver_sql(statement)
            connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
            if connection.scalar(text("SELECT version_num FROM alembic_version")) is None:
                connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
