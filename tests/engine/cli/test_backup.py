"""``flowbook backup``: one private file, from which an empty home folder is restored."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.conftest import MakeNotebook

from flowbook import flow, task
from flowbook.cache_policies import INPUTS
from flowbook.cli.root import root
from flowbook.engine import close_engines, engine
from flowbook.promote import promote
from flowbook.runs import recent_runs, run_folder
from flowbook.store.backup import back_up
from flowbook.store.deployments import find_deployment, manifest_of
from flowbook.store.snapshots import load_snapshot
from flowbook.store.urls import parse_url

calls: list[int] = []


@task(cache_policy=INPUTS, persist_result=True)
def big(n: int) -> bytes:
    calls.append(n)
    return bytes(range(256)) * 100 * n


@flow
def pipeline(n: int) -> int:
    return len(big(n))


def backup(*args: object) -> Result:
    return CliRunner().invoke(root, ["backup", *map(str, args)], prog_name="flowbook")


def unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as file:
        return file.getnames()


def snapshot_of(deployment: str) -> bytes:
    """What the newest version of a deployment runs."""
    database = engine().database
    found = find_deployment(database, deployment)
    return load_snapshot(database, manifest_of(database, found.id, found.version)["snapshot"])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar.gz"


def test_a_restored_home_lists_the_runs_and_loads_the_results(
    home: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.clear()
    assert pipeline(3) == 76_800
    run_folder("a-run").mkdir(parents=True)
    (run_folder("a-run") / "output.log").write_text("what it said")
    answer = backup(archive)
    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith(f"{archive} (")
    assert ") has the database and " in answer.output
    assert archive.stat().st_mode & 0o777 == 0o600
    pipeline(4)  # is not in it

    unpack(archive, tmp_path / "restored")
    close_engines()
    for path in sorted(home.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "restored"))
    assert [(run.flow, run.state_name, run.parameters) for run in recent_runs()] == [
        ("pipeline", "Completed", {"n": 3})
    ]
    assert pipeline(3) == 76_800
    assert calls == [3, 4], "the result was loaded, not made again"
    assert (run_folder("a-run") / "output.log").read_text() == "what it said"


def test_a_deployment_and_its_snapshot_are_in_it(
    archive: Path, tmp_path: Path, make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(make_notebook("report", "print(1)"))
    before = snapshot_of("report")
    assert backup(archive).exit_code == 0
    close_engines()
    unpack(archive, tmp_path / "restored")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "restored"))
    assert snapshot_of("report") == before


def test_what_can_be_made_again_links_and_earlier_backups_are_left_out(home: Path, archive: Path) -> None:
    pipeline(1)
    left_out = ("cache/graphviz.module", "environments/e/whole", "results/.x.pickle.0123abcd", "earlier.tar.gz")
    kept = ("runs/x/result.json", "runs/x/.checkpoints/table.csv")
    for name in (*left_out, *kept):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    (home / "runs" / "link").symlink_to("/etc/passwd")
    (home / "runs" / "folder").symlink_to("/etc")
    assert backup(home / "this.tar.gz").exit_code == 0
    found = names(home / "this.tar.gz")
    assert not {*left_out, "cache", "environments", "this.tar.gz", "runs/link", "runs/folder"} & set(found)
    assert {"flowbook.db", "key", "runs/x", *kept} <= set(found)
    assert [name for name in found if "flowbook" in name] == ["flowbook.db"]


def test_a_file_that_is_there_is_only_replaced_when_asked(archive: Path) -> None:
    pipeline(1)
    archive.write_text("my thesis")
    answer = backup(archive)
    assert answer.exit_code == 1
    assert answer.output == (
        f"Error: The file {archive} exists already. Choose another name, or give --force to replace it.\n"
    )
    assert archive.read_text() == "my thesis"
    assert backup(archive, "--force").exit_code == 0
    assert "flowbook.db" in names(archive)


@pytest.mark.parametrize("place", ["none/backup.tar.gz", "home"])
def test_what_cannot_be_done_is_told(tmp_path: Path, place: str) -> None:
    answer = backup(tmp_path / place)
    assert answer.exit_code == 1
    assert answer.output.startswith(
        f"Error: There is no folder {tmp_path}/none to write"
        if "none" in place
        else "Error: There is nothing to back up"
    )


def test_a_damaged_database_is_told_and_no_file_made(home: Path, archive: Path, tmp_path: Path) -> None:
    for n in range(1, 30):
        pipeline(n)
    close_engines()
    content = (home / "flowbook.db").read_bytes()
    (home / "flowbook.db").write_bytes(content[:8192] + os.urandom(40_000) + content[48_192:])
    answer = backup(archive)
    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: The database {home}/flowbook.db cannot be backed up: ")
    assert answer.output.endswith("`flowbook doctor` says more.\n")
    assert {path.name for path in tmp_path.iterdir()} == {home.name}


@pytest.mark.slow
def test_a_full_disk_leaves_no_file(home: Path, archive: Path, tmp_path: Path) -> None:
    pipeline(2)
    (home / "results" / "noise").write_bytes(os.urandom(2_000_000))
    close_engines()
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
    code += "from flowbook.cli import main; main()"
    arguments = [sys.executable, "-c", code, "backup", str(archive)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"Error: The backup {archive} could not be written: File too large.\n"
    assert {path.name for path in tmp_path.iterdir()} == {home.name}


def test_a_database_that_is_written_to_meanwhile_is_copied_as_it_was_at_one_moment(home: Path, archive: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        # Each run adds to three tables, so that a copy of different moments would not fit together.
        while not stop.is_set():
            pipeline(1)

    pipeline(1)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            made = back_up(home, parse_url(f"sqlite:///{home}/flowbook.db"), archive, replace=number > 0)
            assert made.has_database
            unpack(archive, archive.with_name(f"restored-{number}"))
    finally:
        stop.set()
        thread.join()
    for number in range(5):
        with closing(sqlite3.connect(archive.with_name(f"restored-{number}") / "flowbook.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            made_events = "SELECT count(*) FROM event WHERE kind = 'flow-run'"
            assert (
                connection.execute(made_events).fetchone()
                == connection.execute("SELECT count(*) FROM flow_run").fetchone()
            )


def test_with_postgresql_the_files_are_backed_up_and_pg_dump_is_named(
    home: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(2)
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", "postgresql+psycopg://me:hunter2@host/db")
    answer = backup(archive)
    assert answer.exit_code == 0, answer.output
    assert "the database and" not in answer.output
    assert answer.output.endswith("The history is in PostgreSQL and not in this file: back it up with pg_dump.\n")
    assert "key" in names(archive)


def test_a_database_outside_of_the_home_folder_is_restored_into_it(
    home: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.db")
    pipeline(2)
    assert backup(archive).exit_code == 0
    close_engines()
    monkeypatch.delenv("FLOWBOOK_DATABASE_URL")
    unpack(archive, tmp_path / "restored")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "restored"))
    assert [run.parameters for run in recent_runs()] == [{"n": 2}]
