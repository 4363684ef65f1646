"""Many rows at once, at a fraction of what SQLAlchemy's own way of writing them costs for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect, Table, Update


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, in the caller's transaction.

    The values go to the driver as they are: for texts, numbers and bytes there is nothing to convert.
    """
    if rows:
        _write(connection, _insertion(connection.dialect, table, tuple(rows[0])), rows)


def update_rows(connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update once for each of `rows`, which hold the bound values of `statement`, in the caller's transaction.

    As with `insert_rows` the values go to the driver as they are.
    """
    if rows:
        _write(connection, _for_driver(statement.compile(dialect=connection.dialect)), rows)


def _write(connection: Connection, prepared: tuple[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    statement, of_row = prepared
    connection.exec_driver_sql(statement, rows if of_row is None else [of_row(row) for row in rows])


@lru_cache(maxsize=64)
def _insertion(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> tuple[str, Any]:
    from sqlalchemy import insert

    return _for_driver(insert(table).compile(dialect=dialect, column_keys=list(columns)))


def _for_driver(compiled: Any) -> tuple[str, Any]:
    """The statement, and what makes of a row the values in its order; None if the driver takes them by name."""
    order = compiled.positiontup
    return str(compiled), itemgetter(*order) if order else None
