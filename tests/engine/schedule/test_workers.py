"""Which workers live, and what a worker does with the runs that it claims."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.deployed import DAY, MIDNIGHT, ask, deploy, fires, runs

from flowbook import engine
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import completed, failed, running
from flowbook.errors import NotFound
from flowbook.promote import promote, request_run
from flowbook.runs import find_run, run_folder
from flowbook.schedule import processes
from flowbook.schedule.fires import make_due_runs, next_due
from flowbook.schedule.worker import HEARTBEAT, SWEEP, Worker
from flowbook.store.claiming import Claimant
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment, find_deployment
from flowbook.store.pools import create_pool, update_pool
from flowbook.store.processes import Process, this_process
from flowbook.store.queue import QueuedRun
from flowbook.store.schema import deployment_version
from flowbook.store.workers import beat, forget, living, living_workers, register

NOW = 1_800_000_000.0


@pytest.fixture
def database(store_url: str) -> Database:
    return engine.engine().database


def of(process: Process, **options: Any) -> Claimant:
    return Claimant(process=process, pool="default", **options)


def test_a_worker_lives_from_its_start_to_its_end(database: Database) -> None:
    assert living(database, NOW) == 0
    register(database, "a", of(this_process(), queues=("urgent",)), "left", 4, NOW)
    beat(database, "a", NOW + 10, busy=3)
    (worker,) = living_workers(database, NOW + 11)
    assert (worker.name, worker.pool, worker.queues) == ("left", "default", ("urgent",))
    assert (worker.slots, worker.busy, worker.started, worker.heartbeat) == (4, 3, NOW, NOW + 10)
    assert (worker.host, worker.pid) == (this_process().host, this_process().pid)
    forget(database, "a")
    assert living(database, NOW) == 0


def test_a_worker_whose_process_is_gone_does_not_live_and_is_forgotten(database: Database) -> None:
    register(database, "gone", of(replace(this_process(), started=1.0)), "gone", 1, NOW)
    assert living(database, NOW) == 0
    register(database, "here", of(this_process()), "here", 1, NOW)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT id FROM worker").scalars().all() == ["here"]


def test_a_worker_of_another_machine_lives_as_long_as_it_is_heard_of(database: Database) -> None:
    register(database, "far", of(Process(host="elsewhere", pid=1, started=1.0)), "far", 1, NOW)
    assert living(database, NOW + 50) == 1
    assert living(database, NOW + 70) == 0
    beat(database, "far", NOW + 65, busy=0)
    assert living(database, NOW + 70) == 1


# What a worker does, without processes: runs are executed by the tests.


class Executed:
    """A run that a worker has begun."""

    def __init__(self, run: QueuedRun, settings: Mapping[str, Any], ended: Callable[[], None]) -> None:
        self.run = run
        self.settings = settings
        self._ended = ended
        self.over = False
        self.asked = False
        self.said(running())

    def said(self, state: Any) -> None:
        data = state_to_json(state)
        engine.engine().journal.append(Event(kind="state", time=time.time(), flow_run_id=self.run.id, data=data))
        engine.engine().journal.flush()

    def finish(self, state: Any = None) -> None:
        if state is not None:
            self.said(state)
        self.over = True
        self._ended()

    def is_over(self) -> bool:
        return self.over

    def ended_by(self) -> str:
        return "it was killed by SIGKILL"

    def ask_to_end(self) -> None:
        self.asked = True

    def end_at_once(self) -> None:
        self.over = True


class Executing:
    """A worker type that leaves the executing to the tests."""

    def __init__(self) -> None:
        self.begun: list[Executed] = []
        self.prepared: list[Mapping[str, Any]] = []

    def check(self, settings: Mapping[str, Any], title: str) -> dict[str, Any]:
        return dict(settings)

    def prepare(self, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.prepared.append({**manifest, **settings})

    def launch(
        self, run: QueuedRun, manifest: Mapping[str, Any], settings: Mapping[str, Any], ended: Callable[[], None]
    ) -> Executed:
        self.begun.append(Executed(run, settings, ended))
        return self.begun[-1]

    def close(self) -> None:
        pass


@pytest.fixture
def executing() -> Executing:
    return Executing()


def started(executing: Executing, limit: int = 2, **options: Any) -> Worker:
    worker = Worker(limit=limit, said=lambda _: None, grace=0.0, **({"pool": "default"} | options))
    worker.type = executing
    return worker


def states(database: Database) -> list[str]:
    return [run.state_name for run in runs(database)]


def test_a_worker_executes_as_many_as_it_may_and_goes_on_as_they_end(database: Database, executing: Executing) -> None:
    saved = deploy(database)
    for index in range(3):
        ask(database, saved, MIDNIGHT + index)
    worker = started(executing)
    worker.step(MIDNIGHT + 10)
    assert states(database) == ["Running", "Running", "Scheduled"]
    executing.begun[0].finish(completed())
    worker.step(MIDNIGHT + 11)
    assert states(database) == ["Completed", "Running", "Running"]
    worker.step(MIDNIGHT + 12)
    assert len(executing.begun) == 3


def test_a_worker_says_when_its_next_run_is_due(database: Database, executing: Executing) -> None:
    ask(database, deploy(database), MIDNIGHT + 60)
    assert started(executing).step(MIDNIGHT) == MIDNIGHT + 60


def test_a_worker_prepares_for_what_it_may_have_to_execute(database: Database, executing: Executing) -> None:
    create_pool(database, "mine", settings={"env": {"STAGE": "test"}})
    deploy(database, name="first", pool="mine")
    deploy(database, name="elsewhere", pool="default")
    deploy(database, name="paused", pool="mine", paused=True)
    worker = started(executing, pool="mine")
    worker.step(MIDNIGHT)
    (prepared,) = executing.prepared
    assert prepared["env"] == {"STAGE": "test"}
    assert not executing.begun


def test_what_ends_without_a_word_has_crashed(database: Database, executing: Executing) -> None:
    ask(database, deploy(database))
    worker = started(executing)
    worker.step(MIDNIGHT)
    executing.begun[0].finish()
    worker.step(MIDNIGHT + 1)
    (run,) = runs(database)
    assert run.state_name == "Crashed"
    assert run.state_message == "The process that executed the run is gone: it was killed by SIGKILL."


def test_a_worker_says_why_a_run_failed(database: Database, executing: Executing) -> None:
    ask(database, deploy(database))
    worker = started(executing)
    said: list[str] = []
    worker.said = said.append
    worker.step(MIDNIGHT)
    executing.begun[0].finish(failed(FileNotFoundError("no sales.csv")))
    worker.step(MIDNIGHT + 1)
    assert said[-1].endswith(" ended: Failed: FileNotFoundError: no sales.csv")


def test_what_ends_without_a_word_begins_anew_where_its_deployment_says_so(
    database: Database, executing: Executing
) -> None:
    ask(database, deploy(database, retries=1))
    worker = started(executing)
    worker.step(MIDNIGHT)
    executing.begun[0].finish()
    worker.step(time.time() + 1)
    assert [each.run.restarts for each in executing.begun] == [0, 1]
    executing.begun[1].finish(completed())
    worker.step(time.time() + 2)
    assert states(database) == ["Completed"]


def test_a_run_that_collides_is_cancelled_where_its_deployment_says_so(
    database: Database, executing: Executing
) -> None:
    saved = deploy(database, concurrency_limit=1, collision="CANCEL_NEW")
    ask(database, saved, MIDNIGHT)
    worker = started(executing)
    worker.step(MIDNIGHT)
    ask(database, saved, MIDNIGHT + 1)
    worker.step(MIDNIGHT + 2)
    assert states(database) == ["Running", "Cancelled"]
    assert runs(database)[1].state_message == "Deployment 'report' executes as many runs as it may at a time."
    assert len(executing.begun) == 1


def test_the_one_before_is_cancelled_where_its_deployment_says_so(database: Database, executing: Executing) -> None:
    saved = deploy(database, concurrency_limit=1, collision="CANCEL_PREVIOUS")
    ask(database, saved, MIDNIGHT)
    worker = started(executing)
    worker.step(MIDNIGHT)
    ask(database, saved, MIDNIGHT + 1)
    worker.step(MIDNIGHT + 2)
    assert states(database) == ["Cancelling", "Scheduled"]
    assert runs(database)[0].state_message == "A newer run of deployment 'report' takes its place."
    worker.step(MIDNIGHT + 3)
    assert len(engine.engine().requests.pending()) == 1, "it is asked once"
    executing.begun[0].finish(completed())
    worker.step(MIDNIGHT + 4)
    assert states(database)[1] == "Running"


def test_the_settings_of_the_pool_are_those_of_its_runs_unless_their_deployment_says_another(
    database: Database, executing: Executing
) -> None:
    create_pool(database, "office", settings={"env": {"A": "pool", "B": "pool"}, "working_dir": "/pool"})
    saved = deploy(database, pool="office")
    with database.write() as connection:
        manifest = '{"job_variables": {"env": {"B": "own"}, "memory_mb": 512}}'
        connection.execute(deployment_version.update().values(manifest=manifest))
    ask(database, saved)
    started(executing, pool="office").step(MIDNIGHT)
    assert executing.begun[0].settings == {
        "env": {"A": "pool", "B": "own"},
        "working_dir": "/pool",
        "memory_mb": 512,
    }


def test_a_worker_of_a_pool_that_is_not_there_is_refused(database: Database) -> None:
    with pytest.raises(NotFound, match=r"There is no work pool 'offcie'\. Did you mean 'office'\?"):
        create_pool(database, "office")
        Worker(limit=1, pool="offcie")


def test_a_worker_lets_a_paused_pool_be(database: Database, executing: Executing) -> None:
    ask(database, deploy(database))
    worker = started(executing)
    update_pool(database, "default", paused=True)
    worker.step(MIDNIGHT)
    assert executing.begun == []
    update_pool(database, "default", paused=False)
    worker.step(MIDNIGHT)
    assert len(executing.begun) == 1


def test_a_worker_that_serves_executes_its_own(database: Database, executing: Executing) -> None:
    mine, other = (deploy(database, name=name, pool=None) for name in ("mine", "other"))
    wanted = ask(database, mine)
    ask(database, other)
    started(executing, pool=None, deployments=[mine.id]).step(MIDNIGHT)
    assert [each.run.id for each in executing.begun] == [wanted.id]


def test_a_stopped_worker_asks_its_runs_to_end_and_none_is_left_running(
    database: Database, executing: Executing
) -> None:
    saved = deploy(database)
    for _ in range(2):
        ask(database, saved)
    worker = started(executing, limit=1)
    worker.step(MIDNIGHT)
    worker.stop()
    worker.stop()
    worker.run()
    assert executing.begun[0].asked
    assert states(database) == ["Crashed", "Scheduled"]
    assert living(database, time.time()) == 0


def test_a_run_that_has_not_begun_when_its_worker_stops_is_handed_back(
    database: Database, executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Executed, "said", lambda *_: None)  # the process has come to nothing yet
    ask(database, deploy(database))
    worker = started(executing)
    worker.step(MIDNIGHT)
    assert states(database) == ["Pending"]
    worker.stop()
    worker.stop()
    worker.run()
    (run,) = runs(database)
    assert (run.state_name, run.pid) == ("Scheduled", None)
    assert run.state_message == "Handed back by a worker that stopped."


def test_a_worker_beats_and_sweeps_now_and_then(
    database: Database, executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = [1000.0]
    done: list[str] = []
    monkeypatch.setattr("flowbook.schedule.worker.time.monotonic", lambda: ticks[0])
    monkeypatch.setattr("flowbook.schedule.worker.reap", lambda *_: done.append("sweep"))
    monkeypatch.setattr("flowbook.schedule.worker.beat", lambda *_, **__: done.append("beat"))
    worker = started(executing)
    for ticks[0] in (1000.0, 1000.5, 1000 + SWEEP, 1000 + HEARTBEAT):
        worker.step(NOW)
    assert done == ["sweep", "beat", "sweep", "sweep", "beat"]


def test_run_once_makes_what_is_due_and_executes_all_of_it(database: Database, executing: Executing) -> None:
    saved = deploy(database, "0 0 * * *", since=MIDNIGHT)
    ask(database, saved, time.time())
    worker = started(executing, limit=1)
    executing.launch = lambda run, manifest, settings, ended: _done(Executed(run, settings, ended))  # type: ignore[method-assign]
    assert worker.run_once() == 2
    assert states(database) == ["Completed", "Completed"]
    assert [outcome for _, outcome, *_ in fires(database)][-1] == "run"


def test_run_once_after_the_clock_was_set_back(database: Database, executing: Executing) -> None:
    now = time.time()
    deploy(database, "* * * * *", since=now - 120)
    make_due_runs(database, now + 3653 * DAY)
    executing.launch = lambda run, manifest, settings, ended: _done(Executed(run, settings, ended))  # type: ignore[method-assign]
    started(executing).run_once()
    assert next_due(database) < time.time() + 61


def _done(executed: Executed) -> Executed:
    executed.finish(completed())
    return executed


# With processes that come to nothing.


@pytest.fixture
def report(make_notebook: Any) -> Deployment:
    promote(make_notebook("report", "x = 1"))
    return find_deployment(engine.engine().database, "report")


def test_a_process_that_cannot_be_started_ends_its_run(report: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_args: Any, **_options: Any) -> None:
        raise OSError("too many processes")

    asked = request_run("report")
    monkeypatch.setattr(processes.subprocess, "Popen", start)
    said: list[str] = []
    assert Worker(limit=1, pool="default", said=said.append).run_once() == 1
    assert said == ["Run 1 of 'report' could not be started: too many processes"]
    found = find_run(asked.id)
    assert (found.look, found.why) == ("crashed", "The run could not be started: too many processes")


def test_a_process_that_ends_without_a_word_leaves_its_run_crashed(
    report: Deployment, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    asked = request_run("report")
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    Worker(limit=1, pool="default", said=lambda _: None).run_once()
    found = find_run(asked.id)
    assert found.look == "crashed"
    assert found.why == (
        "The process that executed the run is gone: it exited with status 1. "
        f"See {run_folder(asked.id) / 'output.log'}."
    )
