"""Databases that cannot be opened or used: one sentence says what, where and what to do, and nothing is overwritten."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flowbook import flow, task
from flowbook.engine import close_engines
from flowbook.errors import StoreError
from flowbook.runs import recent_runs
from flowbook.store.database import Database
from flowbook.store.urls import parse_url, shown


@task
def one() -> int:
    return 1


@flow
def pipeline(n: int) -> int:
    return one()


def refusal(attempt: Callable[[], object] = one) -> str:
    """The sentence that is raised."""
    with pytest.raises(StoreError) as raised:
        attempt()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def path(home: Path) -> Path:
    """The file of a database with five runs that nobody has open."""
    for n in range(5):
        pipeline(n)
    close_engines()
    return home / "flowbook.db"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: b"garbage " * 2 + content[16:], "file is not a database"),
        (lambda content: os.urandom(16) * 500, "file is not a database"),
        (lambda content: content[:10], "file is not a database"),
        (lambda content: content[:50], "database disk image is malformed"),
        (lambda content: content[:4096], "database disk image is malformed"),
        (lambda content: content[: len(content) // 2], "database disk image is malformed"),
        (lambda content: content[:100] + b"\xff" * 3996 + content[4096:], "database disk image is malformed"),
    ],
    ids=["header", "noise", "10 bytes", "50 bytes", "one page", "half", "first page"],
)
def test_a_damaged_file_is_told_and_left_alone(path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    said = refusal()
    assert re.fullmatch(
        rf"The database sqlite:///{path} cannot be used: {reason}\. Nothing was overwritten\. `flowbook doctor` checks "
        r"the file; put a backup in its place \(`flowbook backup --help`\), or move it away to begin anew\.",
        said,
    )
    assert path.read_bytes() == before


def test_a_damaged_page_in_the_middle_is_told_when_it_is_read_or_written(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'flow_run'"
        (page,) = connection.execute(query).fetchone()
    content = path.read_bytes()
    path.write_bytes(content[: (page - 1) * 4096] + os.urandom(4096) + content[page * 4096 :])
    before = path.read_bytes()
    malformed = (
        f"The database sqlite:///{path} cannot be used: database disk image is malformed. Nothing was overwritten."
    )
    assert refusal(recent_runs).startswith(malformed)
    said = refusal(lambda: pipeline(6))
    assert said.startswith(f"The record could not be written: {malformed}")
    assert said.endswith("begin anew. What ran since then is not in the history.")
    close_engines()
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_database(home: Path) -> None:
    home.mkdir()
    (home / "flowbook.db").touch()
    assert one() == 1


def test_a_folder_in_its_place_is_told(home: Path) -> None:
    (home / "flowbook.db").mkdir(parents=True)
    (home / "flowbook.db" / "thesis.txt").write_text("mine")
    assert refusal() == (
        f"The database file {home}/flowbook.db cannot be used: there is a folder of that name. "
        "Move it away, or set FLOWBOOK_HOME to another folder."
    )
    assert (home / "flowbook.db" / "thesis.txt").read_text() == "mine"


def test_another_program_s_tables_are_told_and_left_alone(home: Path) -> None:
    home.mkdir()
    path = home / "flowbook.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, title TEXT)")
        connection.execute("INSERT INTO event (title) VALUES ('a concert')")
    said = refusal()
    assert said.startswith(f"The database sqlite:///{path} has a table 'event' that is not flowbook's. ")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("event",)]


def test_a_newer_database_is_told_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    assert "was written by a newer flowbook (schema 9999). Upgrade flowbook" in refusal()
    close_engines()
    assert path.read_bytes() == before


def test_a_sqlite_that_is_too_old_is_told_and_nothing_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    assert refusal().startswith("This Python has SQLite 3.34.1, and flowbook needs 3.35.0 or newer. Use a newer Python")
    assert not home.exists()


FULL = """
import os, resource, sys
from flowbook import flow, task
from flowbook.engine import close_engines

@flow
def pipeline(n):
    return n

home = os.environ["FLOWBOOK_HOME"]
os.environ["FLOWBOOK_HOME"] = home + "-other"
pipeline(1)
close_engines()
os.environ["FLOWBOOK_HOME"] = home
{before}
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
for n in range(2, 1000):
    pipeline(n)
    print(n, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no limit to the size of files")
@pytest.mark.parametrize("limit", [0, 5000, 50_000])
def test_a_full_disk_is_told_when_the_database_is_made_and_it_is_made_later(home: Path, limit: int) -> None:
    _, said = outcome(FULL.format(before="", limit=limit))
    assert (
        f"The database sqlite:///{home}/flowbook.db cannot be used: disk I/O error. Check that its disk is not " in said
    )
    pipeline(3)
    assert [run.parameters["n"] for run in recent_runs()] == [3]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no limit to the size of files")
def test_a_full_disk_is_told_when_a_run_is_recorded_and_nothing_is_lost(home: Path) -> None:
    acknowledged, said = outcome(FULL.format(before="pipeline(1)", limit=600_000))
    assert re.search(
        r"could not be written: .*disk I/O error\. Check that its disk is not full, and works; `flow", said
    )
    assert len(acknowledged) > 1
    runs = {run.parameters["n"]: run.state_name for run in recent_runs(1000)}
    assert [runs[n] for n in (1, *acknowledged)] == ["Completed"] * (len(acknowledged) + 1)
    assert set(runs.values()) <= {"Completed", "Crashed"}
    pipeline(1000)
    assert recent_runs()[0].parameters["n"] == 1000


def outcome(code: str) -> tuple[list[int], str]:
    """The numbers that a failing process prints, and the last line that it says on stderr."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    return [int(line) for line in done.stdout.splitlines()], done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "://:hunter2@",
        "postgresql+psycopg://me:hunter2@host:port/db",
        "postgresql+psycopg://me:hun@ter2@host/db",
        "postgresql+psycopg://me:hunter2@[::1/db",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_what_is_in_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", url)
    with pytest.raises(StoreError) as raised:
        one()
    assert str(raised.value) == (
        "FLOWBOOK_DATABASE_URL cannot be read. Write it as postgresql+psycopg://user:password@host/database, with an @ "
        "in the password as %40; without it the database is a file in FLOWBOOK_HOME."
    )
    trace = "".join(traceback.format_exception(raised.value))
    assert "hunter2" not in trace
    assert "ter2" not in trace


@pytest.mark.parametrize("driver", ["postgres", "postgresql", "postgresql+asyncpg", "mysql", "sqlite+aiosqlite", "x+y"])
def test_an_unknown_driver_is_told(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", f"{driver}://me:hunter2@host/db")
    assert refusal() == (
        f"FLOWBOOK_DATABASE_URL begins with {driver}://, which flowbook does not know. "
        "Write it as postgresql+psycopg://user:password@host/database."
    )


def test_a_driver_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", "postgresql+psycopg://me:hunter2@host/db")
    said = refusal()
    assert "pip install 'flowbook[postgres]'" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", ["me:hunter2@127.0.0.1:1/db", "me@127.0.0.1:1/db?password=hunter2"])
def test_a_server_out_of_reach_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", f"postgresql+psycopg://{url}")
    said = refusal()
    assert said.startswith("The database postgresql+psycopg://me:***@127.0.0.1:1/db cannot be ")
    assert "FLOWBOOK_DATABASE_URL" in said
    assert "hunter2" not in said


def test_what_is_shown_of_a_url_holds_no_secret() -> None:
    url = parse_url("postgresql+psycopg://me:hunter2@host/db?sslpassword=hunter2&sslmode=require")
    assert shown(url) == "postgresql+psycopg://me:***@host/db"
    assert shown(parse_url("sqlite:////tmp/flowbook.db")) == "sqlite:////tmp/flowbook.db"


def test_a_database_that_is_refused_is_let_go_of(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError) as raised:  # whose traceback keeps what was made alive
        Database(f"sqlite:///{path}")
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        assert path.resolve() not in {descriptor.resolve() for descriptor in descriptors.iterdir()}
    assert "newer" in str(raised.value)
