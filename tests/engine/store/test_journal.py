"""The writer: what is acknowledged is committed, nothing is lost or reordered, and failures are told."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowbook import flow, task
from flowbook.core.events import Event
from flowbook.errors import StoreError
from flowbook.runs import recent_runs
from flowbook.store.database import Database
from flowbook.store.events import events_of
from flowbook.store.journal import Journal


@task
def double(x: int) -> int:
    return 2 * x


def rows_of(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What another process would read."""
    with closing(sqlite3.connect(home / "flowbook.db")) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def journal_at(path: Path) -> Iterator[tuple[Database, Journal]]:
    database = Database(f"sqlite:///{path}")
    journal = Journal(database)
    try:
        yield database, journal
    finally:
        journal.close()
        database.close()


def log(run_id: str, n: int) -> Event:
    return Event(kind="log", time=float(n), flow_run_id=run_id, data={"level": "INFO", "message": str(n)})


def test_a_flow_call_returns_after_its_commit(home: Path) -> None:
    @flow
    def pipeline() -> list[int]:
        return [double(1), double.submit(2).result()]

    for number in range(1, 11):
        pipeline()
        assert rows_of(home, "SELECT number, flow, state_name FROM flow_run ORDER BY number DESC LIMIT 1") == [
            (number, "pipeline", "Completed")
        ]
        assert rows_of(home, "SELECT count(*) FROM task_run WHERE state_name = 'Completed'") == [(2 * number,)]


def test_a_failed_flow_call_raises_after_its_commit(home: Path) -> None:
    @flow
    def pipeline() -> None:
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        pipeline()
    assert rows_of(home, "SELECT state_name, state_message FROM flow_run") == [("Failed", "ValueError: bad row")]


def test_a_task_called_by_itself_returns_after_its_commit(home: Path) -> None:
    assert double(21) == 42
    assert rows_of(home, "SELECT name, state_name, flow_run_id FROM task_run") == [("double", "Completed", None)]


def test_the_rows_say_when_and_how_often(home: Path) -> None:
    tries: list[int] = []

    @task(retries=2)
    def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("busy")

    @flow
    def pipeline(n: int) -> None:
        flaky()

    pipeline(3)
    [(created, started, ended, attempts)] = rows_of(home, "SELECT created, started, ended, attempts FROM task_run")
    assert created <= started <= ended
    assert attempts == 3
    [(parameters, pid, started, ended)] = rows_of(home, "SELECT parameters, pid, started, ended FROM flow_run")
    assert (json.loads(parameters), pid) == ({"n": 3}, os.getpid())
    assert started <= ended


def test_events_of_many_threads_are_all_there_in_the_order_of_each_run(tmp_path: Path) -> None:
    with journal_at(tmp_path / "flowbook.db") as (database, journal):

        def write(run_id: str) -> None:
            for n in range(400):
                journal.append(log(run_id, n))
                if n % 150 == 0:
                    journal.flush()

        threads = [threading.Thread(target=write, args=(f"run-{k}",)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal.flush()
        for k in range(8):
            events = events_of(database, f"run-{k}")
            assert [event.data["message"] for event in events] == [str(n) for n in range(400)]
            assert [event.seq for event in events] == sorted(event.seq or 0 for event in events)


def test_events_are_read_on_from_where_one_was(tmp_path: Path) -> None:
    with journal_at(tmp_path / "flowbook.db") as (database, journal):
        for n in range(3):
            journal.append(log("run", n))
        journal.flush()
        seen = events_of(database, "run")
        assert events_of(database, "run", after=seen[-1].seq or 0) == []
        journal.append(log("run", 3))
        journal.append(log("other", 4))
        journal.flush()
        assert [event.data["message"] for event in events_of(database, "run", after=seen[-1].seq or 0)] == ["3"]


def test_events_are_committed_without_anybody_waiting(tmp_path: Path) -> None:
    with journal_at(tmp_path / "flowbook.db") as (database, journal):
        journal.append(log("run", 1))
        for _ in range(1000):
            if events_of(database, "run"):
                break
            threading.Event().wait(0.005)
        assert len(events_of(database, "run")) == 1


def test_closing_commits_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "flowbook.db"
    with journal_at(path) as (_, journal):
        for n in range(5000):
            journal.append(log("run", n))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (5000,)


def test_a_flush_says_that_an_earlier_commit_failed_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "flowbook.db"
    with journal_at(path) as (database, journal):
        journal.append(log("run", 1))
        journal.flush()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE event RENAME TO hidden")
        journal.append(log("run", 2))
        with pytest.raises(StoreError, match=r"^The record could not be written: no such table: event\. What ran"):
            journal.flush()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE hidden RENAME TO event")
        journal.append(log("run", 3))
        journal.flush()
        assert [event.data["message"] for event in events_of(database, "run")] == ["1", "3"]


def test_a_flow_whose_record_cannot_be_written_says_so(home: Path) -> None:
    @flow
    def pipeline() -> int:
        return double(1)

    pipeline()
    with closing(sqlite3.connect(home / "flowbook.db")) as connection:
        connection.execute("DROP TABLE task_run")
    with pytest.raises(StoreError, match="The record could not be written"):
        pipeline()


def test_another_process_that_writes_is_waited_for(home: Path) -> None:
    double(1)
    with closing(sqlite3.connect(home / "flowbook.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        released = threading.Timer(0.3, other.execute, ["COMMIT"])
        released.start()
        assert double(2) == 4
        released.join()
    assert rows_of(home, "SELECT count(*) FROM task_run") == [(2,)]


@pytest.mark.parametrize(
    "text", ["caf\udce9.csv", "null\0byte", "\U0001f600", "x" * 100_000], ids=["surrogate", "null", "emoji", "long"]
)
def test_no_text_that_user_code_says_breaks_the_record(home: Path, text: str) -> None:
    @task(log_prints=True)
    def say() -> None:
        print(text)
        raise ValueError(text)

    @flow
    def pipeline(name: str) -> None:
        say()

    state = pipeline(text, return_state=True)  # type: ignore[call-arg]
    assert state.is_failed()
    [run] = recent_runs()
    assert run.state_name == "Failed"
    assert run.message is not None
    assert run.message.startswith("ValueError: ")
    assert rows_of(home, "SELECT state_name FROM task_run") == [("Failed",)]
    json.dumps([run.parameters, run.message, run.name], ensure_ascii=False).encode()


@pytest.mark.parametrize("number", [10**5000, -(10**30), float("nan"), float("inf")], ids=["huge", "big", "nan", "inf"])
def test_no_number_that_is_a_parameter_breaks_the_record(number: float) -> None:
    @flow
    def pipeline(n: Any) -> bool:
        return bool(n == number or n != n)

    assert pipeline(number)
    assert recent_runs()[0].state_name == "Completed"


def test_files_are_their_owner_s_only(home: Path) -> None:
    double(1)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "flowbook.db").stat().st_mode & 0o777 == 0o600


def test_a_corrupt_file_is_told_and_left_alone(home: Path) -> None:
    home.mkdir()
    path = home / "flowbook.db"
    path.write_bytes(b"this is no database " * 500)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"The database sqlite:.*flowbook\.db cannot be used: file is not a database"):
        double(1)
    assert path.read_bytes() == before


def test_a_home_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWBOOK_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StoreError, match=r"cannot be made: Not a directory\. Set FLOWBOOK_HOME to a folder you can"):
        double(1)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("made", [False, True], ids=["no database yet", "a database"])
def test_a_read_only_folder_is_told(home: Path, made: bool) -> None:
    code = """
        import os, sys
        from flowbook import task

        one = task(lambda: 1)
        one()  # everything is imported now, and another user need not be able to
        os.environ["FLOWBOOK_HOME"] = sys.argv[1]
        if os.geteuid() == 0:
            os.seteuid(65534)
        one()
        """
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders cannot be entered by another user
        target = Path(folder, "home")
        target.mkdir()
        if made:
            database = Database(f"sqlite:///{target / 'flowbook.db'}")
            database.close()
            (target / "flowbook.db").chmod(0o444)
        target.chmod(0o555)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(target)], capture_output=True, text=True, timeout=60
        )
        Path(folder).chmod(0o755)
        target.chmod(0o755)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("flowbook.errors.StoreError: The database ")
    assert ("Check that its folder is writable" if made else "Set FLOWBOOK_HOME to a folder you can write to") in said
