"""The URL of a database: read, shown without secrets, and the file that it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL

_FORM = "postgresql+psycopg://user:password@host/database"


def parse_url(text: str) -> URL:
    """SQLAlchemy's URL of a SQLite or PostgreSQL database. Raises StoreError; what it says of `text` is no secret."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # whose messages may hold a part of the password
        url = None
    if url is None or "@" in (url.host or ""):
        raise StoreError(
            f"FLOWBOOK_DATABASE_URL cannot be read. Write it as {_FORM}, with an @ in the password as %40; "
            "without it the database is a file in FLOWBOOK_HOME."
        )
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StoreError(
            f"FLOWBOOK_DATABASE_URL begins with {url.drivername}://, which flowbook does not know. Write it as {_FORM}."
        )
    if isinstance(password := url.query.get("password"), str):  # where messages would not hide it
        url = url.set(password=password).difference_update_query(["password"])
    return url


def shown(url: URL) -> str:
    """The URL as it may stand in messages: without the password, and without the query, which may hold secrets too."""
    return url.set(query={}).render_as_string()


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for one in memory, and for databases of other kinds."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)
