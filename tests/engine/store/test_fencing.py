"""Whoever has lost a run writes nothing more to it, and is told; whoever has it says so as long as it lives."""

from __future__ import annotations

import threading
import time

import pytest
from tests.deployed import MIDNIGHT, ask, deploy, process, runs
from tests.waiting import WITHIN

from flowbook import engine, flow, get_run_logger, runtime, task
from flowbook.artifacts import create_markdown
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import completed, running
from flowbook.engine import Engine
from flowbook.errors import CancelledRun
from flowbook.run.requests import BEAT_EVERY, Watcher
from flowbook.runs import find_run, run_view
from flowbook.store.claiming import Claimant, claim_due
from flowbook.store.database import Database
from flowbook.store.events import events_of
from flowbook.store.fencing import LEASE, Claims
from flowbook.store.journal import Journal
from flowbook.store.queue import take_over
from flowbook.store.reaper import crash


@pytest.fixture
def opened(store_url: str) -> Engine:
    return engine.engine()


@pytest.fixture
def database(opened: Engine) -> Database:
    return opened.database


@task
def step(n: int) -> int:
    return n


def lose(flow_run_id: str) -> None:
    """What another process does that takes the one executing this run for dead."""
    engine.engine().journal.flush()
    assert crash(engine.engine().database, flow_run_id, "Its process has not been heard of for a while.")


def wait_for_the_end() -> None:
    """The code of a flow that does not look: it is interrupted."""
    for _ in range(3000):
        time.sleep(0.01)
    raise AssertionError("nobody has ended this run")


def test_a_flow_that_has_lost_its_run_is_ended_and_writes_nothing_more(opened: Engine) -> None:
    lost: list[str] = []

    @flow
    def pipeline() -> None:
        step(1)
        lost.append(runtime.flow_run.id)
        lose(lost[0])
        get_run_logger().warning("a late word")
        create_markdown("late", key="late")
        step(2)
        wait_for_the_end()

    with pytest.raises(CancelledRun, match=r"This process was taken for dead, so the run is not its any more"):
        pipeline()

    found = find_run(lost[0])
    assert (found.state_name, found.message) == ("Crashed", "Its process has not been heard of for a while.")
    assert [node.name for node in run_view(found.id).nodes.values()] == ["step"]
    events = list(events_of(opened.database, found.id))
    assert (events[-1].kind, events[-1].data["name"]) == ("state", "Crashed")
    assert not [event for event in events if "late" in str(event.data)]
    with opened.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM artifact").scalar_one() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM task_run").scalar_one() == 1


def test_a_flow_whose_code_does_not_record_anything_is_told_by_its_heartbeat(opened: Engine) -> None:
    lost = threading.Event()

    @flow
    def pipeline() -> None:
        lose(runtime.flow_run.id)
        lost.set()
        wait_for_the_end()

    def beat() -> None:
        lost.wait()
        opened.journal.claims.renew(opened.database)

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(CancelledRun, match="was taken for dead"):
        pipeline()
    thread.join()
    assert find_run("last").state_name == "Crashed"


def test_the_next_flow_of_the_same_process_is_a_new_run(opened: Engine) -> None:
    @flow
    def pipeline(losing: bool) -> int:
        if losing:
            lose(runtime.flow_run.id)
            step(2)
            wait_for_the_end()
        return step(1)

    with pytest.raises(CancelledRun):
        pipeline(True)
    assert pipeline(False) == 1
    assert [run.state_name for run in (find_run("prev"), find_run("last"))] == ["Crashed", "Completed"]


def begin(journal: Journal, flow_run_id: str) -> None:
    """A flow run of this process, of which nothing is executed."""
    made = {"name": flow_run_id, "flow": "pipeline", "host": "elsewhere", "pid": 1, "pid_started": 1.0}
    journal.claims.hold(flow_run_id, 0)
    journal.append(Event(kind="flow-run", time=1.0, flow_run_id=flow_run_id, data=made))
    journal.append(Event(kind="state", time=2.0, flow_run_id=flow_run_id, data=state_to_json(running())))


def say(journal: Journal, flow_run_id: str | None, word: str) -> None:
    journal.append(Event(kind="log", time=3.0, flow_run_id=flow_run_id, data={"level": "INFO", "message": word}))


def said(database: Database, flow_run_id: str) -> list[str]:
    return [event.data["message"] for event in events_of(database, flow_run_id) if event.kind == "log"]


def test_what_others_record_in_the_same_group_is_written(opened: Engine, database: Database) -> None:
    journal = opened.journal
    told: list[str] = []
    journal.claims.lost = told.append
    for flow_run_id in ("mine", "lost", "also-mine"):
        begin(journal, flow_run_id)
    lose("lost")
    for word in ("one", "two"):
        for flow_run_id in ("mine", "lost", "also-mine"):
            say(journal, flow_run_id, word)
    made = {"name": "alone", "process": "1 1.0 elsewhere"}
    journal.append(Event(kind="task-run", time=3.0, flow_run_id=None, task_run_id="alone", data=made))
    for flow_run_id in ("mine", "lost"):
        journal.append(Event(kind="state", time=4.0, flow_run_id=flow_run_id, data=state_to_json(completed())))
    journal.flush()

    assert said(database, "mine") == said(database, "also-mine") == ["one", "two"]
    assert said(database, "lost") == []
    assert {run.id: run.state_name for run in runs(database)} == {
        "mine": "Completed",
        "lost": "Crashed",
        "also-mine": "Running",
    }
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT id FROM task_run").scalars().all() == ["alone"]
    assert told == ["lost"], "once"
    say(journal, "lost", "three")
    journal.flush()
    assert (said(database, "lost"), told) == ([], ["lost"])


def test_a_run_that_another_process_has_claimed_anew_is_written_by_that_one_only(
    opened: Engine, database: Database
) -> None:
    ask(database, deploy(database, retries=1))
    first, second = (Claims() for _ in range(2))
    for number, claims in enumerate((first, second), 1):
        (run,) = claim_due(database, Claimant(process=process(number), pool="default"), MIDNIGHT + 10**9, 1)
        assert take_over(database, run.id, run.fence, process(10 + number))
        claims.hold(run.id, run.fence)
        if number == 1:
            assert crash(database, run.id, "Its process is gone.", fence=run.fence)
    with database.read() as connection:
        assert first.lost_among(connection, [run.id], []) == {run.id}
        assert second.lost_among(connection, [run.id], []) == set()
        assert second.lost_among(connection, ["unknown"], []) == set()


def lease_of(database: Database, flow_run_id: str) -> float | None:
    (lease,) = (run.lease for run in runs(database) if run.id == flow_run_id)
    return lease  # type: ignore[no-any-return]


def test_leases_of_what_is_executed_here_are_renewed(opened: Engine, database: Database) -> None:
    told: list[str] = []
    claims = opened.journal.claims
    claims.lost = told.append
    for flow_run_id in ("runs", "ended", "lost"):
        begin(opened.journal, flow_run_id)
    opened.journal.append(Event(kind="state", time=4.0, flow_run_id="ended", data=state_to_json(completed())))
    lose("lost")
    before = time.time()
    claims.renew(database)
    lease = lease_of(database, "runs")
    assert lease is not None
    assert before + LEASE - 1 <= lease <= time.time() + LEASE + 1
    assert lease_of(database, "ended") is None
    assert lease_of(database, "lost") is None
    assert told == ["lost"]
    claims.renew(database)
    assert (lease_of(database, "runs") or 0.0) >= lease
    assert told == ["lost"]


def test_runs_are_renewed_as_long_as_they_are_executed() -> None:
    class Run:
        def cancel(self, reason: str) -> None: ...
        def resume(self, data: object) -> bool:
            return False

    class Inbox:
        def pending(self) -> list[object]:
            looked.set()
            return []

    now = 1000.0
    beats: list[float] = []
    looked, beaten = threading.Event(), threading.Event()

    def beat() -> None:
        beats.append(now)
        beaten.set()

    watcher = Watcher(Inbox(), beat=beat, clock=lambda: now)  # type: ignore[arg-type]
    watcher.enter("run", Run())  # type: ignore[arg-type]
    now += 1
    assert looked.wait(WITHIN)
    assert beats == [], "short runs cost nothing"
    now += BEAT_EVERY + 1
    assert beaten.wait(WITHIN)
    beaten.clear()
    now += BEAT_EVERY + 1
    assert beaten.wait(WITHIN)
    beaten.clear()
    watcher.close()
    assert beats == [1002.0 + BEAT_EVERY, 1003.0 + 2 * BEAT_EVERY]
