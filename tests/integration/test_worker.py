"""A real worker process: it fires schedules, survives what it executes, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.deployed import process_of_run
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook.engine import engine
from flowbook.promote import promote, request_run
from flowbook.runs import RunSummary, find_run, recent_runs, run_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts worker processes, which are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flowbook.cli", "worker", "start", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def kernels_of(run_id: str) -> list[psutil.Process]:
    """The living processes that belong to a run."""
    folder = str(run_folder(run_id))
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLOWBOOK_RUN_FOLDER") == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def told_kernel(run_id: str) -> Any:
    path = run_folder(run_id) / "kernel.json"
    return json.loads(path.read_text()) if path.is_file() else None


def printed_in_first_cell(run_id: str) -> str:
    """What the executed notebook has of it."""
    kept = find_run(run_id).notebook
    outputs = json.loads(Path(kept).read_text())["cells"][0]["outputs"] if kept else []
    return "".join(line for output in outputs for line in output.get("text", ()))


def finished(look: str) -> list[RunSummary]:
    return [run for run in recent_runs() if run.look == look]


def test_a_schedule_fires_and_the_notebook_is_executed(
    make_notebook: Any, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    path = make_notebook("report", "# parameters\nn: int = 1", "x = n * 2\nprint('x is', x)", "x + 1")
    promote(path, cron="*/3 * * * * *", parameters={"n": 5})
    process = worker("--limit", "1")
    until(lambda: len(finished("succeeded")) >= 2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=WITHIN)
    assert process.returncode == 0
    runs = sorted(finished("succeeded"), key=lambda run: run.number)
    assert {run.trigger for run in runs} == {"schedule"}
    assert re.search(r"begins .*, [\d.]+ s after its time", said)
    assert runs[0].notebook is not None
    made = json.loads(Path(runs[0].notebook).read_text())["cells"]
    outputs = [
        ["".join(output.get("text") or output["data"]["text/plain"]) for output in cell["outputs"]] for cell in made
    ]
    assert outputs == [["Parameters of this run:\nn = 5"], ["x is 10\n"], ["11"]]
    assert [cell["execution_count"] for cell in made] == [1, 2, 3]
    assert not [run for run in recent_runs() if run.look == "running"]


def test_killing_the_executing_process_leaves_the_run_crashed(
    make_notebook: Any, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    promote(make_notebook("report", "print('begun', flush=True)", "import time\ntime.sleep(600)"))
    asked = request_run("report")
    process = worker()
    until(lambda: find_run(asked.id).total == 2 and kernels_of(asked.id))
    until(lambda: printed_in_first_cell(asked.id) == "begun\n")
    executing = process_of_run(engine().database, asked.id)
    assert executing is not None
    assert executing.pid != process.pid
    sockets = Path(until(lambda: told_kernel(asked.id))["sockets"])
    assert sockets.is_dir()
    executing.kill()
    run = until(lambda: next(iter(finished("crashed")), None))
    assert run.id == asked.id
    assert (run.state_type, run.done, run.total) == ("CRASHED", 1, 2)
    until(lambda: not kernels_of(asked.id) and not sockets.exists())
    assert printed_in_first_cell(asked.id) == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN) == 0


def test_the_second_signal_ends_everything_at_once(
    make_notebook: Any, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    promote(make_notebook("report", "import time\ntime.sleep(600)"))
    asked = request_run("report")
    process = worker()
    until(lambda: kernels_of(asked.id) and find_run(asked.id).total)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # the first signal lets runs come to their end
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=CUT_SHORT)
    assert find_run(asked.id).look == "crashed"
    until(lambda: not kernels_of(asked.id))


def test_a_worker_that_is_killed_takes_its_run_with_it(
    make_notebook: Any, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    promote(make_notebook("report", "print('begun', flush=True)", "import time\ntime.sleep(600)"))
    asked = request_run("report")
    process = worker()
    until(lambda: find_run(asked.id).total == 2 and kernels_of(asked.id))
    until(lambda: printed_in_first_cell(asked.id) == "begun\n")
    executing = process_of_run(engine().database, asked.id)
    assert executing is not None
    assert executing.pid != process.pid
    process.kill()
    run = until(lambda: next(iter(finished("crashed")), None))
    assert (run.id, run.why) == (asked.id, f"Its worker, process {process.pid}, is gone.")
    until(lambda: not kernels_of(asked.id) and not executing.is_running())
    assert run.notebook is not None
    assert printed_in_first_cell(asked.id) == "begun\n"


def test_run_once_with_parameters_from_the_command_line(make_notebook: Any, tmp_path: Path) -> None:
    def cli(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flowbook.cli", *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), check=False)

    path = make_notebook("report", "# parameters\nday: str = ''\nn: int = 1", "print(day, n + 1)\nassert n < 9")
    assert cli("promote", str(path)).returncode == 0
    assert cli("deployment", "run", "report", "--param", "day=2026-01-01", "--param", "n=7").returncode == 0
    assert cli("deployment", "run", "report", "--params", '{"n": 9}').returncode == 0
    once = cli("worker", "start", "--run-once")
    assert once.stdout.endswith("2 runs were executed.\n")
    assert (once.returncode, once.stderr) == (1, "Run 2 did not complete. See why with: flowbook runs show 2\n")
    assert cli("worker", "start", "--run-once").returncode == 0  # nothing is due, so nothing failed
    shown = cli("runs", "show", "1").stdout
    assert "Succeeded in" in shown
    executed = re.search(r"Executed notebook: +(\S+)", shown)
    assert executed is not None
    assert json.loads(Path(executed[1]).read_text())["cells"][1]["outputs"][0]["text"] == ["2026-01-01 8\n"]
    shown = cli("runs", "show", "last").stdout
    assert "Failed at cell 2 · print(day, n + 1)" in shown
    assert "\nCell In[2], line 2\n      1 print(day, n + 1)\n----> 2 assert n < 9\n" in shown


def test_watch_follows_a_run_to_its_end(
    make_notebook: Any, worker: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    promote(make_notebook("good", "x = 1"))
    promote(make_notebook("bad", "1 / 0"))
    worker()
    command = [sys.executable, "-m", "flowbook.cli", "deployment", "run", "--watch"]
    good = subprocess.run([*command, "good"], capture_output=True, text=True, timeout=WITHIN, check=False)
    assert good.returncode == 0, good.stderr
    assert "Succeeded in" in good.stdout
    assert "As a page:" in good.stdout
    bad = subprocess.run([*command, "bad"], capture_output=True, text=True, timeout=WITHIN, check=False)
    assert bad.returncode == 1
    assert "ZeroDivisionError" in bad.stdout
