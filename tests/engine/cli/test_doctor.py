"""``flowbook doctor``: what is wrong, and what to do; it works when nothing else does, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowbook import flow, task
from flowbook.cache_policies import INPUTS
from flowbook.cli.root import root
from flowbook.engine import close_engines, engine
from flowbook.store.doctor import CHECKS
from flowbook.store.schema import REVISION

needs_permissions = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")


@task(cache_policy=INPUTS, persist_result=True)
def big(n: int) -> bytes:
    return bytes(10_000 * n)


@flow
def pipeline(n: int) -> int:
    return len(big(n))


def doctor(*args: str) -> Result:
    return CliRunner().invoke(root, ["doctor", *args], prog_name="flowbook")


def findings() -> dict[str, dict[str, Any]]:
    """What it finds, by title."""
    found = json.loads(doctor("--output", "json").output)
    return {finding["title"]: finding for finding in found}


def wrong() -> dict[str, str]:
    """The levels of what is not well."""
    return {title: finding["level"] for title, finding in findings().items() if finding["level"] != "ok"}


@pytest.fixture
def path(home: Path) -> Path:
    """The database of a home in which something ran, and that nobody has open."""
    pipeline(1)
    close_engines()
    return home / "flowbook.db"


def state(folder: Path) -> dict[str, tuple[float, bytes]]:
    return {
        str(path): (path.stat().st_mtime, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")
    }


def test_where_all_is_well_it_says_so_and_leaves_no_trace(home: Path, path: Path) -> None:
    before = state(home)
    answer = doctor()
    assert answer.exit_code == 0, answer.output
    lines = answer.output.splitlines()
    assert len(lines) == len(CHECKS) + 2, "nothing was left out"
    assert all(line.startswith("ok  ") for line in lines[:-2])
    assert lines[-1] == "All is well."
    assert state(home) == before


def test_before_anything_ran_all_is_well_and_nothing_is_made(home: Path) -> None:
    answer = doctor()
    assert (answer.exit_code, answer.output.splitlines()[-1]) == (0, "All is well.")
    assert not home.exists()


def test_a_database_in_use_is_checked_as_well(home: Path) -> None:
    pipeline(1)
    assert wrong() == {}
    pipeline(2)


def break_header(path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def damage_page(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
    content = path.read_bytes()
    path.write_bytes(content[: (page - 1) * 4096] + b"\xff" * 4096 + content[page * 4096 :])


@pytest.mark.parametrize(
    ("damage", "titles"),
    [
        (break_header, {"Database", "Integrity"}),
        (truncate, {"Database", "Integrity"}),
        (damage_page, {"Integrity"}),
    ],
)
def test_a_damaged_database_is_a_problem(
    home: Path, path: Path, damage: Callable[[Path], None], titles: set[str]
) -> None:
    damage(path)
    before = state(home)
    answer = doctor()
    assert answer.exit_code == 1
    assert state(home) == before
    found = findings()
    assert {title for title, level in wrong().items() if level == "problem"} >= titles
    assert "flowbook backup --help" in found["Integrity"]["advice"]
    advised = [line for line in answer.output.splitlines() if line.lstrip().startswith("-> ")]
    assert len(advised) == len(wrong())


def test_a_folder_in_place_of_the_database_is_a_problem(home: Path) -> None:
    (home / "flowbook.db").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    assert findings()["Database"]["found"] == f"{home}/flowbook.db is a folder."


def test_a_newer_and_an_older_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert findings()["Database"]["advice"] == "Upgrade flowbook."
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert wrong() == {}


def test_tables_of_another_program_are_a_problem(home: Path) -> None:
    home.mkdir(mode=0o700)
    with closing(sqlite3.connect(home / "flowbook.db")) as connection, connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    assert findings()["Database"]["level"] == "problem"


@needs_permissions
def test_what_others_can_open_is_told(home: Path, path: Path) -> None:
    home.chmod(0o755)
    assert wrong() == {"Home folder": "warning"}
    assert findings()["Home folder"]["advice"].startswith(f"Run `chmod 700 {home}`: ")
    home.chmod(0o700)
    (home / "key").chmod(0o644)
    assert wrong() == {"Private files": "problem"}
    assert findings()["Private files"]["advice"] == f"Run `chmod 600 {home}/key`."


def test_a_home_that_is_a_file_is_a_problem(home: Path) -> None:
    home.write_text("mine")
    answer = doctor()
    assert answer.exit_code == 1
    assert f"{home} is a file." in answer.output
    assert "Traceback" not in answer.output


@needs_permissions
def test_what_cannot_be_written_to_is_a_problem(home: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def writable(wanted: Path, mode: int, **_: Any) -> bool:  # root, who may run the tests, may write to everything
        return not mode & os.W_OK or bool(wanted.stat().st_mode & 0o200)

    monkeypatch.setattr(os, "access", writable)
    path.chmod(0o400)
    assert findings()["Database"]["advice"] == f"Run `chmod u+w {path}` as its owner."
    assert wrong() == {"Database": "problem"}
    path.chmod(0o600)
    home.chmod(0o500)
    assert wrong() == {"Home folder": "problem"}
    home.chmod(0o700)
    assert wrong() == {}


def test_little_space_is_a_warning_and_hardly_any_a_problem(home: Path, path: Path, monkeypatch: Any) -> None:
    usage = namedtuple("usage", "total used free")
    for free, level in ((2 << 30, "ok"), (500 << 20, "warning"), (50 << 20, "problem")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(0, 0, free))
        assert findings()["Free space"]["level"] == level
    assert findings()["Free space"]["found"] == f"50.0 MiB are free in {home}."


def test_a_network_file_system_is_a_problem(home: Path, path: Path, monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(f"27 1 254:0 / {home.resolve()} rw - nfs4 files:/ rw\n")
    monkeypatch.setattr("flowbook.store.mounts._MOUNTS", tmp_path / "mounts")
    assert wrong() == {"File system": "problem"}


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        ("3.34.1", "problem", "It is version 3.34.1; flowbook needs 3.35.0."),
        ("3.40.1", "ok", "It is version 3.40.1, older than 3.51.3, so one process at a time makes checkpoints."),
        ("3.51.3", "ok", "It is version 3.51.3."),
    ],
)
def test_versions_of_sqlite(monkeypatch: Any, version: str, level: str, said: str) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", version)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", tuple(map(int, version.split("."))))
    found = findings()["SQLite"]
    assert (found["level"], found["found"]) == (level, said)


def test_a_long_log_is_a_warning(path: Path) -> None:
    with Path(f"{path}-wal").open("wb") as log:
        log.truncate(70 << 20)
    assert findings()["Write-ahead log"]["level"] == "warning"


def test_a_damaged_key_is_a_problem(home: Path, path: Path) -> None:
    (home / "key").write_bytes(b"short")
    assert findings()["Signing key"]["found"] == f"{home}/key is damaged."


def test_old_temporary_files_are_a_warning_and_new_ones_are_not(home: Path, path: Path) -> None:
    left = home / "results" / ".x.pickle.0123abcd"
    left.write_bytes(b"half a result")
    assert wrong() == {}
    hours_ago = time.time() - 7200
    os.utime(left, (hours_ago, hours_ago))
    assert wrong() == {"Temporary files": "warning"}
    assert f"1 left by processes that were killed as they wrote (13 bytes), such as {left}." in doctor().output
    command = findings()["Temporary files"]["advice"].partition(": ")[2]
    subprocess.run(command, shell=True, check=True)
    assert not left.exists()
    assert wrong() == {}


@pytest.mark.slow
def test_a_run_that_has_lost_its_process_is_a_warning(home: Path, path: Path) -> None:
    code = """
import os
from flowbook import flow
from flowbook.engine import engine

@flow
def lost():
    engine().journal.flush()
    os._exit(1)

lost()
"""
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=60)
    found = findings()["Unfinished runs"]
    assert (found["level"], found["found"]) == ("warning", "1 whose process has gone: 2 (lost).")
    CliRunner().invoke(root, ["runs", "ls"])
    assert wrong() == {}


def test_a_run_under_way_is_fine() -> None:
    found: list[dict[str, Any]] = []

    @flow
    def looking() -> None:
        engine().journal.flush()
        found.append(findings()["Unfinished runs"])

    looking()
    assert [(one["level"], one["found"]) for one in found] == [("ok", "1, each with a process that lives.")]


def test_a_missing_result_is_a_warning(home: Path, path: Path) -> None:
    [file] = [path for path in (home / "results").rglob("*") if path.is_file()]
    file.unlink()
    found = findings()["Result files"]
    assert (found["level"], found["found"]) == ("warning", f"1 of 1 missing: {file.relative_to(home)}.")


def test_a_url_that_cannot_be_read_is_told_once_and_without_its_password(monkeypatch: Any) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", "postgresql+psycopg://me:hun@ter2@host/db")
    answer = doctor()
    assert answer.exit_code == 1
    assert answer.output.count("FLOWBOOK_DATABASE_URL cannot be read.") == 1
    assert "ter2" not in answer.output


def test_a_server_out_of_reach_is_a_problem(monkeypatch: Any) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", "postgresql+psycopg://me:hunter2@127.0.0.1:1/db")
    assert doctor().exit_code == 1
    found = findings()["Database"]
    assert found["found"].startswith("postgresql+psycopg://me:***@127.0.0.1:1/db cannot be opened: ")
    assert "hunter2" not in doctor().output


@pytest.mark.slow
def test_a_database_of_postgresql_is_checked(postgres_url: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", postgres_url)
    assert findings()["Database"]["found"].startswith("There is none yet; ")
    assert wrong() == {}
    pipeline(1)
    assert findings()["Database"]["found"].endswith(" can be opened; its schema is " + REVISION + ".")
    assert findings()["Result files"]["found"] == "All 1 are there."
    assert wrong() == {}
