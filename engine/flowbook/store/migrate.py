"""Bringing an older database up to date with Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

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
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def alembic_config() -> Config:
    """Alembic's configuration, made here so that no ini file is needed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
