"""Transactions: what completed inside is committed in order, or rolled back the last first."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook import Task, flow, task, transaction
from flowbook.errors import MissingContextError, UsageError
from flowbook.transactions import Transaction, get_transaction


@pytest.fixture
def done() -> list[str]:
    """What tasks and their hooks did."""
    return []


def step(done: list[str], name: str, *, fails: bool = False) -> Task[..., None]:
    @task(name=name)
    def work(*_: Any) -> None:
        if fails:
            raise OSError(name)
        done.append(name)

    work.on_commit(lambda transaction: done.append(f"commit {name}"))
    work.on_rollback(lambda transaction: done.append(f"undo {name}"))
    return work


def test_hooks_are_called_at_the_end_of_the_block(done: list[str]) -> None:
    @flow
    def pipeline() -> None:
        with transaction():
            step(done, "a")()
            step(done, "b")()
            done.append("end")

    pipeline()
    assert done == ["a", "b", "end", "commit a", "commit b"]


def test_a_failure_rolls_back_what_has_completed_the_last_first(done: list[str]) -> None:
    @flow
    def pipeline() -> None:
        with transaction():
            step(done, "a")()
            step(done, "b")()
            step(done, "c", fails=True)()

    with pytest.raises(OSError, match="c"):
        pipeline()
    assert done == ["a", "b", "undo b", "undo a"]


def test_submitted_tasks_belong_to_the_transaction_they_were_submitted_in(done: list[str]) -> None:
    @flow
    def pipeline() -> None:
        with transaction():
            first = step(done, "a").submit()
            step(done, "b").submit(first).result()

    pipeline()
    assert done == ["a", "b", "commit a", "commit b"]


def test_a_task_outside_commits_at_once_and_nothing_is_undone(done: list[str]) -> None:
    step(done, "a")()
    with pytest.raises(OSError, match="b"):
        step(done, "b", fails=True)()
    assert done == ["a", "commit a"]


def test_an_inner_transaction_waits_for_the_outer_one(done: list[str]) -> None:
    def body(fails: bool) -> None:
        with transaction() as outer:
            outer.set("table", "orders")
            with transaction() as inner:
                step(done, "a")()
                assert inner.get("table") == "orders"
            assert inner.is_committed()
            done.append("between")
            step(done, "b", fails=fails)()

    flow(body)(False)
    assert done == ["a", "between", "b", "commit a", "commit b"]
    done.clear()
    with pytest.raises(OSError, match="b"):
        flow(body)(True)
    assert done == ["a", "between", "undo a"]


def test_values_reach_the_hooks() -> None:
    removed: list[str] = []

    @task
    def write(path: str) -> str:
        get_transaction().set("path", path)
        return path

    @write.on_rollback
    def remove(transaction: Transaction) -> None:
        removed.append(transaction.get("path"))

    @flow
    def pipeline() -> None:
        with transaction() as opened:
            write("/tmp/x")
            assert opened.get("missing", None) is None
            with pytest.raises(UsageError, match="holds no value 'missing'"):
                opened.get("missing")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        pipeline()
    assert removed == ["/tmp/x"]


def test_a_hook_that_fails_does_not_keep_the_others(done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def broken(transaction: Transaction) -> None:
        raise RuntimeError("hook of mine")

    @flow
    def pipeline() -> None:
        with transaction():
            step(done, "a")()
            work = step(done, "b")
            work.on_rollback(broken)
            work()
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        pipeline()
    assert done == ["a", "b", "undo b", "undo a"]
    assert "The transaction hook 'broken' failed" in capsys.readouterr().err


def test_a_key_remembers_that_it_was_committed(done: list[str]) -> None:
    def run(**options: Any) -> None:
        with transaction(key="load-2024-01-15", **options) as opened:
            if not opened.is_committed():
                step(done, "a")()

    with pytest.raises(OSError, match="disk"), transaction(key="load-2024-01-15"):
        raise OSError("disk")
    run()
    run()
    assert done == ["a", "commit a"]
    run(overwrite=True)
    assert done == ["a", "commit a", "a", "commit a"]


def test_there_is_no_transaction_outside() -> None:
    with pytest.raises(MissingContextError, match="inside of `with transaction"):
        get_transaction()
