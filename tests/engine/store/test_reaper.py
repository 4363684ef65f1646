"""Which runs are ended because their process is gone, and which are left alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from flowbook import task
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State, awaiting_retry, completed, failed, running, scheduled
from flowbook.engine import engine
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.store.events import events_of
from flowbook.store.processes import Process, is_gone, process_from, process_of, this_process
from flowbook.store.reaper import crash, reap

pytestmark = pytest.mark.usefixtures("store_url")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A living process that is not ours."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def record(run_id: str, process: Process, state: State | None, task_state: State | None = None) -> None:
    """A flow run of `process` as it would have recorded it."""
    made = {"name": run_id, "flow": "pipeline", "host": process.host, "pid": process.pid}
    events = [Event(kind="flow-run", time=1.0, flow_run_id=run_id, data={**made, "pid_started": process.started})]
    if state is not None:
        events.append(Event(kind="state", time=2.0, flow_run_id=run_id, data=state_to_json(state)))
    if task_state is not None:
        task_id = f"{run_id}-task"
        events.append(Event(kind="task-run", time=2.0, flow_run_id=run_id, task_run_id=task_id, data={"name": "t"}))
        data = state_to_json(task_state)
        events.append(Event(kind="state", time=3.0, flow_run_id=run_id, task_run_id=task_id, data=data))
    for event in events:
        engine().journal.append(event)
    engine().journal.flush()


def ended(process: subprocess.Popen[bytes]) -> Process:
    """`process`, once it has ended."""
    found = process_of(process.pid)
    process.kill()
    process.wait()
    return found


@pytest.mark.parametrize("state", [None, running(), running(2), awaiting_retry(60, 1, failed(OSError()))], ids=str)
def test_unfinished_runs_of_an_ended_process_have_crashed(child: subprocess.Popen[bytes], state: State | None) -> None:
    record("run", ended(child), state)
    assert find_run("run").state_name == "Crashed"


def test_its_unfinished_task_runs_crash_and_its_finished_ones_do_not(child: subprocess.Popen[bytes]) -> None:
    process = ended(child)
    record("one", process, running(), running())
    record("two", process, running(), completed())
    assert [run_view(name).nodes[f"{name}-task"].look for name in ("one", "two")] == ["crashed", "succeeded"]


def test_a_finished_run_stays_as_it_ended(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), completed())
    assert find_run("run").state_name == "Completed"


def test_a_run_that_waits_for_its_time_needs_no_process(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), scheduled())
    assert find_run("run").state_name == "Scheduled"


def test_a_run_of_a_living_process_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    record("run", process_of(child.pid), running())
    assert find_run("run").state_name == "Running"


def test_a_run_of_this_process_is_left_alone() -> None:
    record("run", this_process(), running())
    assert find_run("run").state_name == "Running"


def test_a_living_process_with_the_same_pid_and_another_start_is_another_one(child: subprocess.Popen[bytes]) -> None:
    alive = process_of(child.pid)
    before = Process(host=alive.host, pid=alive.pid, started=alive.started - 3600)
    assert is_gone(before)
    assert not is_gone(alive)
    record("run", before, running())
    assert find_run("run").state_name == "Crashed"


def test_an_ended_process_that_nobody_waited_for_is_gone(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child.pid)
    child.kill()
    psutil.Process(child.pid).status()
    for _ in range(1000):
        if psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE:
            break
    assert is_gone(process)


def test_nothing_is_known_of_processes_on_other_machines(child: subprocess.Popen[bytes]) -> None:
    gone = ended(child)
    record("run", Process(host="elsewhere", pid=gone.pid, started=gone.started), running())
    assert find_run("run").state_name == "Running"


def test_a_run_is_reaped_once(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), running())
    assert reap(engine().database) == ["run"]
    assert reap(engine().database) == []
    assert crash(engine().database, "run", "again") is False
    assert [run.state_name for run in recent_runs()] == ["Crashed"]


def test_a_run_that_somebody_else_has_claimed_is_not_crashed(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), running())
    assert crash(engine().database, "run", "too late", fence=-1) is False
    assert crash(engine().database, "run", "its lease ran out", fence=0) is True
    assert find_run("run").message == "its lease ran out"


@pytest.mark.parametrize("state", [None, running(), awaiting_retry(60, 1, failed(OSError()))], ids=str)
def test_a_task_run_outside_of_flows_crashes_with_its_process(
    child: subprocess.Popen[bytes], state: State | None
) -> None:
    process = process_of(child.pid)
    made = {"name": "t", "process": process.as_text()}
    engine().journal.append(Event(kind="task-run", time=1.0, flow_run_id=None, task_run_id="alone", data=made))
    if state is not None:
        data = state_to_json(state)
        engine().journal.append(Event(kind="state", time=2.0, flow_run_id=None, task_run_id="alone", data=data))
    recent_runs()
    assert state_of_task("alone") == (state.name if state else "Pending")
    ended(child)
    recent_runs()
    assert state_of_task("alone") == "Crashed"


def state_of_task(run_id: str) -> str:
    with engine().database.read() as connection:
        found: str = connection.exec_driver_sql(f"SELECT state_name FROM task_run WHERE id = '{run_id}'").scalar_one()
        return found


def test_a_task_run_outside_of_flows_knows_its_process() -> None:
    task(lambda: 1, name="one")()
    engine().journal.flush()
    with engine().database.read() as connection:
        (process,) = connection.exec_driver_sql("SELECT process FROM task_run").scalars()
    assert process_from(process) == this_process()


def test_a_run_that_nobody_begins_is_late_and_can_still_be_begun() -> None:
    for run_id, overdue in (("soon", 5), ("overdue", 60), ("tomorrow", -86400)):
        data = {"name": run_id, "flow": "pipeline", "due": time.time() - overdue}
        engine().journal.append(Event(kind="flow-run", time=1.0, flow_run_id=run_id, data=data))
        engine().journal.append(Event(kind="state", time=2.0, flow_run_id=run_id, data=state_to_json(scheduled())))
    recent_runs()
    states = {run.id: run.state_name for run in recent_runs()}
    assert states == {"soon": "Scheduled", "overdue": "Late", "tomorrow": "Scheduled"}
    assert [event.data["name"] for event in events_of(engine().database, "overdue")][1:] == ["Scheduled", "Late"]
