"""A database that another process holds: it is waited for, and if in vain, that is told in a sentence."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowbook import task
from flowbook.engine import close_engines, engine
from flowbook.errors import StoreError
from flowbook.store.database import Database

Hold = Callable[[], "subprocess.Popen[str]"]

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
input()
connection.execute("COMMIT")
"""


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database for whose lock SQLite itself waits shortly."""
    monkeypatch.setattr("flowbook.store.sqlite._BUSY_SECONDS", 0.02)
    yield engine().database
    close_engines()


@pytest.fixture
def hold(database: Database) -> Iterator[Hold]:
    """Starts a process that holds the lock of the database, until it reads a line."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", HOLDER, str(database.url.database)]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def release(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_another_process_is_waited_for_longer_than_sqlite_waits(database: Database, hold: Hold) -> None:
    process = hold()
    threading.Timer(0.5, release, [process]).start()
    began = time.monotonic()
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO event (time, kind, data) VALUES (0, 'log', '{}')")
    assert time.monotonic() - began > 0.4
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 1


def test_reading_needs_no_lock(database: Database, hold: Hold) -> None:
    hold()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 0


def test_a_lock_that_is_never_released_is_told(database: Database, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    process = hold()
    monkeypatch.setattr("flowbook.store.locked.PATIENCE", 0.2)
    said = r"^The database sqlite:.*flowbook\.db cannot be written: another program has held its lock for .* seconds\."
    with pytest.raises(StoreError, match=said) as raised, database.write():
        pass
    assert "database is locked" not in str(raised.value)
    release(process)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM event")


def test_a_run_that_cannot_be_recorded_for_it_says_so(
    database: Database, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = hold()
    monkeypatch.setattr("flowbook.store.locked.PATIENCE", 0.2)
    with pytest.raises(StoreError, match=r"^The record could not be written: The database .* and try again\. What ran"):
        task(lambda: 1, name="one")()
    release(process)
    assert task(lambda: 1, name="one")() == 1
