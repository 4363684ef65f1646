"""Tasks: called, submitted, mapped, retried, and refused where they are written wrongly."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.sql import sql

from flowbook import Task, engine, flow, task, unmapped
from flowbook.core.states import State
from flowbook.errors import UsageError
from flowbook.runs import run_view
from flowbook.tasks import exponential_backoff
from flowbook.testing import Harness

pytestmark = pytest.mark.usefixtures("store_url")


@task
def add(x: int, y: int = 1) -> int:
    return x + y


def test_a_task_called_by_itself_is_a_recorded_run(home: Path) -> None:
    assert add(1, y=2) == 3
    assert sql("SELECT name, state_name, flow_run_id FROM task_run") == [("add", "Completed", None)]


def test_a_task_looks_like_its_function() -> None:
    @task
    def documented(x: int) -> int:
        """What it does."""
        return x

    assert isinstance(documented, Task)
    assert (documented.__name__, documented.__doc__, documented.fn(3)) == ("documented", "What it does.", 3)
    assert repr(documented) == "<Task 'documented'>"


def test_options_do_not_change_the_task_they_come_from() -> None:
    named = add.with_options(name="plus", retries=2)
    assert (named.name, named.options.retries, named(1, 2)) == ("plus", 2, 3)
    assert (add.name, add.options.retries) == ("add", 0)


def test_a_task_may_be_a_method_or_a_lambda() -> None:
    class Source:
        def __init__(self, rows: int) -> None:
            self.rows = rows

        @task
        def load(self, more: int) -> int:
            return self.rows + more

        @staticmethod
        @task
        def nothing() -> int:
            return 0

    @flow
    def pipeline() -> list[int]:
        source = Source(3)
        return [source.load(1), source.load.submit(2).result(), Source.nothing(), task(lambda: 9)()]

    assert pipeline() == [4, 5, 0, 9]


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: task(retires=3), "@task has no option 'retires'. Did you mean 'retries'?"),
    (lambda: task(colour="red"), "@task has no option 'colour'."),
    (lambda: task(retries=-1), "retries is -1; it must be a whole number from 0 up."),
    (lambda: task("load"), "@task needs a function, not 'load'."),
    (lambda: flow(timeout=3), "@flow has no option 'timeout'. Did you mean 'timeout_seconds'?"),
    (lambda: flow(retries=-1), "retries is -1; it must be a whole number from 0 up."),
    (lambda: flow(3), "@flow needs a function, not 3."),
]


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_options_that_cannot_be_meant_are_refused_at_once(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        made = make()
        made(lambda: None)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("delay", "slept"),
    [(10, [10, 10, 10]), ([10, 30, 60], [10, 30, 60]), ([1, 2], [1, 2, 2]), (exponential_backoff(10), [10, 20, 40])],
    ids=["number", "list", "short list", "function"],
)
def test_a_failing_task_is_tried_again_after_its_delays(harness: Harness, delay: Any, slept: list[float]) -> None:
    attempts: list[int] = []

    @task(retries=3, retry_delay_seconds=delay)
    def flaky() -> str:
        attempts.append(1)
        if len(attempts) < 4:
            raise ConnectionError("Simulated network failure")
        return "ok"

    assert flaky() == "ok"
    assert harness.delays("flaky") == slept


def test_jitter_makes_delays_longer_by_chance(harness: Harness) -> None:
    @task(retries=20, retry_delay_seconds=10, retry_jitter_factor=0.5)
    def fails() -> None:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        fails()
    delays = harness.delays("fails")
    assert len(delays) == 20
    assert len(set(delays)) > 10
    assert all(10 <= seconds <= 15 for seconds in delays)


def test_jitter_takes_no_random_numbers_of_the_user() -> None:
    @task(retries=1, retry_jitter_factor=0.5)
    def draws(numbers: list[float]) -> None:
        numbers.append(random.random())
        if len(numbers) < 2:
            raise OSError("busy")

    random.seed(1)
    expected, numbers = [random.random(), random.random()], list[float]()
    random.seed(1)
    draws(numbers)
    assert numbers == expected


def test_a_result_that_cannot_be_taken_over_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    @task
    def one() -> int:
        return 1

    def refuse(_: State) -> None:
        raise ValueError("no room for it")

    @flow
    def whole() -> int:
        run = engine.new_task_run(one.work, (), {}, flow=engine.current_flow())
        run.at_end = refuse
        result: int = engine.submit_task(run).result()
        return result

    with pytest.raises(ValueError, match="no room for it"):
        whole()
    assert "What it made could not be taken over." in caplog.text


def test_the_last_error_is_the_one_that_is_raised() -> None:
    attempts: list[int] = []

    @task(retries=2)
    def fails() -> None:
        attempts.append(1)
        raise ValueError(f"attempt {len(attempts)}")

    with pytest.raises(ValueError, match="attempt 3"):
        fails()


def test_the_traceback_begins_in_the_user_s_function() -> None:
    @task
    def divide() -> float:
        return 1 / 0

    future = divide.submit()
    error = future.result(raise_on_failure=False)
    assert isinstance(error, ZeroDivisionError)
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "divide"


def test_a_task_in_a_task() -> None:
    @task
    def outer(x: int) -> int:
        return add(add(x))

    @flow
    def pipeline() -> int:
        return outer(1)

    assert pipeline() == 3
    assert run_view("last").counts() == {"succeeded": 3}


def test_task_runs_of_one_name_are_numbered() -> None:
    @flow
    def pipeline() -> None:
        for n in range(3):
            add(n)

    pipeline()
    assert [node.name for node in run_view("last").nodes.values()] == ["add", "add-1", "add-2"]


# --- map --------------------------------------------------------------------------------------------------------------

MAPPED: list[tuple[tuple[Any, ...], dict[str, Any], list[int]]] = [
    (([1, 2, 3],), {}, [2, 3, 4]),
    ((range(3),), {}, [1, 2, 3]),
    (([1, 2], [10, 20]), {}, [11, 22]),
    (([1, 2],), {"y": 5}, [6, 7]),
    (([1, 2],), {"y": [5, 6]}, [6, 8]),
    ((7,), {"y": [1, 2]}, [8, 9]),
    (([],), {}, []),
    ((iter,), {}, [2, 3]),
    ((np.array([1, 2]),), {}, [2, 3]),
    ((pd.Series([1, 2]),), {}, [2, 3]),
]


@pytest.mark.parametrize(("args", "kwargs", "results"), MAPPED)
def test_a_mapped_task_runs_once_for_each_item(args: Any, kwargs: Any, results: list[int]) -> None:
    @flow
    def pipeline() -> list[int]:
        given = (iter([1, 2]) if arg is iter else arg for arg in args)  # which can be taken once only
        found: list[int] = add.map(*given, **kwargs).result()
        return found

    assert pipeline() == results


def test_what_is_no_list_is_the_same_for_all() -> None:
    @task
    def tell(n: int, *rest: Any, **named: Any) -> Any:
        return rest, named

    frame = pd.DataFrame({"a": [1]})

    @flow
    def pipeline() -> list[Any]:
        found: list[Any] = tell.map([1, 2], "text", {"a": 1}, unmapped([3, 4]), frame=frame, none=None).result()
        return found

    for rest, named in pipeline():
        assert rest == ("text", {"a": 1}, [3, 4])
        assert named["frame"] is frame
        assert named["none"] is None


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        (([1, 2], [1]), {}, "add.map needs lists of one length, but was given 0: 2, 1: 1. "),
        (([1, 2],), {"y": [1]}, "add.map needs lists of one length, but was given 0: 2, y: 1. "),
        ((1,), {}, "add.map needs lists of one length, but was given no list at all. "),
    ],
)
def test_lists_that_do_not_fit_are_refused(args: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        add.map(*args, **kwargs)
    assert str(raised.value) == said + "Wrap what is the same for all in unmapped()."


def test_mapping_over_futures_and_their_lists() -> None:
    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @flow
    def pipeline() -> list[int]:
        first = add.map(numbers.submit())
        second = add.map(first, first)
        found: list[int] = second.result()
        return found

    assert pipeline() == [4, 6, 8]


def test_one_failed_item_stops_what_follows_from_it_only() -> None:
    @task
    def invert(n: int) -> float:
        return 1 / n

    @task
    def use(x: float) -> float:
        return x

    @flow
    def pipeline() -> list[str]:
        states = use.map(invert.map([1, 0, 2]), return_state=True)
        return [state.name for state in states]

    assert pipeline() == ["Completed", "NotReady", "Completed"]


def test_submitting_may_return_the_final_state() -> None:
    state = add.submit(1, return_state=True)
    assert state.is_completed()
    assert state.result() == 2
