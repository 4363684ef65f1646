"""The writer: what is acknowledged is committed, nothing is lost or reordered, and failures are told."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.sql import sql

from flowbook import flow, task
from flowbook.core.events import Event
from flowbook.errors import NotFound, StoreError
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.states import State, StateType
from flowbook.store.database import Database
from flowbook.store.events import events_of
from flowbook.store.journal import Journal

pytestmark = pytest.mark.usefixtures("store_url")


@task
def double(x: int) -> int:
    return 2 * x


@contextmanager
def journal_at(url: str) -> Iterator[tuple[Database, Journal]]:
    database = Database(url)
    journal = Journal(database)
    try:
        yield database, journal
    finally:
        journal.close()
        database.close()


def log(run_id: str, n: int) -> Event:
    return Event(kind="log", time=float(n), flow_run_id=run_id, data={"level": "INFO", "message": str(n)})


def test_a_flow_call_returns_after_its_commit() -> None:
    @flow
    def pipeline() -> list[int]:
        return [double(1), double.submit(2).result()]

    for number in range(1, 11):
        pipeline()
        assert sql("SELECT number, flow, state_name FROM flow_run ORDER BY number DESC LIMIT 1") == [
            (number, "pipeline", "Completed")
        ]
        assert sql("SELECT count(*) FROM task_run WHERE state_name = 'Completed'") == [(2 * number,)]


def test_a_failed_flow_call_raises_after_its_commit() -> None:
    @flow
    def pipeline() -> None:
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        pipeline()
    assert sql("SELECT state_name, state_message FROM flow_run") == [("Failed", "ValueError: bad row")]


def test_a_task_called_by_itself_returns_after_its_commit() -> None:
    assert double(21) == 42
    assert sql("SELECT name, state_name, flow_run_id FROM task_run") == [("double", "Completed", None)]


def test_the_rows_say_when_and_how_often() -> None:
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
    [(created, started, ended, attempts)] = sql("SELECT created, started, ended, attempts FROM task_run")
    assert created <= started <= ended
    assert attempts == 3
    [(parameters, pid, started, ended)] = sql("SELECT parameters, pid, started, ended FROM flow_run")
    assert (json.loads(parameters), pid) == ({"n": 3}, os.getpid())
    assert started <= ended


def test_events_of_many_threads_are_all_there_in_the_order_of_each_run(store_url: str) -> None:
    with journal_at(store_url) as (database, journal):

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


def test_events_are_read_on_from_where_one_was(store_url: str) -> None:
    with journal_at(store_url) as (database, journal):
        for n in range(3):
            journal.append(log("run", n))
        journal.flush()
        seen = events_of(database, "run")
        assert events_of(database, "run", after=seen[-1].seq or 0) == []
        journal.append(log("run", 3))
        journal.append(log("other", 4))
        journal.flush()
        assert [event.data["message"] for event in events_of(database, "run", after=seen[-1].seq or 0)] == ["3"]


def test_events_are_committed_without_anybody_waiting(store_url: str) -> None:
    with journal_at(store_url) as (database, journal):
        journal.append(log("run", 1))
        for _ in range(1000):
            if events_of(database, "run"):
                break
            threading.Event().wait(0.005)
        assert len(events_of(database, "run")) == 1


def test_closing_commits_what_is_left(store_url: str) -> None:
    with journal_at(store_url) as (_, journal):
        for n in range(5000):
            journal.append(log("run", n))
    assert sql("SELECT count(*) FROM event") == [(5000,)]


def test_a_flush_says_that_an_earlier_commit_failed_and_the_next_one_goes_on(store_url: str) -> None:
    missing = "no such table: event" if store_url.startswith("sqlite") else 'relation "event" does not exist'
    with journal_at(store_url) as (database, journal):
        journal.append(log("run", 1))
        journal.flush()
        sql("ALTER TABLE event RENAME TO hidden")
        journal.append(log("run", 2))
        with pytest.raises(StoreError, match=rf"^The record could not be written: {missing}\. What ran"):
            journal.flush()
        sql("ALTER TABLE hidden RENAME TO event")
        journal.append(log("run", 3))
        journal.flush()
        assert [event.data["message"] for event in events_of(database, "run")] == ["1", "3"]


def test_a_flow_whose_record_cannot_be_written_says_so() -> None:
    @flow
    def pipeline() -> int:
        return double(1)

    pipeline()
    sql("DROP TABLE task_run")
    with pytest.raises(StoreError, match="The record could not be written"):
        pipeline()


def test_another_process_that_writes_is_waited_for(store_url: str) -> None:
    double(1)
    other = Database(store_url)
    writing = threading.Thread(target=double, args=(2,))
    with other.write():
        writing.start()
        writing.join(0.3)
        assert writing.is_alive()
    writing.join()
    other.close()
    assert sql("SELECT count(*) FROM task_run") == [(2,)]


@pytest.mark.parametrize(
    "text", ["caf\udce9.csv", "null\0byte", "\U0001f600", "x" * 100_000], ids=["surrogate", "null", "emoji", "long"]
)
def test_no_text_that_user_code_says_breaks_the_record(text: str) -> None:
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
    assert sql("SELECT state_name FROM task_run") == [("Failed",)]
    json.dumps([run.parameters, run.message, run.name], ensure_ascii=False).encode()


LONG = "".join(chr(0x4E00 + 7 * n % 9000) for n in range(5000))  # which no index of PostgreSQL holds, nor can shorten


@pytest.mark.parametrize("name", ["caf\udce9.csv", "null\0byte", LONG], ids=["surrogate", "null", "long"])
def test_no_name_that_user_code_gives_breaks_the_record(name: str) -> None:
    @task(name=name, tags=[name])
    def named(x: str) -> str:
        return x

    @task(task_run_name="{x}")
    def run_named(x: str) -> str:
        return x

    @flow(name=name, flow_run_name="run {x}")
    def pipeline(x: str) -> State:
        named(run_named(x))
        return State(type=StateType.COMPLETED, name=name, message=name)

    assert pipeline(name, return_state=True).is_completed()  # type: ignore[call-arg]
    [run] = recent_runs()
    assert (run.done, run.total) == (2, 2)
    for text in (run.flow, run.name, run.state_name, *(node.name for node in run_view(run.id).nodes.values())):
        assert 0 < len(text) <= 260
        text.encode()
        assert "\0" not in text
    assert find_run(run.name).id == run.id


@pytest.mark.parametrize("text", ["9" * 40, "9" * 15, "\N{SUPERSCRIPT TWO}", "a\0b", "\udce9"], ids=ascii)
def test_no_text_that_is_asked_for_breaks_a_query(text: str) -> None:
    with pytest.raises(NotFound):
        find_run(text)


@pytest.mark.parametrize("number", [10**5000, -(10**30), float("nan"), float("inf")], ids=["huge", "big", "nan", "inf"])
def test_no_number_that_is_a_parameter_breaks_the_record(number: float) -> None:
    @flow
    def pipeline(n: Any) -> bool:
        return bool(n == number or n != n)

    assert pipeline(number)
    assert recent_runs()[0].state_name == "Completed"
