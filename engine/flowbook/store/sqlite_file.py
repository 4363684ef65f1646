"""The file of a SQLite database, before it is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from flowbook.errors import StoreError
from flowbook.store.mounts import network_file_system

OLDEST = (3, 35, 0)


def prepare(path: Path) -> None:
    """Make the folder (0700) and the file (0600) of a database, unless they are there.

    Raises StoreError, with nothing made, where SQLite could not keep a database or not be trusted with one.
    """
    _check_version()
    if (kind := network_file_system(path)) is not None:
        raise StoreError(
            f"The database file {path} would be on a network file system ({kind}), where SQLite can lose data. "
            "Set FLOWBOOK_HOME to a folder on a local disk, or FLOWBOOK_DATABASE_URL=postgresql+psycopg://… to a "
            "PostgreSQL server."
        )
    try:
        if path.is_dir():
            raise StoreError(
                f"The database file {path} cannot be used: there is a folder of that name. "
                "Move it away, or set FLOWBOOK_HOME to another folder."
            )
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database file {path} cannot be made: {error.strerror}. "
            "Set FLOWBOOK_HOME to a folder you can write to; `flowbook doctor` says more."
        ) from error


def _check_version() -> None:
    if sqlite3.sqlite_version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise StoreError(
            f"This Python has SQLite {sqlite3.sqlite_version}, and flowbook needs {oldest} or newer. "
            "Use a newer Python, or set FLOWBOOK_DATABASE_URL=postgresql+psycopg://… to a PostgreSQL server."
        )
