"""Bringing an older database up to date with Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from flowbook.store.database import Database


def upgrade(database: Database, found: str | None, target: str = "head") -> None:
    """Run the migrations from revision `found` to `target` in one transaction.

    Raises StoreError when the database was written by a newer flowbook.
    """
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = alembic_config()
    if found is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(found)
        except CommandError:
            raise StoreError(
                f"The database {database.url.render_as_string()} was written by a newer flowbook (schema {found}). "
                "Upgrade flowbook, or point FLOWBOOK_HOME at another folder."
            ) from None
    with _transaction(database) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)


@contextmanager
def _transaction(database: Database) -> Iterator[Connection]:
    """A transaction in which tables can be made anew.

    SQLite changes a table by making another one in its place. As the old one is dropped, everything that refers to its
    rows would be deleted with them (https://www.sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema
    Changes"), and that cannot be turned off once a transaction has begun.
    """
    if database.engine.dialect.name != "sqlite":
        with database.write() as connection:
            yield connection
        return
    with database.engine.connect().execution_options(flowbook_write=True) as connection:
        cursor = connection.connection.cursor()  # the driver's, which begins no transaction
        cursor.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
        finally:
            cursor.execute("PRAGMA foreign_keys = ON")


def alembic_config() -> Config:
    """Alembic's configuration, made here so that no ini file is needed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
