"""What every task runner promises: the same tests for the flow's thread, other threads, other processes and Dask."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import flow, get_run_logger, tags, task, unmapped
from flowbook.core.events import Event
from flowbook.engine import engine
from flowbook.errors import CancelledRun, TaskTimeoutError, UpstreamTaskError
from flowbook.flow_runs import cancel_flow_run
from flowbook.futures import wait
from flowbook.runs import find_run, run_view
from flowbook.task_runners import (
    DaskTaskRunner,
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    TaskRunner,
    ThreadPoolTaskRunner,
)
from flowbook.testing import flowbook_test_harness

RUNNERS = ["sequential", "threads", "processes", pytest.param("dask", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two worker processes."""
    from distributed import LocalCluster

    started = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    yield started
    started.close()


@pytest.fixture(params=RUNNERS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which runner it is."""
    return str(request.param)


@pytest.fixture
def runner(kind: str, request: pytest.FixtureRequest) -> TaskRunner:
    """A runner that executes two tasks at a time, if it can."""
    if kind == "dask":
        return DaskTaskRunner(cluster=request.getfixturevalue("cluster"))
    made: dict[str, TaskRunner] = {
        "sequential": SequentialTaskRunner(),
        "threads": ThreadPoolTaskRunner(max_workers=2),
        "processes": ProcessPoolTaskRunner(max_workers=2),
    }
    return made[kind]


@pytest.fixture
def events() -> list[Event]:
    """What is recorded during the test."""
    recorded: list[Event] = []
    engine().recorder.listen(recorded.append)
    return recorded


def within(runner: TaskRunner, body: Callable[[], Any], **options: Any) -> Any:
    """The result of a flow with this body."""
    return flow(task_runner=runner, name="pipeline", **options)(body)()


def has_stopped(mark: Path) -> bool:
    """Whether no code goes on that makes this file again and again."""
    mark.unlink(missing_ok=True)
    time.sleep(0.1)
    return not mark.exists()


def states_of(events: list[Event], name: str) -> list[str]:
    """The names of the states that the run of this name entered."""
    [run_id] = [one.task_run_id for one in events if one.kind == "task-run" and one.data["name"] == name]
    return [one.data["name"] for one in events if one.kind == "state" and one.task_run_id == run_id]


# --- results and order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 42, [1, {"a": (2, 3)}], b"\0" * 200_000], ids=lambda v: type(v).__name__)
def test_what_a_task_returns_arrives(runner: TaskRunner, value: object) -> None:
    @task
    def give_back(value: object, *, again: bool = False) -> object:
        return [value, value] if again else value

    def body() -> Any:
        return give_back.submit(value).result(), give_back.submit(value, again=True).result()

    assert within(runner, body) == (value, [value, value])


def test_a_task_begins_when_its_inputs_are_there(runner: TaskRunner, events: list[Event]) -> None:
    @task
    def slow(n: int) -> int:
        time.sleep(0.1)
        return n

    @task
    def add(numbers: list[int], more: dict[str, int]) -> int:
        return sum(numbers) + more["more"]

    @task
    def last() -> str:
        return "last"

    def body() -> Any:
        first = slow.submit(1)
        total = add.submit([first, 2], {"more": slow.submit(3)})
        return total.result(), last.submit(wait_for=[total]).result()

    assert within(runner, body) == (6, "last")
    story = [(one.task_run_id, one.data["name"]) for one in events if one.kind == "state"]
    ids = {one.data["name"]: one.task_run_id for one in events if one.kind == "task-run"}
    for before, after in [("slow", "add"), ("slow-1", "add"), ("add", "last")]:
        assert story.index((ids[before], "Completed")) < story.index((ids[after], "Running"))


def test_a_task_whose_input_failed_does_not_begin(runner: TaskRunner) -> None:
    @task
    def fails() -> None:
        raise OSError("no disk")

    @task
    def follows(_: object) -> None: ...

    def body() -> Any:
        future = follows.submit(fails.submit())
        with pytest.raises(UpstreamTaskError, match="'fails', which is Failed: OSError: no disk"):
            future.result()
        return future.state.name

    assert within(runner, body) == "NotReady"


def test_mapped_tasks(runner: TaskRunner) -> None:
    @task
    def scale(n: int, factor: int) -> int:
        return n * factor

    def body() -> Any:
        once = scale.map([1, 2, 3], unmapped(10))
        return scale.map(once, factor=[1, 2, 3]).result()

    assert within(runner, body) == [10, 40, 90]


def test_many_tasks(runner: TaskRunner) -> None:
    @task
    def square(n: int) -> int:
        return n * n

    assert within(runner, lambda: sum(square.map(range(60)).result())) == sum(n * n for n in range(60))


def test_async_tasks_and_generators(runner: TaskRunner) -> None:
    @task
    async def wait_for(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    @task
    def count(n: int) -> Any:
        yield from range(n)

    def body() -> Any:
        return wait_for.submit(3).result(), count.submit(3).result()

    assert within(runner, body) == (3, [0, 1, 2])


def test_an_async_flow(runner: TaskRunner) -> None:
    @task
    def double(n: int) -> int:
        return 2 * n

    @flow(task_runner=runner)
    async def pipeline() -> int:
        return int(double.submit(double.submit(1)).result())

    assert asyncio.run(pipeline()) == 4


# --- where tasks may be defined ---------------------------------------------------------------------------------------


@task
def of_this_module(n: int) -> int:
    return 0 if n == 0 else n + of_this_module.fn(n - 1)


class Shop:
    """Has tasks for methods."""

    tax = 2

    def __init__(self, prices: list[int]) -> None:
        self.prices = prices

    @task
    def total(self, discount: int = 0) -> int:
        return sum(self.prices) * self.tax - discount

    @task
    @classmethod
    def rate(cls) -> int:
        return cls.tax

    @task
    @staticmethod
    def twice(n: int) -> int:
        return 2 * n


def test_tasks_of_a_module_and_of_its_classes(runner: TaskRunner) -> None:
    def body() -> Any:
        shop = Shop([1, 2])
        futures = [
            of_this_module.submit(3),
            shop.total.submit(1),
            Shop.total.submit(shop, discount=2),
            Shop.rate.submit(),
            shop.twice.submit(4),
            of_this_module.with_options(name="renamed").submit(2),
        ]
        return [future.result() for future in futures]

    assert within(runner, body) == [6, 5, 4, 2, 8, 3]


def test_tasks_of_lambdas_closures_and_executed_code(runner: TaskRunner) -> None:
    offset = 10

    @task
    def closure(n: int) -> int:
        return n + offset

    names: dict[str, Any] = {}
    exec("base = 100\ndef helper(n):\n    return n + base\ndef executed(n):\n    return helper(n)", names)

    class Local:
        def __init__(self, n: int) -> None:
            self.n = n

    @task
    def make(n: int) -> Local:
        return Local(n)

    def body() -> Any:
        futures = [task(lambda n: n + 1).submit(1), closure.submit(1), task(names["executed"]).submit(1)]
        made = make.submit(5).result()
        assert isinstance(made, Local)
        return [*(future.result() for future in futures), made.n]

    assert within(runner, body) == [2, 11, 101, 5]


SCRIPT = """
import os
import sys
from flowbook import flow, task
from flowbook.task_runners import *

factor = 3
class Item:
    def __init__(self, n):
        self.n = n
def scaled(item):
    return Item(item.n * factor)
@task
def scale(item):
    assert isinstance(item, Item)
    return scaled(item)
@flow(task_runner={runner})
def pipeline():
    made = scale.submit(scale.submit(Item(2))).result()
    assert isinstance(made, Item)
    return made.n
if __name__ == "__main__":
    print("result", pipeline())
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SequentialTaskRunner()", "ProcessPoolTaskRunner(2)", "DaskTaskRunner()"])
def test_tasks_of_a_script(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(runner=kind))
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100, check=False)
    assert ended.stdout == "result 18\n", ended.stderr
    assert "Traceback" not in ended.stderr


# --- failures ---------------------------------------------------------------------------------------------------------


class OutOfStock(LookupError):
    """An exception that cannot be made of its ``args``."""

    def __init__(self, item: str, *, left: int) -> None:
        super().__init__(f"only {left} of {item}")
        self.left = left


def test_an_exception_arrives_as_it_was_raised(runner: TaskRunner) -> None:
    @task
    def order(item: str) -> None:
        try:
            {}["stock"]
        except KeyError as error:
            problem = OutOfStock(item, left=3)
            problem.add_note("Ask again tomorrow.")
            raise problem from error

    caught: list[BaseException] = []

    def body() -> None:
        try:
            order.submit("tea").result()
        except OutOfStock as error:
            caught.append(error)

    within(runner, body)
    [error] = caught
    assert (str(error), error.left) == ("only 3 of tea", 3)  # type: ignore[attr-defined]
    assert error.__notes__ == ["Ask again tomorrow."]
    assert isinstance(error.__cause__, KeyError)
    frames = [(frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__)]
    assert ("order", "raise problem from error") in frames
    assert [(frame.name, frame.line) for frame in traceback.extract_tb(error.__cause__.__traceback__)] == [
        ("order", '{}["stock"]')
    ]
    shown = "".join(traceback.format_exception(error))
    assert "The above exception was the direct cause" in shown
    assert "run/execution.py" not in shown


def test_a_group_of_exceptions_arrives(runner: TaskRunner) -> None:
    @task
    def several() -> None:
        raise ExceptionGroup("two things", [ValueError("first"), OutOfStock("tea", left=0)])

    def body() -> Any:
        return several.submit().result(raise_on_failure=False)

    error = within(runner, body, validate_parameters=False)
    assert isinstance(error, ExceptionGroup)
    assert error.message == "two things"
    assert [(type(one), str(one)) for one in error.exceptions] == [(ValueError, "first"), (OutOfStock, "only 0 of tea")]


def test_sys_exit_ends_the_task_as_crashed_and_nothing_else(runner: TaskRunner, kind: str) -> None:
    @task(retries=2)
    def leave() -> None:
        sys.exit(3)

    @task
    def stay() -> str:
        return "here"

    @flow(task_runner=runner)
    def pipeline() -> Any:
        left = leave.submit()
        wait([left])
        return left.state.name, left.state.message, stay.submit().result()

    if kind == "sequential":
        with pytest.raises(SystemExit):
            pipeline()
        return
    assert pipeline() == ("Crashed", "The run was ended by SystemExit(3).", "here")


def test_retries_and_their_delays(runner: TaskRunner, tmp_path: Path) -> None:
    @task(retries=2, retry_delay_seconds=[60, 3600])
    def flaky(file: Path) -> int:
        with file.open("a") as attempts:
            attempts.write("x")
        if file.stat().st_size < 3:
            raise OSError("busy")
        return file.stat().st_size

    with flowbook_test_harness() as harness:
        assert within(runner, lambda: flaky.submit(tmp_path / "attempts").result()) == 3
        harness.assert_states("flaky", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed")
        assert harness.delays("flaky") == [60, 3600]


@pytest.mark.parametrize("how", ["busy", "async"])
def test_a_timeout_ends_at_its_deadline(runner: TaskRunner, events: list[Event], tmp_path: Path, how: str) -> None:
    mark = tmp_path / "at_work"

    @task(timeout_seconds=0.4, name="slow")
    def busy(mark: Path) -> None:
        while True:
            time.sleep(0.01)
            mark.touch()

    @task(timeout_seconds=0.4, name="slow")
    async def waiting(mark: Path) -> None:
        while True:
            await asyncio.sleep(0.01)
            mark.touch()

    def body() -> None:
        with pytest.raises(TaskTimeoutError, match=r"^Task run 'slow' ran longer than its timeout of 0\.4 seconds\.$"):
            (busy if how == "busy" else waiting).submit(mark).result()
        until(lambda: has_stopped(mark))

    within(runner, body)
    assert states_of(events, "slow") == ["Running", "TimedOut"]
    [node] = run_view("last").nodes.values()
    assert 0.4 <= (node.duration() or 0) < CUT_SHORT


def test_a_task_in_time_is_not_touched_by_its_timeout(runner: TaskRunner) -> None:
    @task(timeout_seconds=WITHIN)
    def quick(n: int) -> int:
        time.sleep(0.05)
        return n

    assert within(runner, lambda: quick.map(range(4)).result()) == [0, 1, 2, 3]


# --- what a task says -------------------------------------------------------------------------------------------------


class Ear(io.StringIO):
    """A stream that makes a file as soon as a word is written to it."""

    def __init__(self, word: str, file: Path) -> None:
        super().__init__()
        self.word = word
        self.file = file

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.word in self.getvalue():
            self.file.touch()
        return written


def says_and_waits(how: str, heard: Path) -> bool:
    """Say something, and find out whether it is heard while this runs."""
    if how == "logger":
        get_run_logger().info("are you there")
    elif how == "stderr":
        sys.stderr.write("are you there\n")
    else:
        print("are you there")
    deadline = time.monotonic() + WITHIN
    while not heard.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return heard.exists()


@pytest.mark.parametrize("how", ["logger", "log_prints"])
def test_lines_of_the_log_are_recorded_while_the_task_runs(
    runner: TaskRunner, events: list[Event], tmp_path: Path, how: str
) -> None:
    heard = tmp_path / "heard"
    speaks = task(name="speaks", log_prints=how == "log_prints")(says_and_waits)
    engine().recorder.listen(lambda one: heard.touch() if one.data.get("message") == "are you there" else None)
    before = time.time()
    assert within(runner, lambda: speaks.submit(how, heard).result()) is True
    [line] = [one for one in events if one.kind == "log"]
    [made] = [one for one in events if one.kind == "task-run"]
    assert (line.task_run_id, line.flow_run_id) == (made.task_run_id, made.flow_run_id)
    assert line.data["level"] == "INFO"
    assert before < line.time < time.time()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_printed_is_seen_while_the_task_runs(
    runner: TaskRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: str
) -> None:
    heard = tmp_path / "heard"
    ear = Ear("are you there\n", heard)
    speaks = task(says_and_waits)

    def body() -> Any:
        monkeypatch.setattr(sys, stream, ear)
        return speaks.submit(stream, heard).result()

    assert within(runner, body) is True
    assert ear.getvalue().count("are you there\n") == 1
    assert run_view("last").logs == ()


def test_what_is_printed_comes_in_order_and_whole(runner: TaskRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def chatty() -> None:
        for n in range(500):
            print("line", n, "äöü €")
        print("no end", end="")

    ear = io.StringIO()

    def body() -> None:
        monkeypatch.setattr(sys, "stdout", ear)
        chatty.submit().result()

    within(runner, body)
    assert ear.getvalue() == "".join(f"line {n} äöü €\n" for n in range(500)) + "no end"


def test_a_thread_of_the_task_speaks_for_it(runner: TaskRunner) -> None:
    @task(log_prints=True)
    def starts_thread() -> None:
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    within(runner, lambda: starts_thread.submit().result())
    assert [line.message for line in run_view("last").logs] == ["from a thread"]


def test_warnings_of_a_task_are_seen(runner: TaskRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def warns() -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, **__: print("warned:", message)
            warnings.warn("mind the gap", stacklevel=2)

    ear = io.StringIO()

    def body() -> None:
        monkeypatch.setattr(sys, "stdout", ear)
        warns.submit().result()

    within(runner, body)
    assert ear.getvalue() == "warned: mind the gap\n"


# --- states, context, nested runs -------------------------------------------------------------------------------------


def test_states_and_timings(runner: TaskRunner, events: list[Event]) -> None:
    @task
    def nap() -> None:
        time.sleep(0.2)

    def body() -> Any:
        future = nap.submit()
        future.wait()
        return future.state.name

    assert within(runner, body) == "Completed"
    assert states_of(events, "nap") == ["Running", "Completed"]
    [node] = run_view("last").nodes.values()
    assert 0.2 <= (node.duration() or 0) < CUT_SHORT
    assert find_run("last").state_name == "Completed"


def test_a_task_knows_its_run(runner: TaskRunner) -> None:
    @task(task_run_name="call-{n}")
    def ask(n: int) -> dict[str, Any]:
        from flowbook.runtime import flow_run, task_run

        names = ("id", "name", "parameters", "tags", "run_count", "start_time")
        return {
            "task": {name: getattr(task_run, name) for name in (*names, "task_name")},
            "flow": {name: getattr(flow_run, name) for name in (*names, "flow_name", "flow_version")},
        }

    @flow(task_runner=runner, name="asking", version="7")
    def pipeline(size: int, label: str = "x") -> Any:
        with tags("nightly"):
            return ask.submit(5).result()

    found = pipeline(3)
    [node] = run_view("last").nodes.values()
    assert {**found["task"], "start_time": None} == {
        "id": node.id,
        "name": "call-5",
        "task_name": "ask",
        "parameters": {"n": 5},
        "tags": ["nightly"],
        "run_count": 1,
        "start_time": None,
    }
    assert found["task"]["start_time"].timestamp() == pytest.approx(node.started, abs=1e-5)
    run = find_run("last")
    assert {**found["flow"], "start_time": None} == {
        "id": run.id,
        "name": run.name,
        "flow_name": "asking",
        "flow_version": "7",
        "parameters": {"size": 3, "label": "x"},
        "tags": [],
        "run_count": 1,
        "start_time": None,
    }


def test_an_artifact_of_a_task_belongs_to_its_run(runner: TaskRunner) -> None:
    from flowbook.artifacts import Artifact

    @task
    def report() -> None:
        from flowbook.artifacts import create_markdown_artifact

        create_markdown_artifact("# Done", key="report")

    within(runner, lambda: report.submit().result())
    found = Artifact.get("report")
    [node] = run_view("last").nodes.values()
    assert found is not None
    assert (found.data, found.task_run_id, found.flow_run_id) == ("# Done", node.id, find_run("last").id)


def test_tasks_inside_of_a_task(runner: TaskRunner) -> None:
    @task(log_prints=True)
    def inner(n: int) -> int:
        print("inner", n)
        return 10 * n

    @task
    def outer(n: int) -> Any:
        mapped = inner.map([n, n + 1])
        return [inner(n), inner.submit(n).result(), mapped]

    @flow(task_runner=runner)
    def pipeline() -> Any:
        return [outer.submit(1).result(), outer.submit(2).result()]

    assert pipeline() == [[10, 10, [10, 20]], [20, 20, [20, 30]]]
    view = run_view("last")
    inside = [node for node in view.nodes.values() if node.key.endswith("inner")]
    assert len({node.name for node in inside}) == len(inside) == 8
    assert {node.look for node in view.nodes.values()} == {"succeeded"}
    said = {line.task_run_id: line.message for line in view.logs}
    assert sorted(said[node.id] for node in inside) == sorted(f"inner {n}" for n in (1, 1, 1, 2, 2, 2, 2, 3))


def test_what_was_submitted_inside_of_a_task_has_ended_when_the_flow_has(runner: TaskRunner) -> None:
    @task
    def slow() -> None:
        time.sleep(0.2)

    @task
    def outer() -> None:
        slow.submit()

    within(runner, lambda: outer.submit().result())
    assert sorted(node.look for node in run_view("last").nodes.values()) == ["succeeded", "succeeded"]


def test_a_task_fails_by_a_task_inside_of_it(runner: TaskRunner) -> None:
    @task
    def inner() -> None:
        raise OutOfStock("tea", left=1)

    @task
    def outer() -> None:
        inner.submit().result()

    def body() -> None:
        with pytest.raises(OutOfStock, match="only 1 of tea"):
            outer.submit().result()

    within(runner, body)
    assert sorted(node.look for node in run_view("last").nodes.values()) == ["failed", "failed"]


def test_a_flow_inside_of_a_task(runner: TaskRunner) -> None:
    @task
    def step(n: int) -> int:
        return n + 1

    @flow(name="inner-flow")
    def inner(n: int) -> int:
        get_run_logger().info("inside")
        return sum(future.result() for future in step.map(range(n)))

    @task
    def outer() -> int:
        return inner(3)

    assert within(runner, lambda: outer.submit().result()) == 6
    [node] = [node for node in run_view("last").nodes.values() if node.name.endswith("inner-flow")]
    inside = run_view(node.id)
    assert inside.state is not None
    assert inside.state.is_completed()
    assert [one.look for one in inside.nodes.values()] == ["succeeded"] * 3
    assert [line.message for line in inside.logs] == ["inside"]


# --- interrupts -------------------------------------------------------------------------------------------------------


def works_on(ended: Path, beats: Path) -> None:
    """Work until it is interrupted."""
    try:
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            time.sleep(0.01)
            beats.touch()
    finally:
        ended.touch()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is interrupted may take its time, as it needs it on a slow machine, before it is ended otherwise."""
    for name in ("processes._INTERRUPT_GRACE", "dask.STOP_GRACE", "dask_line.STOP_GRACE"):
        monkeypatch.setattr(f"flowbook.run.{name}", WITHIN)
    for name in ("pool._INTERRUPT_GRACE", "stopping._GRACE"):
        monkeypatch.setattr(f"flowbook.run.{name}", 2 * WITHIN)


class Scene:
    """A task that is at work, and what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.files = self.ended, self.beats = folder / "ended", folder / "beats"
        self.before = self._processes()
        self.struck = 0.0

    def strike_once_it_works(self, strike: Callable[[], Any]) -> None:
        def wait_and_strike() -> None:
            until(self.beats.exists)
            self.struck = time.monotonic()
            strike()

        threading.Thread(target=wait_and_strike, daemon=True).start()

    def is_over(self) -> None:
        """It has not come to its own end; no process, no thread and no code of it is left."""
        assert time.monotonic() - self.struck < CUT_SHORT
        assert self.ended.exists() or not self.beats.exists(), "its finally block has not run"
        until(lambda: has_stopped(self.beats))
        assert self._processes() == self.before
        until(
            lambda: (
                not [
                    one
                    for one in threading.enumerate()
                    if one.name.startswith(("flowbook-pool", "flowbook-child", "flowbook-dask"))
                ]
            )
        )

    def _processes(self) -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.usefixtures("patient")
def test_ctrl_c_ends_tasks_with_the_flow(runner: TaskRunner, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    work = task(retries=3)(works_on)

    @flow(task_runner=runner)
    def pipeline() -> None:
        scene.strike_once_it_works(lambda: os.kill(os.getpid(), signal.SIGINT))
        futures = [work.submit(*scene.files) for _ in range(3)]
        wait(futures)

    with pytest.raises(KeyboardInterrupt):
        pipeline()
    scene.is_over()
    assert find_run("last").state_name == "Cancelled"
    assert {node.look for node in run_view("last").nodes.values()} == {"cancelled"}


@pytest.mark.usefixtures("patient")
def test_a_cancelled_flow_run_ends_with_its_tasks(runner: TaskRunner, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    work = task(retries=3)(works_on)

    @flow(task_runner=runner)
    def pipeline() -> None:
        scene.strike_once_it_works(lambda: cancel_flow_run("last"))
        wait([work.submit(*scene.files), work.submit(*scene.files)])

    with pytest.raises(CancelledRun):
        pipeline()
    scene.is_over()
    assert find_run("last").state_name == "Cancelled"


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_a_flow_that_is_out_of_time_ends_its_tasks(runner: TaskRunner, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    work = task(works_on)

    @flow(task_runner=runner, timeout_seconds=3)
    def pipeline() -> None:
        scene.struck = time.monotonic() + 3
        wait([work.submit(*scene.files)])

    with pytest.raises(TaskTimeoutError):
        pipeline()
    scene.is_over()
    assert find_run("last").state_name == "TimedOut"


def test_the_runner_is_fit_for_the_flow_s_next_attempt(runner: TaskRunner, tmp_path: Path) -> None:
    @task
    def number() -> int:
        return 1

    @flow(task_runner=runner, retries=1)
    def pipeline(attempts: Path) -> int:
        with attempts.open("a") as file:
            file.write("x")
        result = number.submit().result() + number.submit().result()
        if attempts.stat().st_size == 1:
            raise OSError("busy")
        return int(result)

    assert pipeline(tmp_path / "attempts") == 2
