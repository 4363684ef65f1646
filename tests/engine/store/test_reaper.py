"""Which runs are ended because their process is gone, and which are left alone."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from sqlalchemy import update
from tests.deployed import ask, deploy

from flowbook import task
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import State, awaiting_retry, completed, failed, running, scheduled
from flowbook.engine import engine
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.store.claiming import Claimant, claim_due
from flowbook.store.database import Database
from flowbook.store.deployments import delete_deployment
from flowbook.store.events import events_of
from flowbook.store.fencing import LEASE
from flowbook.store.processes import Process, is_gone, process_from, process_of, this_process
from flowbook.store.queue import QueuedRun
from flowbook.store.reaper import crash, reap
from flowbook.store.schema import flow_run

pytestmark = pytest.mark.usefixtures("store_url")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A living process that is not ours."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def record(
    run_id: str,
    process: Process | None,
    state: State | None,
    task_state: State | None = None,
    at: float = 1.0,
    parent: str | None = None,
) -> None:
    """A flow run of `process` as it would have recorded it, or of none that waits for one; it began `at` that time."""
    made: dict[str, Any] = {"name": run_id, "flow": "pipeline", **({"parent": parent} if parent else {})}
    if process is not None:
        made |= {"host": process.host, "pid": process.pid, "pid_started": process.started}
    events = [Event(kind="flow-run", time=at, flow_run_id=run_id, data=made)]
    if state is not None:
        events.append(Event(kind="state", time=at, flow_run_id=run_id, data=state_to_json(state)))
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


def test_a_sub_flow_crashes_once_in_the_graph_of_its_parent(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child.pid)
    record("outer", process, running())
    record("inner", process, running(), parent="outer")
    node = {"name": "inner", "key": "inner", "flow": True}
    for event in (
        Event(kind="task-run", time=2.0, flow_run_id="outer", task_run_id="inner", data=node),
        Event(kind="state", time=2.0, flow_run_id="outer", task_run_id="inner", data=state_to_json(running())),
    ):
        engine().recorder.relay(event)
    engine().recorder.flush()
    child.kill()
    child.wait()
    assert sorted(reap(engine().database)) == ["inner", "outer"]
    of_node = [event for event in events_of(engine().database, "outer") if event.task_run_id == "inner"]
    assert [event.data["name"] for event in of_node if event.kind == "state"] == ["Running", "Crashed"]


def test_a_finished_run_stays_as_it_ended(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), completed())
    assert find_run("run").state_name == "Completed"


def test_a_run_that_waits_for_its_time_needs_no_process() -> None:
    record("run", None, scheduled())
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


def elsewhere(process: Process) -> Process:
    """A process of another machine that has the same pid."""
    return Process(host="elsewhere", pid=process.pid, started=process.started)


def lease_until(run_id: str, until: float) -> None:
    """The lease of a run ends at a time of the clock that all share."""
    with engine().database.write() as connection:
        connection.execute(update(flow_run).where(flow_run.c.id == run_id).values(lease=until))


@pytest.mark.parametrize("state", [None, running(), awaiting_retry(60, 1, failed(OSError()))], ids=str)
def test_a_process_of_another_machine_lives_as_long_as_its_lease(
    child: subprocess.Popen[bytes], state: State | None
) -> None:
    record("run", elsewhere(ended(child)), state)
    lease_until("run", time.time() + 10)
    assert find_run("run").look != "crashed"
    lease_until("run", time.time() - 12)
    found = find_run("run")
    assert found.state_name == "Crashed"
    assert re.search(r"Its process \d+ on elsewhere has not been heard of for 4\d seconds", found.message or "")


def test_a_process_of_another_machine_that_has_no_lease_yet_has_time_to_get_one(
    child: subprocess.Popen[bytes],
) -> None:
    process = elsewhere(ended(child))
    record("young", process, running(), at=time.time() - LEASE)
    record("old", process, running(), at=time.time() - 2 * LEASE - 1)
    recent_runs()
    assert {run.id: run.state_name for run in recent_runs()} == {"young": "Running", "old": "Crashed"}


def test_a_living_process_of_this_machine_is_believed_though_its_lease_ran_out(child: subprocess.Popen[bytes]) -> None:
    record("run", process_of(child.pid), running())
    lease_until("run", time.time() - 3600)
    assert find_run("run").state_name == "Running"


def test_a_stopped_process_of_this_machine_is_believed_as_long_as_its_lease(child: subprocess.Popen[bytes]) -> None:
    record("run", process_of(child.pid), running())
    child.send_signal(signal.SIGSTOP)
    while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
        pass
    lease_until("run", time.time() + 10)
    assert find_run("run").state_name == "Running"
    lease_until("run", time.time() - 1)
    assert find_run("run").state_name == "Crashed"


def test_a_process_of_this_machine_that_is_gone_is_gone_whatever_its_lease(child: subprocess.Popen[bytes]) -> None:
    record("run", ended(child), running())
    lease_until("run", time.time() + 3600)
    assert find_run("run").why == f"Its process {child.pid} on {this_process().host} has gone."


def claimed(database: Database, process: Process, **settings: Any) -> QueuedRun:
    """A run of a deployment that `process` executes."""
    ask(database, deploy(database, **settings))
    (run,) = claim_due(database, Claimant(process=process, pool="default"), time.time(), 1)
    begun = Event(kind="state", time=time.time(), flow_run_id=run.id, data=state_to_json(running()))
    engine().journal.append(begun)
    engine().journal.flush()
    return run


def test_a_crashed_run_begins_anew_as_often_as_the_retries_of_its_deployment_say(
    child: subprocess.Popen[bytes],
) -> None:
    database = engine().database
    gone = ended(child)
    run = claimed(database, gone, retries=2, retry_delay=60)
    for restart in (1, 2):
        assert reap(database) == [run.id]
        found = find_run(run.id)
        assert (found.state_name, found.ended) == ("AwaitingRetry", None)
        assert found.message == f"Its process went away. Beginning anew in 60.0 seconds, retry {restart} of 2."
        assert reap(database) == [], "it waits, and needs no process for that"
        claimant = Claimant(process=gone, pool="default")
        assert claim_due(database, claimant, time.time() + 50, 1) == []
        (again,) = claim_due(database, claimant, time.time() + 61, 1)
        assert (again.id, again.restarts) == (run.id, restart)
        assert again.fence > run.fence
        run = again
    assert reap(database) == [run.id]
    assert find_run(run.id).state_name == "Crashed"
    assert claim_due(database, Claimant(process=gone, pool="default"), time.time() + 3600, 1) == []
    names = [event.data["name"] for event in events_of(database, run.id) if event.kind == "state"]
    assert names.count("Crashed") == 3, "each crash is in the history of the run"


def test_a_crashed_run_of_a_deployment_without_retries_stays_crashed(child: subprocess.Popen[bytes]) -> None:
    run = claimed(engine().database, ended(child))
    assert reap(engine().database) == [run.id]
    assert find_run(run.id).state_name == "Crashed"
    assert find_run(run.id).ended is not None


def test_a_run_of_a_deployment_that_is_gone_does_not_begin_anew(child: subprocess.Popen[bytes]) -> None:
    run = claimed(engine().database, ended(child), retries=1)
    delete_deployment(engine().database, run.deployment_id)
    assert reap(engine().database) == [run.id]
    assert find_run(run.id).state_name == "Crashed"


def test_recovery_that_is_interrupted_is_done_by_the_next_one(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(engine().database, ended(child), retries=1)
    with monkeypatch.context() as broken:
        broken.setattr("flowbook.store.reaper._begin_anew", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reap(engine().database)
    assert events_of(engine().database, run.id)[-1].data["name"] == "Running", "all of it is undone"
    assert reap(engine().database) == [run.id]
    assert find_run(run.id).state_name == "AwaitingRetry"


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
