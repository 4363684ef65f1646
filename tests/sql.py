"""What another process reads from the database of the settings, or does to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import NullPool, Row, create_engine, text

from flowbook.settings import current_settings


def sql(statement: str, **parameters: Any) -> list[Row[Any]]:
    """Run a statement on a connection of its own; returns its rows, which are tuples."""
    with create_engine(current_settings().database_url, poolclass=NullPool).begin() as connection:
        result = connection.execute(text(statement), parameters)
        return list(result) if result.returns_rows else []
