"""Deployed and served Python flows, executed by real worker processes: how their runs end, and what is left of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.deployed import process_of_run
from tests.waiting import CUT_SHORT, WITHIN, lives, until

from flowbook import engine
from flowbook.deployments import run_deployment
from flowbook.flow_runs import cancel_flow_run
from flowbook.runs import RunSummary, find_run, recent_runs, run_view
from flowbook.store.deployments import find_deployment, manifest_of

pytestmark = pytest.mark.slow

FLOWS = [Path(__file__).with_name(name) for name in ("served_flows.py", "served_defaults.py")]

Start = Callable[..., subprocess.Popen[str]]


def python(folder: Path, *arguments: str, within: float = WITHIN, ends: Container[int] = (0,), **env: str) -> str:
    """What a Python process says that has to end with one of these exit statuses."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within,
        check=False,
    )
    assert done.returncode in ends, done.stdout
    return done.stdout


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(code))
    return path


def work(folder: Path, **env: str) -> None:
    """Have all that is due executed, however it ends."""
    command = ("-m", "flowbook.cli", "worker", "start", "--run-once", "--limit", "2")
    python(folder, *command, within=2 * WITHIN, ends=(0, 1), **env)


def messages(run_id: str) -> list[str]:
    return [line.message for line in run_view(run_id).logs]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python processes, which are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def worker(start: Start) -> Callable[..., subprocess.Popen[str]]:
    """Starts a worker and waits until it is ready."""

    def run(*options: str) -> subprocess.Popen[str]:
        process = start("-m", "flowbook.cli", "worker", "start", *options)
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        return process

    return run


def processes_of(run_id: str) -> list[psutil.Process]:
    """The living processes that were started for a run."""
    executing = process_of_run(engine.engine().database, run_id)
    found = [executing] if executing is not None else []
    for process in psutil.process_iter():
        try:
            if run_id in process.environ().get("MARK", ""):
                found.append(process)
        except psutil.Error:
            continue
    return list(filter(lives, found))


# --- How runs end -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of one run of each flow of two scripts, deployed by them and executed by a worker."""
    folder = tmp_path_factory.mktemp("flows")
    env = {"FLOWBOOK_HOME": str(folder / "home")}
    for script in FLOWS:
        shutil.copy(script, folder)
        python(folder, script.name, str(folder), **env)
    work(folder, **env)
    look = """
        import json
        from flowbook.runs import recent_runs, run_view
        print(json.dumps({run.flow: {
            "state": run.state_name,
            "message": run.message,
            "parameters": run.parameters,
            "logs": [line.message for line in run_view(run.id).logs],
        } for run in recent_runs(100)}))
    """
    found: dict[str, dict[str, Any]] = json.loads(python(folder, "-c", textwrap.dedent(look), **env))
    return found


@pytest.mark.parametrize(
    ("flow", "state", "message"),
    [
        ("raises", "Failed", "ValueError: no such day"),
        ("exits", "Crashed", "The run was ended by SystemExit(3)."),
        ("exits-as-if-well", "Crashed", "The run was ended by SystemExit(0)."),
        ("exits-at-once", "Crashed", "it exited with status 7"),
        ("is-killed", "Crashed", "it was killed by SIGKILL"),
        ("wants-memory", "Failed", "MemoryError"),
        ("takes-too-long", "TimedOut", "ran longer than its timeout of 0.5 seconds"),
        ("fails-twice", "Completed", ""),
        ("is-killed-once", "Completed", ""),
        ("is-killed-each-time", "Crashed", "it was killed by SIGKILL"),
        ("cannot-begin", "Failed", "Flow 'cannot-begin' could not begin: ZeroDivisionError: division by zero."),
        ("inline", "Completed", ""),
        ("under-options", "Completed", ""),
    ],
)
def test_how_a_run_ends(ended: dict[str, dict[str, Any]], flow: str, state: str, message: str) -> None:
    assert ended[flow]["state"] == state
    assert message in (ended[flow]["message"] or "")


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ("speaks", ["a print", "a warning", "a child", "from C, \ufffd, with no end of line"]),
        ("inline", ["a print", "a warning", "a child", "from C, \ufffd, with no end of line"]),
        ("prints", ["not for the log, but for the output", "an error"]),
        ("exits", ["on my way out"]),
        ("awaits", ["doubled: 8"]),
        ("yields", ["yields 0", "yields 1", "yields 2"]),
        ("yields-async", ["yields 0", "yields 1", "yields 2"]),
    ],
)
def test_what_a_run_says_is_in_its_log(ended: dict[str, dict[str, Any]], flow: str, said: list[str]) -> None:
    assert sorted(set(ended[flow]["logs"]) & set(said)) == sorted(said)
    assert len(ended[flow]["logs"]) <= len(said) + 2  # and nothing twice


def test_a_traceback_in_the_log_begins_in_the_users_code(ended: dict[str, dict[str, Any]]) -> None:
    logs = ended["raises"]["logs"]
    begin = logs.index("Traceback (most recent call last):")
    assert "served_flows.py" in logs[begin + 1]
    assert "in raises" in logs[begin + 1]
    assert logs[-1] == "ValueError: no such day"


def test_defaults_of_every_kind(ended: dict[str, dict[str, Any]]) -> None:
    (said,) = ended["has-defaults"]["logs"]
    assert said == (
        "(datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 1, 7, 0), datetime.timedelta(seconds=7200), "
        "<Colour.BLUE: 'blue'>, Shop(city='Bern', rooms=1), [1, 2], None, 3, Ellipsis, PosixPath('data'))"
    )
    assert ended["has-defaults"]["parameters"]["shop"] == {"city": "Bern", "rooms": 1}


def test_the_running_flow_knows_its_deployment(ended: dict[str, dict[str, Any]]) -> None:
    (said,) = ended["asks-who-it-is"]["logs"]
    assert said.endswith("d 1 {'n': 5} True")


def test_a_flow_under_the_guard_of_the_script_runs_as_well(ended: dict[str, dict[str, Any]]) -> None:
    assert ended["of-the-script-only"]["state"] == "Completed"
    assert ended["of-the-script-only"]["logs"][0].startswith("here as well: ")


# --- Where flows come from --------------------------------------------------------------------------------------------


def test_the_snapshot_runs_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    code = """
        import helpers
        from flowbook import flow

        @flow(log_prints=True)
        def nightly():
            print("as deployed, with", helpers.WORD)

        nightly.deploy(name="d")
        """
    write(tmp_path, "helpers.py", "WORD = 'old'")
    path = write(tmp_path, "script.py", code)
    said = python(tmp_path, "script.py")
    assert "Deployed 'nightly/d', version 1: script.py:nightly" in said
    path.write_text("raise SystemExit('not any more')")
    write(tmp_path, "helpers.py", "WORD = 'new'")
    asked = run_deployment("nightly/d", timeout=0)
    work(tmp_path)
    assert find_run(asked.id).state_name == "Completed"
    logs = messages(asked.id)
    assert "Warning: helpers.py is not as it was when the flow was deployed." in logs
    assert "as deployed, with new" in logs
    assert any("is not deployed: the file is only being loaded" in line for line in logs)
    assert find_deployment(engine.engine().database, "d").version == 1
    path.unlink()
    (tmp_path / "helpers.py").unlink()
    gone = run_deployment("nightly/d", timeout=0)
    work(tmp_path)
    found = find_run(gone.id)
    assert found.state_name == "Failed"
    assert "script.py, line 2, could not be loaded: ModuleNotFoundError: No module named 'helpers'." in found.why


def test_a_flow_of_a_package_with_relative_imports_and_one_of_a_module(tmp_path: Path) -> None:
    write(tmp_path, "lib/shop/__init__.py", "")
    write(tmp_path, "lib/shop/rates.py", "RATE = 3")
    write(
        tmp_path,
        "lib/shop/flows.py",
        """
        from flowbook import flow
        from .rates import RATE

        @flow(log_prints=True)
        def priced(n: int = 2):
            print("price", n * RATE, __name__)
        """,
    )
    write(
        tmp_path, "lib/plain.py", "from flowbook import flow\n\n@flow(log_prints=True)\ndef simple():\n    print('so')"
    )
    write(
        tmp_path,
        "deploy.py",
        """
        import sys
        sys.path.insert(0, "lib")
        from plain import simple
        from shop.flows import priced

        priced.deploy(name="d", parameters={"n": 5})
        priced.with_options(name="other").deploy(name="d")
        simple.deploy(name="d")
        """,
    )
    python(tmp_path, "deploy.py")
    asked = [run_deployment(name, timeout=0).id for name in ("priced/d", "other/d", "simple/d")]
    write(tmp_path, "lib/shop/rates.py", "RATE = 4")
    work(tmp_path)
    said = [sorted(messages(run_id)) for run_id in asked]
    warning = "Warning: shop/rates.py is not as it was when the flow was deployed."
    assert said == [[warning, "price 20 shop.flows"], [warning, "price 8 shop.flows"], ["so"]]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write(folder, "f.py", "from flowbook import flow\n\n@flow\ndef f(): ...\n\nf.deploy(name='d')")
    python(folder, "f.py")
    shutil.rmtree(folder)
    asked = run_deployment("f/d", timeout=0)
    work(tmp_path)
    found = find_run(asked.id)
    assert found.state_name == "Failed"
    assert f"The folder {folder}, which the flow was deployed from, is gone; runs are executed in it." in found.why


CELLS = [
    "from flowbook import flow, task\nrate = 3",
    "@task\ndef double(n):\n    return 2 * n * rate",
    "@flow(log_prints=True)\ndef of_cells(n: int = 1):\n    print('made', double(n))",
    "of_cells.deploy(name='d', parameters={'n': 7})",
]


def in_a_kernel(folder: Path) -> str:
    """Execute the cells in a kernel; returns what they print."""
    from jupyter_client.manager import start_new_kernel

    said: list[str] = []
    manager, client = start_new_kernel(cwd=str(folder))
    try:
        for cell in CELLS:
            reply = client.execute_interactive(
                cell, timeout=WITHIN, output_hook=lambda message: said.append(message["content"].get("text", ""))
            )
            assert reply["content"]["status"] == "ok", reply
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return "".join(said)


def in_a_repl(folder: Path) -> str:
    """Type the cells at Python's prompt; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-i"],
        input="\n\n".join(CELLS) + "\n",
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("session", [in_a_kernel, in_a_repl])
def test_a_flow_that_no_file_defines_is_pickled_and_signed(
    session: Callable[[Path], str], tmp_path: Path, home: Path
) -> None:
    assert "Deployed 'of-cells/d', version 1: of-cells" in session(tmp_path)
    found = find_deployment(engine.engine().database, "d")
    assert manifest_of(engine.engine().database, found.id, 1)["kind"] == "pickle"
    asked = run_deployment("of-cells/d", timeout=0)
    work(tmp_path)
    assert messages(asked.id) == ["made 42"]
    (home / "key").write_bytes(bytes(32))
    asked = run_deployment("of-cells/d", timeout=0)
    work(tmp_path)
    run = find_run(asked.id)
    assert run.state_name == "Failed"
    assert f"The pickled flow was not signed with the key of {home}, so it is not loaded." in str(run.why)


# --- Stopping ---------------------------------------------------------------------------------------------------------

STUBBORN = """
    import os, signal, subprocess, sys, time
    from flowbook import flow, runtime

    @flow
    def stubborn():
        # a child that ignores what would end it, and is told by its environment
        child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('child', flush=True); time.sleep(600)"
        env = {**os.environ, "MARK": runtime.flow_run.id}
        subprocess.Popen([sys.executable, "-c", child], env=env)
        print("begun", flush=True)
        while True:
            time.sleep(0.1)

    @flow
    def deaf():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("begun", flush=True)
        while True:
            time.sleep(0.1)

    if __name__ == "__main__":
        stubborn.deploy(name="d", print_next_steps=False)
        deaf.deploy(name="d", print_next_steps=False)
    """


def begun(name: str) -> str:
    """The id of a new run of a deployment, when it is in full swing."""
    asked = run_deployment(name, timeout=0)
    until(lambda: {"begun", "child"} & set(messages(asked.id)) >= {"begun"})
    if name.startswith("stubborn"):
        until(lambda: "child" in messages(asked.id))
        assert len(processes_of(asked.id)) == 2
    return asked.id


def test_a_run_that_hangs_is_cancelled_with_all_its_children(tmp_path: Path, worker: Start) -> None:
    write(tmp_path, "stubborn.py", STUBBORN)
    python(tmp_path, "stubborn.py")
    worker()
    run_id = begun("stubborn/d")
    cancel_flow_run(run_id)
    until(lambda: find_run(run_id).state_name == "Cancelled")
    until(lambda: not processes_of(run_id))


def test_killing_the_worker_leaves_its_run_crashed_and_no_process(tmp_path: Path, worker: Start) -> None:
    write(tmp_path, "stubborn.py", STUBBORN)
    python(tmp_path, "stubborn.py")
    process = worker()
    run_id = begun("stubborn/d")
    process.kill()
    until(lambda: find_run(run_id).state_name == "Crashed")
    assert f"Its worker, process {process.pid}, is gone." in str(find_run(run_id).why)
    until(lambda: not processes_of(run_id))


def test_the_second_signal_ends_at_once_even_what_ignores_signals(tmp_path: Path, worker: Start) -> None:
    write(tmp_path, "stubborn.py", STUBBORN)
    python(tmp_path, "stubborn.py")
    process = worker()
    run_ids = [begun("stubborn/d"), begun("deaf/d")]
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)  # the first one lets runs come to their end
    assert [find_run(run_id).state_name for run_id in run_ids] == ["Running", "Running"]
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=CUT_SHORT)
    assert process.returncode == 0, said
    assert [find_run(run_id).state_name for run_id in run_ids] == ["Crashed", "Crashed"]
    assert not [each for run_id in run_ids for each in processes_of(run_id)]


def test_after_the_grace_period_runs_are_told_to_stop(tmp_path: Path) -> None:
    from flowbook.schedule.worker import Worker

    write(tmp_path, "stubborn.py", STUBBORN)
    python(tmp_path, "stubborn.py")
    hosted = Worker(limit=2, pool="default", grace=0.2, said=lambda _: None)
    with engine_thread(hosted.run):
        run_id = begun("stubborn/d")
        hosted.stop()
    assert find_run(run_id).state_name == "Crashed"
    assert "SIGTERM: the worker was told to stop" in str(find_run(run_id).why)
    assert not processes_of(run_id)


class engine_thread:
    """Have a function run in a thread, which has to have ended when the block does."""

    def __init__(self, function: Callable[[], Any]) -> None:
        import threading

        self.thread = threading.Thread(target=function)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.thread.join(WITHIN)
        assert not self.thread.is_alive()


# --- run_deployment ---------------------------------------------------------------------------------------------------

PARENTS = """
    import asyncio, sys, time
    from flowbook import flow, runtime
    from flowbook.deployments import run_deployment

    @flow(log_prints=True)
    def part(n: int = 1):
        print("parent", runtime.flow_run.parent_flow_run_id, runtime.flow_run.root_flow_run_id)
        if n < 0:
            raise ValueError("negative")
        return n

    @flow
    def whole():
        good = run_deployment("part/d", parameters={"n": 2}, idempotency_key="once")
        same = run_deployment("part/d", parameters={"n": 2}, idempotency_key="once")
        bad = run_deployment("part/d", parameters={"n": -2})
        apart = run_deployment("part/d", as_subflow=False, timeout=0, flow_run_name="apart")
        assert good.state.is_completed() and bad.state.is_failed() and same.id == good.id, (good, bad, same)
        assert "negative" in bad.state.message
        assert good.parent_flow_run_id == runtime.flow_run.id

    @flow
    async def whole_async():
        good, other = await asyncio.gather(run_deployment("part/d"), run_deployment("part/d"))
        assert good.state.is_completed() and other.state.is_completed() and good.id != other.id

    @flow
    def lasts():
        time.sleep(600)

    @flow
    def waits():
        print("begun", flush=True)
        run_deployment("lasts/d")

    if __name__ == "__main__":
        for each in (part, whole, whole_async, lasts, waits):
            each.deploy(name="d", print_next_steps=False)
    """


def nodes(run_id: str) -> list[tuple[str, str]]:
    return [(node.name, node.look) for node in run_view(run_id).nodes.values()]


def test_runs_of_deployments_in_flows_are_in_their_graph_and_are_cancelled_with_them(
    tmp_path: Path, worker: Start
) -> None:
    write(tmp_path, "parents.py", PARENTS)
    python(tmp_path, "parents.py")
    worker("--limit", "4")
    whole = run_deployment("whole/d", timeout=0)
    in_turn = run_deployment("whole-async/d", timeout=WITHIN)
    assert in_turn.state is not None
    assert in_turn.state.is_completed(), in_turn
    assert nodes(in_turn.id) == [("part", "succeeded"), ("part-1", "succeeded")]
    until(lambda: find_run(whole.id).ended)
    assert find_run(whole.id).state_name == "Completed", find_run(whole.id)
    assert nodes(whole.id) == [("part", "succeeded"), ("part-1", "failed")]
    (first, _) = run_view(whole.id).nodes
    assert messages(first) == [f"parent {whole.id} {whole.id}"]
    until(lambda: find_run("apart").ended)
    assert messages(find_run("apart").id) == [f"parent None {find_run('apart').id}"]

    waits = run_deployment("waits/d", timeout=0)
    (child,) = until(lambda: list(run_view(waits.id).nodes))
    until(lambda: find_run(child).state_name == "Running")
    cancel_flow_run(waits.id)
    until(lambda: find_run(waits.id).ended and find_run(child).ended)
    assert (find_run(waits.id).state_name, find_run(child).state_name) == ("Cancelled", "Cancelled")
    assert "Cancelled with the flow run" in str(find_run(child).message)


# --- serve ------------------------------------------------------------------------------------------------------------

SERVED = """
    import sys
    from flowbook import flow, serve

    @flow(log_prints=True)
    def often(word: str = "x"):
        print("word", word)

    @flow
    def seldom(): ...

    options = {"pause_on_shutdown": False} if "keep" in sys.argv else {}
    serve(
        often.to_deployment("same", cron="*/3 * * * * *", parameters={"word": "y"}, tags=["t"]),
        seldom.to_deployment("same", cron="0 0 1 1 *", timezone="Europe/Zurich"),
        limit=2,
        **options,
    )
    """


def paused() -> list[bool]:
    database = engine.engine().database
    return [find_deployment(database, f"{flow}/same").paused for flow in ("often", "seldom")]


def succeeded() -> list[RunSummary]:
    return [run for run in recent_runs() if run.look == "succeeded"]


def stop(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    said, _ = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, said
    return said


def test_serving_fires_by_schedule_until_it_is_interrupted_and_goes_on_later(tmp_path: Path, start: Start) -> None:
    write(tmp_path, "served.py", SERVED)
    process = start("served.py")
    until(lambda: len(succeeded()) >= 2)
    runs = succeeded()
    assert {(run.flow, run.deployment, run.trigger) for run in runs} == {("often", "same", "schedule")}
    assert "word y" in messages(runs[0].id)
    loaded = "Nothing is served: the file is only being loaded."
    until(lambda: any(line.startswith(loaded) for line in messages(runs[0].id)))
    on_demand = run_deployment("seldom/same", timeout=WITHIN)
    assert on_demand.state is not None
    assert on_demand.state.is_completed()
    said = stop(process, signal.SIGINT)
    assert said.startswith("Serving 'often/same', 'seldom/same'. Stop it with Ctrl-C.")
    assert "Next runs of 'same': " in said
    assert said.endswith("The schedules of what was served are paused until it is served again.\n")
    assert "Traceback" not in said
    assert paused() == [True, True]
    assert not [run for run in recent_runs() if run.look == "running"]
    number = recent_runs()[0].number
    process = start("served.py", "keep")
    until(lambda: succeeded()[0].number > number)
    assert paused() == [False, False]
    assert find_deployment(engine.engine().database, "often/same").version == 2
    assert "paused" not in stop(process, signal.SIGTERM)
    assert paused() == [False, False]


# --- Seed 3 -----------------------------------------------------------------------------------------------------------


def test_a_deployment_built_as_in_prefect_2_runs_with_the_rendered_date(tmp_path: Path) -> None:
    write(
        tmp_path,
        "etl.py",
        """
        from flowbook import flow
        from flowbook.deployments import Deployment

        @flow(name="daily-order-etl", log_prints=True, retries=1, retry_delay_seconds=300)
        def daily_order_etl(execution_date: str = None):
            print("for", execution_date)

        if __name__ == "__main__":
            deployment = Deployment.build_from_flow(
                daily_order_etl,
                name="daily-schedule",
                schedule={"cron": "0 6 * * *", "timezone": "UTC"},
                work_pool_name="default-agent-pool",
                parameters={"execution_date": "{{ data_interval_end }}"},
            )
            deployment.apply()
        """,
    )
    python(tmp_path, "etl.py")
    due = datetime(2026, 1, 5, 6, tzinfo=UTC)
    asked = run_deployment("daily-order-etl/daily-schedule", scheduled_time=due, timeout=0)
    python(tmp_path, "-m", "flowbook.cli", "worker", "start", "--pool", "default-agent-pool", "--run-once")
    assert find_run(asked.id).state_name == "Completed"
    assert messages(asked.id) == ["for 2026-01-05T06:00:00+00:00"]
    found = find_deployment(engine.engine().database, "daily-schedule")
    assert (found.settings.retries, found.settings.retry_delay) == (1, 300.0)
