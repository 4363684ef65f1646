"""Edges of the run graph from results that are passed on as they are; and memory that is not held for them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowbook import flow, task
from flowbook.run.producers import Producers
from flowbook.runs import run_view


class Big:
    """Something that can be weakly referenced, to see when it is gone."""


@task
def use(*values: Any, **named: Any) -> None: ...


def edges() -> set[tuple[str, str]]:
    nodes = run_view("last").nodes
    return {(nodes[up].name, node.name) for node in nodes.values() for up in node.upstream}


def edges_after(make: Callable[[], Any], pass_on: Callable[[Any], Any]) -> set[tuple[str, str]]:
    made = task(name="make")(make)

    @flow
    def pipeline() -> None:
        pass_on(made())

    pipeline()
    return edges()


RESULTS: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2],
    "empty list": list,
    "dict": lambda: {"a": 1},
    "set": lambda: {1, 2},
    "frame": lambda: pd.DataFrame({"a": [1]}),
    "array": lambda: np.zeros(3),
    "object": Big,
    "text": lambda: " ".join(["a", "sentence"]),
    "bytes": lambda: bytes(range(10)),
    "big number": lambda: 10**20 + len("x"),
    "float": lambda: 1.5 * len("xx"),
    "exception": lambda: ValueError("a value"),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_is_passed_on_is_an_edge(kind: str) -> None:
    assert edges_after(RESULTS[kind], use) == {("make", "use")}


@pytest.mark.parametrize("kind", RESULTS)
def test_so_is_a_submitted_task_that_takes_it(kind: str) -> None:
    assert edges_after(RESULTS[kind], use.submit) == {("make", "use")}


PASSED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "by name": (lambda: [1, 2], lambda found: use(value=found)),
    "inside a list": (Big, lambda found: use([found])),
    "inside a dict": (Big, lambda found: use({"x": found})),
    "member of a tuple": (lambda: ([1], [2]), lambda found: use(found[1])),
    "member of a list": (lambda: [Big(), Big()], lambda found: use(found[0])),
    "member of a dict": (lambda: {"orders": [1], "customers": [2]}, lambda found: use(found["orders"])),
    "frame of a dict": (lambda: {"frame": pd.DataFrame({"a": [1]})}, lambda found: use(found["frame"])),
}


@pytest.mark.parametrize("case", PASSED)
def test_results_are_recognised_in_containers(case: str) -> None:
    assert edges_after(*PASSED[case]) == {("make", "use")}


SHARED: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "small number": lambda: 7,
    "identifier": lambda: "events",
    "empty text": lambda: "",
    "letter": lambda: "x",
    "empty tuple": tuple,
    "class": lambda: int,
    "function": lambda: len,
    "module": lambda: np,
}


@pytest.mark.parametrize("kind", SHARED)
def test_values_that_python_shares_say_nothing(kind: str) -> None:
    assert edges_after(SHARED[kind], use) == set()


@pytest.mark.parametrize("constant", [1.5, 1000, "a sentence", (1, 2)], ids=repr)
def test_constants_of_the_code_do_not_point_to_another_run(constant: Any) -> None:
    @task
    def check(n: int) -> dict[str, Any]:
        return {"row": [n], "said": constant}

    @flow
    def pipeline() -> None:
        first, _second = check(1), check(2)
        use(first)

    pipeline()
    assert edges() == {("check", "use")}


def test_equal_values_of_other_runs_are_not_mixed_up() -> None:
    @task
    def make(n: int) -> list[int]:
        return [1, 2]

    @flow
    def pipeline() -> None:
        first, second = make(1), make(2)
        use(second)
        assert first == second

    pipeline()
    assert edges() == {("make-1", "use")}


def test_what_a_task_hands_on_comes_from_it() -> None:
    @task
    def make() -> list[int]:
        return [3, 1, 2]

    @task
    def sort(values: list[int]) -> list[int]:
        values.sort()
        return values

    @flow
    def pipeline() -> None:
        use(sort(make()))

    pipeline()
    assert edges() == {("make", "sort"), ("sort", "use")}


def test_wait_for_is_an_edge() -> None:
    @task
    def first() -> None: ...

    @flow
    def pipeline() -> None:
        use.submit(1, wait_for=[first.submit()])

    pipeline()
    assert edges() == {("first", "use")}


def test_a_mapped_list_is_an_edge_to_every_item() -> None:
    @task
    def discover() -> list[str]:
        return [f"events_{n}" for n in range(30)]

    @task
    def extract(connection: str, table: str) -> str:
        return f"/tmp/raw/{table}.parquet"

    @flow
    def direct() -> None:
        extract.map(connection="postgresql://", table=discover())

    @flow
    def by_future() -> None:
        extract.map("postgresql://", discover.submit())

    for pipeline in (direct, by_future):
        pipeline()
        assert len(edges()) == 30
        assert {source for source, _ in edges()} == {"discover"}


def test_there_are_no_edges_between_flow_runs() -> None:
    kept: list[Any] = []

    @task
    def make() -> list[int]:
        return [1, 2]

    @flow
    def first() -> None:
        kept.append(make())

    @flow
    def second() -> None:
        use(kept[0])

    first()
    second()
    assert edges() == set()


@pytest.fixture
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is logged: pytest keeps the records, and with them the runs and their results."""
    monkeypatch.setenv("FLOWBOOK_LOGGING_LEVEL", "ERROR")


HOLDING: dict[str, Callable[[], Any]] = {
    "object": Big,
    "list": lambda: [Big()],
    "dict": lambda: {"x": Big()},
    "array": lambda: np.full(3, Big()),
}


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("submit", [False, True], ids=["called", "submitted"])
@pytest.mark.parametrize("make", HOLDING.values(), ids=HOLDING)
def test_a_dropped_result_is_released_before_the_next_task_runs(make: Callable[[], Any], submit: bool) -> None:
    alive: list[bool] = []
    seen: list[weakref.ref[Any]] = []

    def inside(value: Any) -> Any:
        value = value["x"] if isinstance(value, dict) else value[0] if not isinstance(value, Big) else value
        return weakref.ref(value)

    load = task(name="load")(make)

    @task
    def look() -> None:
        gc.collect()
        alive.append(seen[0]() is not None)

    @flow
    def pipeline() -> None:
        result = load.submit().result() if submit else load()
        seen.append(inside(result))
        look()
        del result
        look()

    pipeline()
    assert alive == [True, False]


@pytest.mark.usefixtures("no_log")
def test_the_inputs_of_a_task_that_has_ended_are_released() -> None:
    @flow
    def pipeline() -> bool:
        value = Big()
        seen = weakref.ref(value)
        future = use.submit(value)
        future.wait()
        del value
        gc.collect()
        return seen() is None

    assert pipeline()


@pytest.mark.usefixtures("no_log")
def test_everything_is_released_when_the_flow_has_ended() -> None:
    seen: list[weakref.ref[Any]] = []

    @task
    def load() -> list[Big]:
        big = Big()
        seen.append(weakref.ref(big))
        return [big]

    @flow
    def pipeline() -> None:
        use(load())

    pipeline()
    gc.collect()
    assert seen[0]() is None


def test_a_new_object_at_an_old_address_is_not_the_old_one() -> None:
    producers = Producers()
    for n in range(2000):
        value: Any = Big() if n % 2 else [n]
        assert producers.of(value) is None
        producers.register(value, f"run-{n}")
        assert producers.of(value) == f"run-{n}"
        del value
    assert producers.of([1]) is None
    assert producers.of(Big()) is None


def test_thousands_of_results_do_not_pile_up() -> None:
    producers = Producers()
    kept: list[list[int]] = []
    for n in range(5000):
        value = [n]
        producers.register(value, "run")
        if n % 100 == 0:
            kept.append(value)
    assert len(producers._held) < 500
    assert all(producers.of(value) == "run" for value in kept)


def test_big_arguments_are_not_walked_through() -> None:
    class Counting(pd.DataFrame):
        walks = 0

        def __iter__(self) -> Any:
            type(self).walks += 1
            return super().__iter__()

    @flow
    def pipeline() -> None:
        use(Counting({"a": range(10)}))
        use.submit(Counting({"a": range(10)})).wait()

    pipeline()
    assert Counting.walks == 0


def test_arguments_that_contain_themselves() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    tree: dict[str, Any] = {}
    tree["child"] = {"parent": tree}
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    @flow
    def pipeline() -> list[str]:
        futures = [use.submit(value) for value in (loop, tree, deep)]
        use(loop, tree, deep)
        for future in futures:
            future.wait()
        return [future.state.name for future in futures]

    assert pipeline() == ["Completed"] * 3
