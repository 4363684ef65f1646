"""Hooks: told of the states they were asked for, in order, before anybody else hears of the end of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.waiting import WITHIN

from flowbook import Flow, State, Task, flow, get_run_logger, task
from flowbook.errors import UsageError
from flowbook.runs import run_view
from flowbook.states import Failed

Told = list[tuple[str, str, str]]


@pytest.fixture
def told() -> Told:
    """What hooks were told: who they are, of which task or flow, in which state."""
    return []


def hook(told: Told, name: str) -> Callable[[Any, Any, State], None]:
    def tell(subject: Any, run: Any, state: State) -> None:
        assert run.state == state
        told.append((name, subject.name, state.name))

    return tell


def fails() -> None:
    raise ValueError("no such file")


def test_a_task_tells_of_each_attempt_and_of_its_end(told: Told) -> None:
    hooks = {option: [hook(told, option)] for option in ("on_running", "on_completion", "on_failure")}
    tries = iter([OSError("busy"), None])

    @task(retries=1, **hooks)  # type: ignore[call-overload]
    def load() -> int:
        error = next(tries)
        if error:
            raise error
        return 1

    load()
    assert told == [
        ("on_running", "load", "Running"),
        ("on_running", "load", "Retrying"),
        ("on_completion", "load", "Completed"),
    ]
    told.clear()
    with pytest.raises(ValueError, match="no such file"):
        task(**hooks)(fails)()  # type: ignore[call-overload]
    assert told == [("on_running", "fails", "Running"), ("on_failure", "fails", "Failed")]


def test_a_flow_tells_of_its_end_before_it_returns(told: Told) -> None:
    options = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")
    hooks = {option: [hook(told, option)] for option in options}

    def run(fn: Callable[[], Any]) -> Told:
        told.clear()
        flow(name="report", **hooks)(fn)(return_state=True)  # type: ignore[call-overload]
        return list(told)

    assert run(lambda: 1) == [("on_running", "report", "Running"), ("on_completion", "report", "Completed")]
    assert run(fails) == [("on_running", "report", "Running"), ("on_failure", "report", "Failed")]
    assert run(lambda: Failed(message="no"))[1:] == [("on_failure", "report", "Failed")]

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    assert told[1:] == [("on_cancellation", "report", "Cancelled")]
    with pytest.raises(SystemExit):
        run(lambda: exit_now())
    assert told[1:] == [("on_crashed", "report", "Crashed")]


def exit_now() -> None:
    raise SystemExit(3)


def test_hooks_are_added_by_decorators(told: Told) -> None:
    @task
    def load() -> int:
        return 1

    @flow
    def report() -> int:
        return load()

    load.on_completion(hook(told, "first"))
    load.on_completion(hook(told, "second"))

    @report.on_completion
    def done(flow: Flow[..., Any], flow_run: Any, state: State) -> None:
        told.append((flow_run.name, flow.name, state.result()))

    report()
    assert told[:2] == [("first", "load", "Completed"), ("second", "load", "Completed")]
    assert told[2][1:] == ("report", 1)


def test_a_hook_is_given_the_run_and_speaks_in_its_name() -> None:
    seen: list[Any] = []

    def tell(task: Task[..., Any], task_run: Any, state: State) -> None:
        seen.append((task_run.name, task_run.parameters, task_run.run_count, task_run.tags, task_run.end_time))
        get_run_logger().info("loaded %d", state.result())

    @task(on_completion=[tell], tags=["db"])
    def load(table: str, rows: int = 2) -> int:
        return rows

    @flow
    def report() -> None:
        load("orders")

    report()
    ((name, parameters, count, tags, end),) = seen
    assert (name, parameters, count, tags) == ("load", {"table": "orders", "rows": 2}, 1, frozenset({"db"}))
    view = run_view("last")
    (node,) = view.nodes.values()
    assert end.timestamp() == pytest.approx(node.ended)
    assert [(line.message, line.task_run_id) for line in view.logs] == [("loaded 2", node.id)]


def test_whoever_waits_for_a_task_comes_after_its_hooks(told: Told) -> None:
    def slow_hook(task: Any, task_run: Any, state: State) -> None:
        seen_before.append(future_box[0].done)

    future_box: list[Any] = []
    seen_before: list[bool] = []

    @task(on_completion=[slow_hook])
    def load(gate: Any) -> int:
        return 1

    @flow
    def report() -> list[bool]:
        import threading

        gate = threading.Event()

        @task(on_completion=[slow_hook])
        def held() -> int:
            gate.wait(WITHIN)
            return 1

        future_box.append(held.submit())
        gate.set()
        future_box[0].result()
        return seen_before

    assert report() == [False]


def test_async_hooks_are_awaited() -> None:
    told: list[str] = []

    async def tell(subject: Any, run: Any, state: State) -> None:
        await asyncio.sleep(0)
        told.append(state.name)

    @task(on_completion=[tell])
    async def load() -> int:
        return 1

    @flow(on_completion=[tell])
    async def report() -> int:
        return await load()

    assert asyncio.run(report()) == 1
    assert told == ["Completed", "Completed"]


def test_a_hook_that_fails_is_a_line_in_the_log() -> None:
    def broken(subject: Any, run: Any, state: State) -> None:
        raise RuntimeError("hook of mine")

    @flow(on_completion=[broken])
    def report() -> int:
        return 1

    assert report() == 1
    (line,) = run_view("last").logs
    assert line.level == "ERROR"
    assert line.message.startswith("The hook 'broken' for state Completed failed.")
    assert "hook of mine" in line.message


@pytest.mark.parametrize("decorator", [task, flow], ids=["task", "flow"])
def test_what_is_no_function_is_refused(decorator: Any) -> None:
    with pytest.raises(UsageError, match=r"on_failure=\.\.\.\) needs a list of functions, but 'mail' is none"):
        decorator(on_failure=["mail"])(fails)


def test_a_condition_decides_on_retries() -> None:
    asked: list[tuple[str, str, int]] = []

    def is_busy(task: Task[..., Any], task_run: Any, state: State) -> bool:
        asked.append((task.name, state.message or "", task_run.run_count))
        return isinstance(state.result(raise_on_failure=False), OSError)

    @task(retries=5, retry_condition_fn=is_busy)
    def load() -> None:
        raise OSError("busy") if len(asked) < 2 else ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        load()
    assert asked == [("load", "OSError: busy", 1), ("load", "OSError: busy", 2), ("load", "ValueError: broken", 3)]


def test_a_condition_that_fails_is_told_and_nothing_is_retried() -> None:
    tries: list[int] = []

    @task(retries=5, retry_condition_fn=lambda task, run, state: 1 / 0)
    def load() -> None:
        tries.append(1)
        raise OSError("busy")

    @flow
    def report() -> None:
        load()

    with pytest.raises(OSError, match="busy"):
        report()
    assert tries == [1]
    (line,) = run_view("last").logs
    assert line.message.startswith("The retry condition of Task run 'load' failed, so it is not retried.")
