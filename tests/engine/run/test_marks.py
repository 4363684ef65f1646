"""What calls can say besides their arguments: tags, names of runs, allowed failures, quoted values, states."""

from __future__ import annotations

import json
import threading
import time
from datetime import date
from typing import Any

import pytest
from tests.waiting import WITHIN

from flowbook import allow_failure, flow, get_run_logger, quote, tags, task, unmapped
from flowbook.engine import engine
from flowbook.errors import FailedRun, MissingContextError, UpstreamTaskError, UsageError
from flowbook.runs import run_view
from flowbook.runtime import deployment, flow_run, task_run
from flowbook.states import Cancelled, Completed, Failed, Running


@task
def fails(message: str = "no such file") -> None:
    raise ValueError(message)


@task
def show(value: Any) -> Any:
    return value


def rows(table: str) -> list[Any]:
    engine().journal.flush()
    with engine().database.read() as connection:
        return list(connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY created"))


def names() -> list[str]:
    return [node.name for node in run_view("last").nodes.values()]


# --- tags -------------------------------------------------------------------------------------------------------------


def test_tags_of_the_task_and_of_the_block_are_those_of_the_run() -> None:
    seen: list[Any] = []

    @task(tags=["db"])
    def load() -> None:
        seen.append((task_run.tags, flow_run.tags))

    @flow
    def report() -> None:
        load()
        with tags("slow", "eu") as inside:
            assert inside == {"nightly", "slow", "eu"}
            load()
            load.submit().result()

    with tags("nightly"):
        report()
    assert seen[0] == (["db", "nightly"], ["nightly"])
    assert seen[1] == seen[2] == (["db", "eu", "nightly", "slow"], ["nightly"])
    assert [json.loads(row.tags) for row in rows("flow_run")] == [["nightly"]]
    assert [json.loads(row.tags) for row in rows("task_run")][1] == ["db", "eu", "nightly", "slow"]


def test_one_string_for_tags_is_refused() -> None:
    with pytest.raises(UsageError, match=r"tags is 'db'; give a list of strings, such as \['db'\]"):
        task(tags="db")(lambda: 1)


# --- names of runs ----------------------------------------------------------------------------------------------------


def test_a_template_names_the_task_run_from_its_arguments() -> None:
    @task(task_run_name="load-{table}-of-{day:%Y-%m-%d}")
    def load(table: str, day: date = date(2024, 1, 15)) -> str:
        assert task_run.name == f"load-{table}-of-2024-01-15"
        return table

    @flow
    def report() -> None:
        load("orders")
        load.submit(show.submit("customers")).result()

    report()
    assert names() == ["load-orders-of-2024-01-15", "show", "load-customers-of-2024-01-15"]
    assert [row.name for row in rows("task_run")] == names()


@pytest.mark.parametrize("takes_parameters", [True, False])
def test_a_function_names_the_task_run(takes_parameters: bool) -> None:
    def with_parameters(parameters: dict[str, Any]) -> str:
        return f"n={parameters['n']}"

    def without() -> str:
        return f"n={task_run.parameters['n']}"

    @task(task_run_name=with_parameters if takes_parameters else without)
    def load(n: int) -> None: ...

    @flow
    def report() -> None:
        load(3)

    report()
    assert names() == ["n=3"]


def test_a_name_that_cannot_be_made_fails_the_run_and_says_why() -> None:
    @task(task_run_name="load-{tabel}")
    def load(table: str) -> None: ...

    with pytest.raises(UsageError, match=r"task_run_name of task 'load' is 'load-\{tabel\}'.* It may name 'table'"):
        load("orders")


# --- allowed failures, quoted values ----------------------------------------------------------------------------------


def test_a_task_that_allows_failure_is_given_the_exception() -> None:
    @flow
    def report() -> tuple[Any, Any]:
        failed, done = fails.submit(), show.submit(1)
        both: list[Any] = show.submit(allow_failure([failed, done])).result()
        return show(allow_failure(failed)), both

    alone, (error, value) = report()
    assert repr(alone) == repr(error) == "ValueError('no such file')"
    assert value == 1


def test_without_allowance_the_task_does_not_run() -> None:
    @flow
    def report() -> None:
        show.submit(fails.submit()).result()

    with pytest.raises(UpstreamTaskError, match="'fails', which is Failed: ValueError: no such file"):
        report()


def test_waiting_for_a_failure_that_is_allowed() -> None:
    @flow
    def report() -> Any:
        failed = fails.submit()
        with pytest.raises(UpstreamTaskError):
            show.submit(1, wait_for=[failed]).result()
        return show.submit(1, wait_for=[allow_failure(failed)]).result(), show(2, wait_for=[allow_failure(failed)])

    assert report() == (1, 2)
    view = run_view("last")
    first, *others = view.nodes.values()
    assert all(node.upstream == (first.id,) for node in others)


def test_allowed_failures_are_mapped() -> None:
    @flow
    def report() -> list[Any]:
        futures = [fails.submit("a"), show.submit("b")]
        found: list[Any] = show.map(allow_failure(futures)).result()
        return found

    error, value = report()
    assert (repr(error), value) == ("ValueError('a')", "b")


def test_a_quoted_value_is_passed_on_without_a_look() -> None:
    class Jealous(list[Any]):
        """A list that nobody may look into."""

        def __iter__(self) -> Any:
            raise AssertionError("somebody looked")

    @task
    def count(values: Any) -> int:
        return len(values)

    @flow
    def report() -> int:
        return count(quote([Jealous()])) + count.submit(quote(Jealous([1]))).result()

    assert report() == 2


def test_big_plain_lists_are_passed_over_quickly() -> None:
    numbers = list(range(3_000_000))
    begun = time.process_time()
    engine()
    show(numbers)
    plain = time.process_time() - begun
    begun = time.process_time()
    _ = [n is None for n in numbers]
    assert plain < 20 * (time.process_time() - begun) + 0.5


def test_unmapped_and_quoted_values_are_the_same_for_all() -> None:
    @task
    def add(x: int, many: list[int], few: list[int]) -> int:
        return x + len(many) + len(few)

    assert add.map([1, 2], unmapped([1]), quote([1, 2])).result() == [4, 5]


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_returned_state_is_the_final_state() -> None:
    @task
    def check(rows: int) -> Any:
        return Completed(message="nothing new", data=5) if rows else Failed(message="too few rows")

    assert check(1) == 5
    state: Any = check(1, return_state=True)  # type: ignore[call-arg]
    assert (state.name, state.message, state.result()) == ("Completed", "nothing new", 5)
    with pytest.raises(FailedRun, match="too few rows"):
        check(0)
    state = flow(lambda: Cancelled(message="holiday"))(return_state=True)
    assert (state.type, state.message) == ("CANCELLED", "holiday")
    with pytest.raises(UsageError, match="returned the state Running"):
        flow(lambda: Running())()


def test_a_task_that_returns_futures_has_their_results() -> None:
    @task
    def outer() -> Any:
        return [show.submit(1), {"x": show.submit(2)}]

    @flow
    def report() -> Any:
        return outer.submit().result()

    assert report() == [1, {"x": 2}]


def test_a_call_may_ask_for_the_state() -> None:
    @flow
    def report() -> Any:
        bad = fails(return_state=True)
        assert bad.is_failed()
        return [show.submit(1, return_state=True), *show.map([2], return_state=True)]

    assert report() == [1, 2]


# --- in the background, from threads, and what code may ask about its run ---------------------------------------------


def test_delay_runs_on_its_own_beside_the_flow() -> None:
    gate = threading.Event()
    futures: list[Any] = []

    @task
    def slow() -> Any:
        gate.wait(WITHIN)
        return flow_run.id

    @flow
    def report() -> None:
        futures.append(slow.delay())

    report()
    (future,) = futures
    assert not future.done
    gate.set()
    assert future.result() is None
    assert names() == []


def test_a_thread_of_the_users_own_speaks_for_the_run() -> None:
    @task(log_prints=True)
    def load() -> None:
        def talk() -> None:
            get_run_logger().info("from a thread")
            print("printed")

        thread = threading.Thread(target=talk)
        thread.start()
        thread.join()

    @flow
    def report() -> None:
        load()

    report()
    view = run_view("last")
    (node,) = view.nodes.values()
    assert [(line.message, line.task_run_id) for line in view.logs] == [
        ("from a thread", node.id),
        ("printed", node.id),
    ]


def test_a_thread_that_outlives_its_run_speaks_for_nobody() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:

        @flow
        def report() -> None:
            executor.submit(lambda: None).result()

        report()
        with pytest.raises(MissingContextError):
            executor.submit(get_run_logger).result()


def test_what_code_may_ask_about_its_run() -> None:
    asked: dict[str, Any] = {}

    @task
    def load(n: int = 1) -> None:
        asked["task"] = (task_run.task_name, task_run.parameters, task_run.run_count, task_run.name)

    @flow(version="7")
    def inner(day: str) -> None:
        asked["inner"] = (flow_run.flow_name, flow_run.parameters, flow_run.parent_flow_run_id, flow_run.flow_version)
        asked["root"] = flow_run.root_flow_run_id

    @flow
    def outer() -> None:
        asked["outer"] = flow_run.id
        load(n=2)
        inner("monday")
        assert deployment.id is None

    outer()
    assert asked["task"] == ("load", {"n": 2}, 1, "load")
    assert asked["inner"] == ("inner", {"day": "monday"}, asked["outer"], "7")
    assert asked["root"] == asked["outer"]
    assert flow_run.id is task_run.id is deployment.name is None
    assert (flow_run.parameters, task_run.tags, flow_run.run_count) == ({}, [], 0)
    with pytest.raises(AttributeError, match="Did you mean 'flow_name'"):
        _ = flow_run.flowname
