"""Flows inside flows: runs of their own, and nodes in the graph of their parent."""

from __future__ import annotations

import re

import pytest

from flowbook import flow, task
from flowbook.runs import find_run, recent_runs, run_view

pytestmark = pytest.mark.usefixtures("store_url")


@task
def double(x: int) -> int:
    return 2 * x


@task
def numbers() -> list[int]:
    return [1, 2, 3]


@flow(name="transform")
def transform(data: list[int]) -> list[int]:
    return [double(x) for x in data]


def test_a_sub_flow_is_a_node_of_its_parent_and_a_run_of_its_own() -> None:
    @flow(name="main")
    def main() -> list[int]:
        data = transform(numbers())
        return double.map(data).result()  # type: ignore[no-any-return]

    assert main() == [4, 8, 12]
    [outer] = recent_runs()
    view = run_view(outer.id)
    named = {node.name: node for node in view.nodes.values()}
    assert set(named) == {"numbers", "transform", "double", "double-1", "double-2"}
    assert named["transform"].look == "succeeded"
    assert named["transform"].upstream == (named["numbers"].id,)
    assert named["double"].upstream == (named["transform"].id,)
    inner = find_run(named["transform"].id)
    assert (inner.flow, inner.trigger, inner.state_name, inner.total) == ("transform", "parent", "Completed", 3)


def test_a_failing_sub_flow_fails_its_parent() -> None:
    @flow
    def inner() -> None:
        raise ValueError("bad row")

    @flow
    def outer() -> None:
        inner()

    with pytest.raises(ValueError, match="bad row"):
        outer()
    assert find_run("last").state_name == "Failed"
    [node] = run_view("last").nodes.values()
    assert node.look == "failed"


def test_a_failing_sub_flow_may_be_handled() -> None:
    @flow(retries=1)
    def inner() -> None:
        raise ValueError("bad row")

    @flow
    def outer() -> str:
        return inner(return_state=True).name  # type: ignore[call-arg, attr-defined, no-any-return, func-returns-value]

    assert outer() == "Failed"
    assert find_run("last").state_name == "Completed"


def test_the_terminal_tells_sub_flows_apart(capsys: pytest.CaptureFixture[str]) -> None:
    @flow(name="main")
    def main() -> None:
        transform([])

    main()
    err = capsys.readouterr().err
    assert "for flow 'main'" in err
    assert re.search("Created subflow run '[a-z-]+' for flow 'transform'", err)


@pytest.mark.parametrize("submit", [False, True], ids=["called", "submitted"])
def test_a_task_may_call_a_flow(submit: bool) -> None:
    @task
    def calls() -> list[int]:
        return transform([1])

    @flow
    def outer() -> list[int]:
        return calls.submit().result() if submit else calls()  # type: ignore[no-any-return]

    assert outer() == [2]
    assert {node.name for node in run_view("last").nodes.values()} == {"calls", "transform"}


def test_futures_are_arguments_of_flows_too() -> None:
    @flow
    def outer() -> list[int]:
        return transform(numbers.submit())

    assert outer() == [2, 4, 6]
    named = {node.name: node for node in run_view("last").nodes.values()}
    assert named["transform"].upstream == (named["numbers"].id,)


def test_sub_flows_do_not_share_numbers_or_results() -> None:
    @flow
    def outer() -> list[list[int]]:
        return [transform([1]), transform([2])]

    assert outer() == [[2], [4]]
    assert [node.name for node in run_view("last").nodes.values()] == ["transform", "transform-1"]


def test_a_flow_may_call_itself() -> None:
    @flow
    def countdown(n: int) -> int:
        return countdown(n - 1) + 1 if n else 0

    assert countdown(3) == 3
    assert len(recent_runs()) == 1
