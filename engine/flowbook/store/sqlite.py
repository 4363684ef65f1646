"""SQLite: how its connections are made, and how their transactions begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from flowbook.store.checkpoint import checkpointer_of
from flowbook.store.locked import patiently
from flowbook.store.sqlite_file import prepare
from flowbook.store.telling import told
from flowbook.store.urls import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

    from flowbook.store.checkpoint import Checkpointer

_BUSY_SECONDS = 30  # that SQLite waits for a lock


class Sqlite:
    """The connections of this process to one SQLite database, whose file is made if it is not there."""

    def __init__(self, url: URL) -> None:
        file = sqlite_file(url)
        if file is not None:
            prepare(file)
        self._url = url
        self._checkpointer = checkpointer_of(file)
        self.engine = _engine(url, self._checkpointer)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        try:
            with self.engine.connect() as connection, connection.begin():
                yield connection
        except Exception as error:
            self._tell(error)
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its beginning, so that it cannot fail half-way for a lock."""
        try:
            with self.engine.connect().execution_options(flowbook_write=True) as connection, connection.begin():
                yield connection
        except Exception as error:
            self._tell(error)
            raise
        if self._checkpointer is not None:
            self._checkpointer.after_commit()

    def _tell(self, error: Exception) -> None:
        if (sentence := told(self._url, error)) is not None:
            raise sentence from error


def _engine(url: URL, checkpointer: Checkpointer | None) -> Engine:
    from sqlalchemy import create_engine, event

    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _configure)
    if checkpointer is not None:
        event.listen(engine, "connect", checkpointer.configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, see below
    with closing(connection.cursor()) as cursor:
        # of several processes that make a new database, SQLite does not let the later ones wait for this
        patiently(lambda: cursor.execute("PRAGMA journal_mode = WAL"))
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("flowbook_write", False):
        patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        connection.exec_driver_sql("BEGIN")
