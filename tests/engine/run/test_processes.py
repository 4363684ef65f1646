"""Child processes that execute tasks: how they start, what they take over, how they end, and what cannot go to them."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import flow, task
from flowbook.core.events import Event
from flowbook.engine import engine
from flowbook.errors import NotPicklable, TaskTimeoutError, UsageError, WorkerLost
from flowbook.futures import wait
from flowbook.run.failures import portray, revive
from flowbook.run.pickles import is_importable, name_elsewhere, pack, unpack
from flowbook.runs import run_view
from flowbook.task_runners import ProcessPoolTaskRunner

LOST = "The process that executed task run"


def within(body: Callable[[], Any], workers: int = 2, **options: Any) -> Any:
    """The result of a flow with this body, whose tasks are executed in child processes."""
    return flow(task_runner=ProcessPoolTaskRunner(workers), name="pipeline", **options)(body)()


def failure_of(submitted: Any) -> BaseException:
    """What a submitted task has failed with."""
    error = submitted.result(raise_on_failure=False)
    assert isinstance(error, BaseException)
    return error


def children() -> set[int]:
    """The processes that this one has started, and those that they have."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def lives(number: int) -> bool:
    """Whether a process has not ended; one that nobody has asked for its exit code has."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    return False


@task
def pid() -> int:
    return os.getpid()


# --- start and end ----------------------------------------------------------------------------------------------------


def test_a_process_serves_one_task_after_the_other_and_ends_with_the_flow() -> None:
    before = children()

    def body() -> tuple[list[int], set[int]]:
        used = [pid.submit().result() for _ in range(4)]
        return used, children() - before

    used, started = within(body)
    assert set(used) == started
    assert len(started) == 1
    assert children() == before


def test_there_are_no_more_processes_than_workers() -> None:
    @task
    def slow() -> int:
        time.sleep(0.1)
        return os.getpid()

    def body() -> set[int]:
        return {future.result() for future in [slow.submit() for _ in range(6)]}

    assert len(within(body, workers=2)) == 2


def test_no_process_is_started_for_a_flow_that_submits_nothing() -> None:
    assert within(lambda: (pid(), children())) == (os.getpid(), children())


def test_a_child_imports_little() -> None:
    @task
    def modules() -> list[str]:
        heavy = ("sqlalchemy", "asyncio", "pydantic", "IPython", "numpy", "pandas", "distributed", "multiprocessing")
        return [name for name in heavy if name in sys.modules]

    assert within(lambda: modules.submit().result()) == []


def test_a_number_of_workers_must_be_positive() -> None:
    with pytest.raises(UsageError, match="max_workers is 0; a task runner needs at least 1 process"):
        ProcessPoolTaskRunner(max_workers=0)
    assert repr(ProcessPoolTaskRunner(3)) == "ProcessPoolTaskRunner(max_workers=3)"


def test_a_python_that_cannot_be_started_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)

    def body() -> list[BaseException]:
        found = []
        for program in (str(broken), "/no/such/python", ""):
            monkeypatch.setattr(sys, "executable", program)
            found.append(failure_of(pid.submit()))
        return found

    exits, missing, unknown = within(body)
    assert str(exits).startswith("The process for task run 'pid' could not be started: it ended with exit code 7.")
    assert "No such file or directory: '/no/such/python'" in str(missing)
    assert "sys.executable is empty" in str(unknown)
    assert {type(one) for one in (exits, missing, unknown)} == {WorkerLost}


def test_a_child_is_as_the_flow_s_process_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("answer = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLOUR", "red")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setattr(sys, "argv", ["report.py", "--fast"])

    @task
    def look() -> dict[str, Any]:
        import beside  # type: ignore[import-not-found]

        return {
            "cwd": str(Path.cwd()),
            "path": sys.path,
            "argv": sys.argv,
            "colour": os.environ["COLOUR"],
            "PYTHONPATH": os.environ.get("PYTHONPATH"),
            "answer": beside.answer,
            "stdin": sys.stdin.read(),
        }

    assert within(lambda: look.submit().result()) == {
        "cwd": str(tmp_path),
        "path": sys.path,
        "argv": ["report.py", "--fast"],
        "colour": "red",
        "PYTHONPATH": "/somewhere",
        "answer": 42,
        "stdin": "",
    }


def test_the_filters_of_warnings_go_for_tasks_too() -> None:
    @task
    def warns() -> str:
        try:
            warnings.warn("soon gone", FutureWarning, stacklevel=2)
        except FutureWarning:
            return "raised"
        return "passed"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert within(lambda: warns.submit().result()) == "raised"
        warnings.simplefilter("ignore")
        assert within(lambda: warns.submit().result()) == "passed"


def test_records_of_other_loggers_reach_the_handlers_of_the_flow_s_process(caplog: pytest.LogCaptureFixture) -> None:
    @task
    def says() -> None:
        logger = logging.getLogger("shop.orders")
        logger.debug("not wanted")
        logger.info("order %d", 7, extra={"customer": "Ada", "socket": threading.Lock()})
        try:
            {}["x"]
        except KeyError:
            logger.exception("lost")
        logging.getLogger("shop.quiet").warning("not wanted either")

    with caplog.at_level(logging.ERROR, "shop.quiet"), caplog.at_level(logging.INFO, "shop"):
        within(lambda: says.submit().result())
    order, lost = [record for record in caplog.records if record.name.startswith("shop")]
    assert (order.name, order.levelname, order.getMessage()) == ("shop.orders", "INFO", "order 7")
    assert order.customer == "Ada"  # type: ignore[attr-defined]
    assert order.socket.startswith("<unlocked")  # type: ignore[attr-defined]
    assert order.process != os.getpid()
    assert "KeyError: 'x'" in (lost.exc_text or "")


def test_the_standard_streams_of_a_child_can_be_used_as_such(capfd: pytest.CaptureFixture[str]) -> None:
    @task
    def writes() -> None:
        sys.stdout.buffer.write("öl".encode()[:1])
        sys.stdout.buffer.write("öl\n".encode()[1:])
        sys.stdout.writelines(["a\n", "b\n"])
        print("no such letter: \udc80", sys.stdout.encoding, sys.stdout.isatty())
        subprocess.run(["echo", "from another program"], stdout=sys.stdout, check=True)

    within(lambda: writes.submit().result())
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == sorted(["öl", "a", "b", "no such letter: \\udc80 utf-8 False", "from another program"])


# --- lost processes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "ended with exit code 3 before the task had ended"),
        (
            "kill",
            "was killed by signal 9 (SIGKILL) before the task had ended. That is what the system does when memory",
        ),
        ("crash", "was killed by signal 11 (SIGSEGV) before the task had ended: a library that it uses has crashed"),
    ],
)
def test_a_process_that_goes_away_is_a_crash_with_advice(
    how: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    @task
    def dies(how: str) -> None:
        print("last words")
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSEGV)

    def body() -> Any:
        lost = dies.submit(how)
        wait([lost])
        return failure_of(lost), lost.state.name, lost.state.type.value, pid.submit().result()

    error, name, type_, _ = within(body)
    assert isinstance(error, WorkerLost)
    assert f"{LOST} 'dies' {said}" in str(error)
    assert (name, type_) == ("Crashed", "CRASHED")
    out, err = capfd.readouterr()
    assert "last words" in out
    if how == "crash":
        assert "in dies" in err, "where it crashed"


def test_a_task_is_retried_after_its_process_has_gone(tmp_path: Path) -> None:
    @task(retries=1)
    def dies_once(mark: Path) -> str:
        if not mark.exists():
            mark.touch()
            os._exit(1)
        return "survived"

    assert within(lambda: dies_once.submit(tmp_path / "mark").result()) == "survived"


def test_an_idle_process_that_has_died_is_replaced() -> None:
    def body() -> bool:
        first = pid.submit().result()
        os.kill(first, signal.SIGKILL)
        until(lambda: not lives(first))
        time.sleep(0.05)
        return bool(pid.submit().result() != first)

    assert within(body) is True


def test_runs_inside_of_a_lost_process_do_not_stay_unfinished() -> None:
    @task
    def inner() -> None:
        os._exit(1)

    @flow(name="inner-flow")
    def inner_flow() -> None:
        inner()

    @task
    def outer() -> None:
        inner_flow()

    within(lambda: outer.submit().wait())
    view = run_view("last")
    assert sorted(node.look for node in view.nodes.values()) == ["crashed", "crashed"]
    [nested] = [node for node in view.nodes.values() if node.name.endswith("inner-flow")]
    inside = run_view(nested.id)
    assert inside.state is not None
    assert inside.state.message == "The process that executed it went away."
    assert [node.look for node in inside.nodes.values()] == ["crashed"]


@pytest.mark.slow
def test_no_child_outlives_a_flow_s_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, subprocess, sys, time\n"
        "from flowbook import flow, task\n"
        "from flowbook.task_runners import ProcessPoolTaskRunner\n"
        "@task\n"
        "def works():\n"
        "    started = subprocess.Popen(['sleep', '60'])\n"
        "    print(os.getpid(), started.pid, flush=True)\n"
        "    while True: sum(range(1000))\n"
        "@task\n"
        "def idles():\n"
        "    print(os.getpid(), flush=True)\n"
        "@flow(task_runner=ProcessPoolTaskRunner(2))\n"
        "def pipeline():\n"
        "    idle = idles.submit(); idle.wait()\n"
        "    works.submit(); works.submit().wait()\n"
        "pipeline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-u", str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = {int(word) for _ in range(3) for word in parent.stdout.readline().split()}
        assert len(pids) == 4
        parent.kill()
        until(lambda: not any(map(lives, pids)))


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_is_no_noise_of_the_children(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        "from flowbook import flow, task\n"
        "from flowbook.task_runners import ProcessPoolTaskRunner\n"
        "@task\n"
        "def works():\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
        "@flow(task_runner=ProcessPoolTaskRunner(2))\n"
        "def pipeline():\n"
        "    for future in [works.submit(), works.submit()]: future.wait()\n"
        "try:\n"
        "    pipeline()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-u", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["begun\n", "begun\n"]
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does it
        out, err = parent.communicate(timeout=CUT_SHORT)
    assert out == "interrupted\n"
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err


# --- deadlines and interrupts -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_timeout_ends_native_code_that_nothing_else_can_end() -> None:
    @task(timeout_seconds=0.3)
    def stuck() -> None:
        import ctypes

        ctypes.PyDLL(None).sleep(60)  # which keeps all threads of its process from running

    def body() -> Any:
        first = pid.submit().result()
        began = time.monotonic()
        error = failure_of(stuck.submit())
        took = time.monotonic() - began
        return error, took, first != pid.submit().result(), first

    error, took, is_fresh, first = within(body, workers=1)
    assert isinstance(error, TaskTimeoutError)
    assert 0.3 <= took < CUT_SHORT
    assert is_fresh
    assert not lives(first)


def test_a_timeout_leaves_time_to_clear_up_and_ends_what_the_task_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for grace in ("_TIMEOUT_GRACE", "_EXIT_GRACE"):
        monkeypatch.setattr(f"flowbook.run.processes.{grace}", CUT_SHORT)

    @task(timeout_seconds=2)
    def starts(cleared: Path, number: Path) -> None:
        started = subprocess.Popen(["sleep", "60"])
        number.write_text(str(started.pid))
        try:
            time.sleep(60)
        finally:
            cleared.touch()

    within(lambda: starts.submit(tmp_path / "cleared", tmp_path / "pid").wait())
    until((tmp_path / "cleared").exists)
    started = int((tmp_path / "pid").read_text())
    until(lambda: not lives(started))


@pytest.mark.slow
def test_a_task_that_ignores_an_interrupt_is_killed() -> None:
    before = children()

    @task
    def deaf() -> None:
        print("begun")
        while True:
            with suppress(BaseException):
                time.sleep(60)

    struck: list[float] = []

    def strike(event: Event) -> None:
        struck.append(time.monotonic())
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    engine().recorder.listen(lambda event: strike(event) if event.data.get("message") == "begun" else None)
    with pytest.raises(KeyboardInterrupt):
        within(lambda: deaf.submit().wait(), log_prints=True)
    assert time.monotonic() - struck[0] < CUT_SHORT
    assert children() == before
    assert [node.look for node in run_view("last").nodes.values()] == ["cancelled"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it may strike as a thread begins
def test_an_interrupt_while_a_child_starts() -> None:
    before = children()

    def body() -> None:
        futures = [pid.submit() for _ in range(4)]
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(WITHIN)
        wait(futures)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        within(body)
    assert time.monotonic() - began < CUT_SHORT
    assert children() == before


def test_an_interrupt_while_a_large_argument_is_on_its_way(tmp_path: Path) -> None:
    before = children()

    class Slow:
        """Keeps the child from reading what follows."""

        def __reduce__(self) -> Any:
            return time.sleep, (60,)

    @task
    def takes(slow: object, large: bytes) -> None: ...

    struck: list[float] = []

    def strike() -> None:
        struck.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def body() -> None:
        future = takes.submit(Slow(), bytes(50_000_000))
        threading.Timer(0.6, strike).start()
        future.wait()

    with pytest.raises(KeyboardInterrupt):
        within(body)
    assert time.monotonic() - struck[0] < CUT_SHORT
    assert children() == before


# --- what is sent -----------------------------------------------------------------------------------------------------

lock = threading.Lock()


def test_what_cannot_be_sent_is_named() -> None:
    inner = threading.Lock()

    @task
    def takes(settings: dict[str, Any], *, other: Any = None) -> None: ...

    @task
    def uses_global() -> object:
        return lock

    @task
    def uses_closure() -> object:
        return inner

    def body() -> list[str]:
        tried = [takes.submit({"a": [1, lock]}), takes.submit({}, other=lock), uses_closure.submit()]
        unfindable = task(_nowhere(uses_global.fn))
        errors = [failure_of(future) for future in [*tried, unfindable.submit()]]
        assert {type(error) for error in errors} == {NotPicklable}
        return [str(error) for error in errors]

    nested, direct, closure, global_ = within(body)
    assert nested.startswith(
        "Task run 'takes' cannot be sent to another process: its argument 'settings' holds at settings['a'][1] a "
        "_thread.lock, which cannot be pickled (TypeError: cannot pickle '_thread.lock' object). Hand over what it is"
    )
    assert "its argument 'other' is a _thread.lock" in direct
    assert "'inner', which its function uses, is a _thread.lock" in closure
    assert "'lock', which its function uses, is a _thread.lock" in global_


def test_what_is_nested_too_deeply_to_be_sent_is_named() -> None:
    @task
    def takes(nested: object) -> None: ...

    chain: list[Any] = []
    for _ in range(5_000):
        chain = [chain]
    error = str(within(lambda: failure_of(takes.submit(chain))))
    assert "a list, which cannot be pickled (too many objects inside of each other). Hand over a flat form" in error


def _nowhere(function: Any) -> Any:
    """The function as one of no module."""
    function.__module__ = "nowhere"
    return function


def test_what_cannot_be_sent_back_is_named() -> None:
    @task
    def gives() -> Any:
        return {"numbers": (n for n in range(3))}

    error = within(lambda: failure_of(gives.submit()))
    assert isinstance(error, NotPicklable)
    assert str(error).startswith(
        "The result of task run 'gives' cannot be sent back from the process that made it: it holds at "
        "result['numbers'] a generator, which cannot be pickled (TypeError: cannot pickle 'generator' object). Return"
    )


class Unreadable:
    """Can be pickled, and not be read again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_what_cannot_be_read_again_is_said_on_either_side() -> None:
    @task
    def takes(value: object) -> None: ...

    @task
    def gives() -> object:
        return Unreadable()

    there, back = within(lambda: [failure_of(takes.submit(Unreadable())), failure_of(gives.submit())])
    assert isinstance(there, NotPicklable)
    assert "The task cannot be read in the process that is to execute it: ValueError: invalid literal" in str(there)
    assert isinstance(back, NotPicklable)
    assert "The result of task run 'gives' cannot be read in the flow's process: ValueError: invalid" in str(back)


def test_an_exception_that_cannot_be_sent_arrives_under_its_name() -> None:
    @task
    def raises() -> None:
        class Unsendable(PermissionError):
            def __init__(self, message: str) -> None:
                super().__init__(message)
                self.lock = threading.Lock()

            def __reduce__(self) -> Any:
                raise TypeError("never")

        raise Unsendable("keep out")

    error = within(lambda: failure_of(raises.submit()))
    assert isinstance(error, PermissionError)
    assert (type(error).__name__, str(error)) == ("raises.<locals>.Unsendable", "keep out") or (
        type(error).__name__.endswith("Unsendable") and str(error) == "keep out"
    )


def test_an_exception_with_an_attribute_that_cannot_be_sent_loses_only_that() -> None:
    class Broken(ValueError):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            self.connection = threading.Lock()

    try:
        raise Broken("no answer")
    except Broken as raised:
        error = revive(pickle.loads(pickle.dumps(portray(raised))))
    assert type(error) is Broken
    assert str(error) == "no answer"
    assert not hasattr(error, "connection")


def test_large_arrays_are_not_copied_into_the_pickle() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(1_000_000, dtype="f8")
    head, part = pack({"a": array})
    assert len(head) < 1000
    assert numpy.shares_memory(numpy.frombuffer(part), array)
    assert (unpack([head, bytearray(part)])["a"] == array).all()


def test_a_large_array_goes_there_and_back_and_can_be_changed() -> None:
    numpy = pytest.importorskip("numpy")

    @task
    def double(array: Any) -> Any:
        array *= 2
        return array

    array = numpy.ones(12_500_000)  # 100 MB
    result = within(lambda: double.submit(array).result())
    assert result.sum() == 25_000_000
    assert array.sum() == 12_500_000, "the task has a copy"
    result += 1


def test_large_or_unpicklable_parameters_of_the_flow_do_not_keep_tasks_from_running() -> None:
    @task
    def look() -> tuple[dict[str, str], int]:
        from flowbook.runtime import flow_run

        shown = {name: repr(value) for name, value in flow_run.parameters.items()}
        return shown, flow_run.parameters["small"]

    @flow(task_runner=ProcessPoolTaskRunner(1))
    def pipeline(small: int, large: Any, odd: Any) -> Any:
        return look.submit().result()

    shown, small = pipeline(3, bytes(3_000_000), threading.Lock())
    assert (small, shown["small"]) == (3, "3")
    assert "it takes 3 MB; pass it to the task" in shown["large"]
    assert "it cannot be pickled: TypeError: cannot pickle '_thread.lock' object" in shown["odd"]


def test_a_task_is_pickled_by_name_where_it_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_tasks.py").write_text(
        "import threading\n"
        "from flowbook import flow, task\n"
        "guard = threading.Lock()\n"
        "@task(retries=2)\n"
        "def guarded(n):\n"
        "    with guard:\n"
        "        return n + 1\n"
        "@flow\n"
        "def nightly():\n"
        "    return guarded(1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import shop_tasks  # type: ignore[import-not-found]

    for thing in (shop_tasks.guarded, shop_tasks.nightly):
        assert pickle.loads(pickle.dumps(thing)) is thing
    assert name_elsewhere(shop_tasks.guarded) == "guarded"

    def body() -> Any:
        return shop_tasks.guarded.submit(1).result(), shop_tasks.guarded.with_options(name="x").submit(2).result()

    assert within(body) == (2, 3)


def test_a_task_of_no_module_is_pickled_with_its_options() -> None:
    @task(retries=2, name="local", tags=["a"])
    def work(n: int) -> int:
        return n if n < 2 else work.fn(n - 1) + work.fn(n - 2)

    again = unpack(pack(work))
    assert again is not work
    assert (again.name, again.options.retries, again.task_key, again.fn(10)) == ("local", 2, work.task_key, 55)
    assert again.work.rules.delays == work.work.rules.delays

    @flow(name="nightly", retries=1)
    def nightly(n: int = 1) -> int:
        return n

    copy = unpack(pack(nightly))
    assert (copy.name, copy.options.retries, copy.fn(2)) == ("nightly", 1, 2)


def test_what_another_interpreter_can_import() -> None:
    assert is_importable("json")
    assert is_importable("flowbook.tasks")
    assert is_importable("os.path")
    assert is_importable("builtins")
    assert not is_importable("__main__")
    assert not is_importable("no.such.module")


def test_a_module_that_only_this_process_has_goes_by_value() -> None:
    from types import ModuleType

    made = ModuleType("made_up")
    exec("def helper(n):\n    return n + 1\ndef work(n):\n    return helper(n) * 10", vars(made))
    sys.modules["made_up"] = made
    try:
        assert within(lambda: task(made.work).submit(1).result()) == 20
    finally:
        del sys.modules["made_up"]
