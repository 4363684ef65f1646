"""Flows: their results, states, names, retries, and what is recorded of them."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook import Flow, flow, task
from flowbook.engine import engine
from flowbook.errors import NotFound, UsageError
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.states import Completed, Failed

pytestmark = pytest.mark.usefixtures("store_url")


@task
def add(x: int, y: int = 1) -> int:
    return x + y


def test_a_flow_returns_what_its_function_returns() -> None:
    @flow
    def pipeline(n: int) -> int:
        return add(n)

    assert pipeline(1) == 2
    assert repr(pipeline) == "<Flow 'pipeline'>"


def test_a_flow_is_named_after_its_function_with_hyphens() -> None:
    @flow
    def daily_sales_report() -> None: ...

    daily_sales_report()
    assert recent_runs()[0].flow == "daily-sales-report"
    assert flow(name="daily_report")(lambda: None).name == "daily_report"


@pytest.mark.parametrize(
    ("template", "name"),
    [("report of {day}", "report of monday"), ("{day!r}/{n:03}", "'monday'/007"), (lambda: "by hand", "by hand")],
)
def test_a_run_may_be_named_from_its_parameters(template: Any, name: str) -> None:
    @flow(flow_run_name=template)
    def report(day: str, n: int = 7) -> None: ...

    report("monday")
    assert recent_runs()[0].name == name


def test_a_run_name_that_cannot_be_filled_in_is_told() -> None:
    @flow(flow_run_name="of {when}")
    def report(day: str) -> None: ...

    with pytest.raises(UsageError, match=r"flow_run_name of flow 'report' is 'of \{when\}', which cannot be filled in"):
        report("monday")
    assert recent_runs() == []


def test_a_failing_flow_raises_and_is_recorded() -> None:
    @flow
    def pipeline() -> None:
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        pipeline()
    run = recent_runs()[0]
    assert (run.state_name, run.word, run.why) == ("Failed", "Failed", "ValueError: bad row")


def test_a_flow_that_handles_a_failure_completes() -> None:
    @task
    def fail() -> None:
        raise ValueError("bad row")

    @flow
    def pipeline() -> str:
        try:
            fail()
        except ValueError:
            return "handled"
        return "nothing"

    assert pipeline() == "handled"
    assert find_run("last").state_name == "Completed"
    assert run_view("last").counts() == {"failed": 1}


def test_the_state_may_be_asked_for() -> None:
    @flow
    def pipeline(n: int) -> float:
        return 1 / n

    good = pipeline(1, return_state=True)  # type: ignore[call-arg]
    bad = pipeline(0, return_state=True)  # type: ignore[call-arg]
    assert good.is_completed()  # type: ignore[attr-defined]
    assert good.result() == 1  # type: ignore[attr-defined]
    assert bad.is_failed()  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        bad.result()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("returned", "name"),
    [(Completed(data=3), "Completed"), (Failed(message="by choice"), "Failed")],
    ids=["completed", "failed"],
)
def test_a_returned_state_is_the_state_of_the_flow(returned: Any, name: str) -> None:
    @flow
    def pipeline() -> Any:
        return returned

    assert pipeline(return_state=True).name == name
    assert find_run("last").state_name == name


def test_returned_futures_become_their_results() -> None:
    @flow
    def pipeline() -> Any:
        return {"one": add.submit(0), "more": [add.submit(1), 7]}

    assert pipeline() == {"one": 1, "more": [2, 7]}


def test_a_flow_is_retried_with_its_parameters() -> None:
    seen: list[int] = []

    @flow(retries=2)
    def flaky(n: int) -> int:
        seen.append(add(n))
        if len(seen) < 3:
            raise OSError("busy")
        return n

    assert flaky(5) == 5
    assert seen == [6, 6, 6]
    view = run_view("last")
    assert view.look == "succeeded"
    assert len(view.nodes) == 3


def test_a_flow_is_a_method_too() -> None:
    class Report:
        day = "monday"

        @flow
        def write(self, n: int) -> str:
            return f"{self.day} {n}"

    assert Report().write(3) == "monday 3"
    assert isinstance(Report.write, Flow)


def test_with_options_makes_another_flow() -> None:
    @flow
    def pipeline() -> int:
        return 1

    other = pipeline.with_options(name="other", retries=1)
    assert (other.name, other.options.retries, other()) == ("other", 1, 1)
    assert (pipeline.name, pipeline.options.retries) == ("pipeline", 0)


def test_recent_runs_are_numbered_and_newest_first() -> None:
    @flow
    def pipeline(n: int) -> None:
        add(n)

    for n in range(3):
        pipeline(n)
    runs = recent_runs(limit=2)
    assert [(run.number, run.parameters["n"], run.done, run.total) for run in runs] == [(3, 2, 1, 1), (2, 1, 1, 1)]
    assert all((run.duration() or 0) >= 0 for run in runs)


def test_runs_are_found_by_what_people_call_them() -> None:
    @flow
    def pipeline() -> None: ...

    with pytest.raises(NotFound, match="Nothing has run here yet"):
        find_run("last")
    pipeline()
    with pytest.raises(NotFound, match="only one run so far"):
        find_run("prev")
    pipeline()
    first, second = find_run(1), find_run("2")
    assert find_run("last") == find_run(second.id) == find_run(second.name) == second
    assert find_run("prev") == first
    with pytest.raises(NotFound, match="There is no run 'nobody'"):
        find_run("nobody")


def test_a_flow_run_has_left_nothing_behind() -> None:
    import threading

    @flow
    def pipeline() -> None:
        for n in range(20):
            add.submit(n)

    engine()
    before = {thread.name for thread in threading.enumerate()}
    for _ in range(3):
        pipeline()
    for _ in range(200):
        after = {thread.name for thread in threading.enumerate()}
        if after <= before:
            break
        threading.Event().wait(0.01)
    assert after <= before
