"""Checkpoints: made by one process at a time where SQLite's own are not safe, and the log stays short."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from flowbook.store.checkpoint import Checkpointer
from flowbook.store.database import Database

MIB = 1 << 20
LOG = 6 * MIB  # bytes that the log may have, with what comes while a checkpoint is made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flowbook.db"


@pytest.fixture
def database(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database whose SQLite cannot be trusted with checkpoints."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


def write(database: Database, mib: int) -> None:
    for _ in range(4 * mib):
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO event (time, kind, data) VALUES (0, 'log', ?)", ("x" * (MIB // 4),))


def log_size(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        count: int = connection.execute("SELECT count(*) FROM event").fetchone()[0]
        return count


def test_the_log_stays_short(database: Database, path: Path) -> None:
    sizes = []
    for _ in range(20):
        write(database, 1)
        sizes.append(log_size(path))
    assert max(sizes) < LOG
    assert path.stat().st_size > 10 * MIB
    assert rows(path) == 80


@pytest.mark.parametrize(("version", "pages"), [((3, 51, 2), 0), ((3, 51, 3), 1000)], ids=["old", "new"])
def test_sqlite_makes_its_own_checkpoints_where_it_can_be_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], pages: int
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == pages
    database.close()


def test_nobody_makes_one_while_another_process_does(database: Database, path: Path) -> None:
    descriptor = os.open(f"{path}-checkpoint", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    write(database, 10)
    assert log_size(path) > 10 * MIB
    os.close(descriptor)
    write(database, 1)
    assert log_size(path) < LOG


def test_nobody_commits_while_one_is_made(database: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []

    class Asking(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if "wal_checkpoint" in sql:
                with closing(connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError) as raised:
                    other.execute("BEGIN IMMEDIATE")
                answers.append(str(raised.value))
            return super().execute(sql, *args)  # type: ignore[arg-type]

    connect = sqlite3.connect
    monkeypatch.setattr(
        "flowbook.store.checkpoint.sqlite3.connect", lambda *args, **kwargs: connect(*args, **kwargs, factory=Asking)
    )
    Path(f"{path}-wal").touch()
    Checkpointer(path)._checkpoint()
    assert answers == ["database is locked"]


def test_a_reader_that_takes_its_time_sees_its_moment_and_the_log_shrinks_after_it(
    database: Database, path: Path
) -> None:
    write(database, 1)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 4
        write(database, 12)
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 4
        assert log_size(path) > 12 * MIB
    write(database, 3)
    assert log_size(path) < LOG
    assert rows(path) == 64


@pytest.mark.parametrize("what", [OSError("no locks here"), sqlite3.OperationalError("database is locked")], ids=str)
def test_one_that_fails_fails_no_write(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch, what: Exception
) -> None:
    tried: list[int] = []

    def fail(self: Checkpointer) -> None:
        tried.append(1)
        raise what

    monkeypatch.setattr(Checkpointer, "_checkpoint", fail)
    write(database, 6)
    assert tried
    assert rows(path) == 24


def test_the_lock_file_is_its_owner_s_only(database: Database, path: Path) -> None:
    write(database, 5)
    assert Path(f"{path}-checkpoint").stat().st_mode & 0o777 == 0o600


def test_a_commit_after_which_there_is_nothing_to_do_takes_no_lock(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, 1)
    taken: list[object] = []
    monkeypatch.setattr("flowbook.store.checkpoint._locked", taken.append)
    Checkpointer(path).after_commit()
    assert taken == []


WRITERS = """
import os, sys, time
import sqlalchemy.dialects.sqlite
import flowbook.store.schema
from flowbook.store.database import Database
from flowbook.store.events import events_of

def write():
    database = Database(sys.argv[1])
    until, count = time.monotonic() + 2, 0
    while time.monotonic() < until:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO event (time, kind, data) VALUES (0, 'log', ?)", ("x" * 10_000,))
        events_of(database, "none")
        count += 1
    database.close()
    os.write(1, f"{count}\\n".encode())

for _ in range(16):
    if os.fork() == 0:
        status = 1
        try:
            write()
            status = 0
        finally:
            os._exit(status)
sys.exit(sum(os.wait()[1] != 0 for _ in range(16)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, so that the modules are imported once")
def test_sixteen_processes_that_write_at_the_same_time_all_succeed(path: Path) -> None:
    arguments = [sys.executable, "-c", WRITERS, f"sqlite:///{path}"]
    writers = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    largest = 0
    while writers.poll() is None:
        with suppress(FileNotFoundError):
            largest = max(largest, log_size(path))
        with suppress(subprocess.TimeoutExpired):
            writers.wait(0.01)
    said, wrong = writers.communicate()
    counts = [int(line) for line in said.splitlines()]
    assert (writers.returncode, wrong, len(counts)) == (0, "", 16)
    assert min(counts) > 0
    assert rows(path) == sum(counts)
    assert LOG / 4 < largest < 4 * LOG
