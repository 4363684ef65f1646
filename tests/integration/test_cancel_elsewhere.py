"""Runs of other processes are cancelled and resumed: scripts, and notebooks that a worker executes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.drawn import drawn_in
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import resume_flow_run
from flowbook.engine import close_engines
from flowbook.errors import FlowbookError, ParameterError, UsageError
from flowbook.flow_runs import cancel_flow_run
from flowbook.promote import promote, request_run
from flowbook.runs import RunSummary, find_run, recent_runs, run_folder, run_view

pytestmark = pytest.mark.slow

Script = Callable[[str], "subprocess.Popen[str]"]

HEAD = """
import asyncio, sys, time
from flowbook import flow, task, pause_flow_run
from flowbook.input import RunInput
"""


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """Starts Python programs, which are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HEAD + code]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the ``home`` of a worker process, one for the module, and its ``worker.log``."""
    folder = tmp_path_factory.mktemp("worker")
    command = [sys.executable, "-m", "flowbook.cli", "worker", "start"]
    env = {**os.environ, "FLOWBOOK_HOME": str(drawn_in(folder / "home"))}
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, cwd=folder, env=env)
    yield folder
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(WITHIN)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def worker_says(hosted: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Has the test's home be that of the worker; what the worker has said since."""
    close_engines()
    monkeypatch.setenv("FLOWBOOK_HOME", str(hosted / "home"))
    log = hosted / "worker.log"
    before = len(log.read_text())
    yield lambda: log.read_text()[before:]
    close_engines()


def cli(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowbook.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False, timeout=WITHIN)


def running(look: str = "running") -> RunSummary:
    """The last run, once it looks like that, and its code has begun."""
    found: RunSummary = until(lambda: next((run for run in recent_runs(1) if run.look == look), None))
    return found


def ended(run_id: str) -> RunSummary:
    """The run, once it has ended."""
    found: RunSummary = until(lambda: found if (found := find_run(run_id)).ended is not None else None)
    return found


def cancelled_in_time(run: RunSummary) -> RunSummary:
    """The run after it was cancelled, which did not go on to its own end."""
    began = time.monotonic()
    found = cancelled(run)
    assert time.monotonic() - began < CUT_SHORT
    return found


def cancelled(run: RunSummary) -> RunSummary:
    """The run after it was cancelled."""
    cancel_flow_run(run.id)
    found = ended(run.id)
    assert found.state_name == "Cancelled"
    assert found.message is not None
    assert found.message.startswith("Cancelled on request of ")
    assert found.message.endswith(f"pid {os.getpid()}.")
    return found


SLEEPERS = {
    "in the main thread": """
@flow
def pipeline():
    time.sleep(60)
pipeline()
""",
    "on an event loop": """
@flow
async def pipeline():
    await asyncio.sleep(60)
asyncio.run(pipeline())
""",
    "waiting for tasks": """
@task
def slow(n):
    while True: time.sleep(0.01)
@flow
def pipeline():
    slow.map(range(50))
pipeline()
""",
    "paused": """
@flow
def pipeline():
    pause_flow_run()
pipeline()
""",
}


@pytest.mark.parametrize("how", SLEEPERS)
def test_a_script_is_cancelled(script: Script, how: str) -> None:
    process = script(SLEEPERS[how])
    run = running("paused" if how == "paused" else "running")
    cancelled_in_time(run)
    _, errors = process.communicate(timeout=WITHIN)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("flowbook.errors.CancelledRun: Cancelled on request of ")
    assert set(run_view(run.id).counts()) <= {"cancelled"}


def test_from_the_command_line(script: Script) -> None:
    process = script(SLEEPERS["in the main thread"])
    run = running()
    answer = cli("runs", "cancel", "last")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"Run 1 ({run.name}) of flow 'pipeline' is Cancelled: Cancelled on request of ")
    process.communicate(timeout=WITHIN)
    again = cli("flow-run", "cancel", "last")
    assert again.returncode == 1
    assert again.stderr == f"Error: Flow run {run.name!r} has ended already: it is Cancelled.\n"


def test_the_code_of_the_script_goes_on_after_a_cancelled_flow(script: Script) -> None:
    process = script("""
from flowbook.errors import CancelledRun
@flow
def pipeline():
    time.sleep(60)
try:
    pipeline()
except CancelledRun:
    time.sleep(1)
    print("went on")
""")
    cancelled(running())
    said, errors = process.communicate(timeout=WITHIN)
    assert (said, process.returncode) == ("went on\n", 0), errors


def test_resumed_by_another_process(script: Script) -> None:
    process = script("""
class Answer(RunInput):
    name: str
    age: int
    tags: list[str] = []
@flow
def pipeline():
    return pause_flow_run(wait_for_input=Answer)
print(repr(pipeline()))
""")
    run = running("paused")
    with pytest.raises(ParameterError, match="Field 'age' of the input of flow run") as refused:
        resume_flow_run(run.id, {"name": "Ada", "age": "old"})
    assert refused.value.field == "age"
    with pytest.raises(UsageError, match="needs the field 'name'"):
        resume_flow_run(run.number)
    assert find_run(run.id).look == "paused"
    missing = cli("runs", "resume", "last", "--input", "name")
    assert (missing.returncode, "'name' is not FIELD=VALUE" in missing.stderr) == (2, True)
    answer = cli("runs", "resume", "last", "--input", "name=Ada", "--input", "age=36", "--input", 'tags=["a"]')
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"Run 1 ({run.name}) of flow 'pipeline' goes on.\n"
    said, errors = process.communicate(timeout=WITHIN)
    assert said == "Answer(name='Ada', age=36, tags=['a'])\n", errors
    with pytest.raises(UsageError, match="is not paused: it is Completed"):
        resume_flow_run(run.id)


def test_logs_from_the_command_line(script: Script) -> None:
    process = script("""
@task(log_prints=True)
def load():
    print("three rows")
@flow
def pipeline():
    load()
pipeline()
""")
    process.communicate(timeout=WITHIN)
    assert cli("runs", "logs", "last").stdout.endswith("INFO    load: three rows\n")
    (line,) = json.loads(cli("runs", "logs", "1", "--output", "json").stdout)
    assert (line["task"], line["level"], line["message"]) == ("load", "INFO", "three rows")


@pytest.mark.parametrize("how", ["in the main thread", "paused"])
def test_a_process_that_is_gone_leaves_a_crashed_run(script: Script, how: str) -> None:
    process = script(SLEEPERS[how])
    run = running("paused" if how == "paused" else "running")
    os.kill(process.pid, signal.SIGSTOP)
    if how != "paused":
        assert cancel_flow_run(run.id).is_cancelling()
        assert find_run(run.id).state_name == "Cancelling"
    process.kill()
    process.wait()
    assert find_run(run.id).state_name == "Crashed"


def test_a_process_that_does_not_answer(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbook.flow_runs._ANSWER_WITHIN", 0.5)
    process = script(SLEEPERS["paused"])
    run = running("paused")
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(FlowbookError, match="did not answer within"):
        resume_flow_run(run.id)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(1)
    assert find_run(run.id).look == "paused", "nobody wants the late answer"


def test_the_thread_that_looks_costs_next_to_nothing(script: Script) -> None:
    process = script("""
import threading
@flow
def pipeline():
    time.sleep(0.5)
    import psutil
    def seconds():
        mine = {t.native_id for t in threading.enumerate() if t.name == "flowbook-requests"}
        return sum(t.user_time + t.system_time for t in psutil.Process().threads() if t.id in mine)
    before = seconds()
    time.sleep(5)
    print(seconds() - before)
pipeline()
""")
    said, errors = process.communicate(timeout=WITHIN)
    assert float(said) < 0.5, errors  # of processor time, which is below 0.05 on an idle machine


def kernels_of(run_id: str) -> list[psutil.Process]:
    """The living kernels of a run."""
    folder, found = str(run_folder(run_id)), []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLOWBOOK_RUN_FOLDER") == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "plain cells": (
        "from pathlib import Path\nimport time",
        "Path('begun').touch()\ntry:\n    time.sleep(600)\nfinally:\n    Path('cleaned').touch()",
        "Path('went on').touch()",
    ),
    "task cells": (
        "from pathlib import Path\nimport time",
        "%%task slow\nPath('begun').touch()\ntime.sleep(600)\nx = 1",
        "%%task later\ny = x",
        "Path('cleaned').touch()",
    ),
    "deaf": (
        "from pathlib import Path",
        "Path('begun').touch()\nPath('cleaned').touch()\nsum(range(10**12))",
    ),
}
FLOWS: dict[str, tuple[str, ...]] = {
    "a flow": (
        "from flowbook import flow\nfrom pathlib import Path\nimport time",
        "@flow\ndef pipeline():\n    Path('begun').touch()\n    try:\n        time.sleep(600)\n"
        "    finally:\n        Path('cleaned').touch()",
    ),
    "a deaf flow": (
        "from flowbook import flow\nfrom pathlib import Path",
        "@flow\ndef pipeline():\n    Path('begun').touch()\n    Path('cleaned').touch()\n    sum(range(10**12))",
    ),
    "a flow that has not begun": (
        "from flowbook import flow\nfrom pathlib import Path\nimport time",
        "Path('begun').touch()\ntry:\n    wait = time.sleep(600)\nfinally:\n    Path('cleaned').touch()",
        "@flow\ndef pipeline():\n    return wait",
    ),
}


@pytest.mark.alone
@pytest.mark.parametrize("kind", [*NOTEBOOKS, *FLOWS])
def test_a_notebook_that_a_worker_executes_is_cancelled(
    make_notebook: Any, worker_says: Callable[[], str], kind: str
) -> None:
    path = make_notebook("report", *(NOTEBOOKS | FLOWS)[kind])
    promote(path, flow="pipeline" if kind in FLOWS else None)
    asked = request_run("pipeline" if kind in FLOWS else "report")
    until((path.parent / "begun").exists)
    cancelled_in_time(find_run(asked.id))
    assert (path.parent / "cleaned").exists() is (kind != "task cells")
    assert not (path.parent / "went on").exists()
    assert set(run_view(asked.id).counts()) <= {"cancelled", "succeeded"}
    until(lambda: not kernels_of(asked.id))
    until(lambda: "ended: Cancelled: Cancelled on request of " in worker_says())
    executed = json.loads(Path(find_run(asked.id).notebook or "").read_text())
    if kind in ("plain cells", "a flow that has not begun"):
        assert executed["cells"][1]["outputs"][-1]["ename"] == "KeyboardInterrupt"
    assert find_run(asked.id).state_name == "Cancelled"


@pytest.mark.alone  # there is a worker for the tests above
@pytest.mark.usefixtures("worker_says")
def test_a_flow_that_a_worker_executes_is_resumed(make_notebook: Any) -> None:
    cells = (
        "from flowbook import flow, pause_flow_run",
        "@flow\ndef pipeline():\n    return pause_flow_run(wait_for_input=int) + 1",
    )
    promote(make_notebook("report", *cells), flow="pipeline")
    asked = request_run("pipeline")
    until(lambda: find_run(asked.id).look == "paused")
    with pytest.raises(ParameterError, match="valid integer"):
        resume_flow_run(asked.id, {"value": "x"})
    resume_flow_run(asked.id, {"value": 41})
    assert ended(asked.id).state_name == "Completed"
    until(lambda: find_run(asked.id).html)
    executed = json.loads(Path(find_run(asked.id).notebook or "").read_text())
    assert executed["cells"][-1]["outputs"][-1]["data"]["text/plain"] == ["42"]
