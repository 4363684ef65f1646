"""What ended long ago is deleted with all that was kept of it; what has not ended is left alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from tests.deployed import count, deploy, statements

from flowbook import flow, task
from flowbook.artifacts import create_markdown_artifact
from flowbook.cache_policies import INPUTS
from flowbook.core.events import Event, state_to_json
from flowbook.core.states import completed, failed, running, scheduled
from flowbook.engine import engine
from flowbook.errors import UsageError
from flowbook.run.ids import new_id
from flowbook.runs import recent_runs, run_folder
from flowbook.schedule.backfill import backfill, backfilled_schedules, plan_backfill
from flowbook.schedule.fires import make_due_runs
from flowbook.schedule.pruning import EVERY, Pruner
from flowbook.settings import current_settings
from flowbook.store import retention
from flowbook.store.database import Database
from flowbook.store.deployments import delete_deployment, find_deployment, save_version
from flowbook.store.doctor_folders import check_run_folders
from flowbook.store.findings import Level, Subject
from flowbook.store.kept_files import Pruned
from flowbook.store.retention import Rule, delete_runs, prune, prune_some
from flowbook.store.schema import artifact, event, fire, flow_run, result, schedule, snapshot, task_run
from flowbook.store.snapshots import load_snapshot, sha_of

pytestmark = pytest.mark.usefixtures("store_url")

DAY = 86_400.0
NOW = 1_790_000_000.0
OLD, RECENT = NOW - 40 * DAY, NOW - 10 * DAY
MONTH = Rule(before=NOW - 30 * DAY)


@pytest.fixture
def database(store_url: str) -> Database:
    return engine().database


def record(
    run_id: str, *, made: float = OLD, ended: float | None = OLD + 60, parent: str | None = None, **how: Any
) -> None:
    """A flow run with a task run, a log line, an artifact, a result with its file, and a folder."""
    state = how.get("state", completed())
    facts = {"name": run_id, "flow": "pipeline", "parent": parent}
    task_id = f"{run_id}-task"
    said = [
        Event(kind="flow-run", time=made, flow_run_id=run_id, data=facts),
        Event(kind="task-run", time=made, flow_run_id=run_id, task_run_id=task_id, data={"name": "t"}),
        Event(kind="log", time=made, flow_run_id=run_id, data={"level": "INFO", "message": "said", "logger": "x"}),
        Event(kind="state", time=made, flow_run_id=run_id, data=state_to_json(running())),
    ]
    if ended is not None:
        said.append(Event(kind="state", time=ended, flow_run_id=run_id, data=state_to_json(state)))
    for each in said:
        engine().journal.append(each)
    engine().journal.flush()
    folder = run_folder(run_id)
    folder.mkdir(parents=True)
    (folder / "notebook.ipynb").write_bytes(b"x" * 1000)
    age(folder, made)
    with engine().database.write() as connection:
        row = {"id": f"{run_id}-artifact", "type": "markdown", "data": '"x"', "flow_run_id": run_id}
        connection.execute(insert(artifact).values(**row, created=made, updated=made))
    keep_result(run_id[0] * 64, made, flow_run_id=run_id)


def keep_result(key: str, made: float, **columns: Any) -> Path:
    path = engine().settings.home / "results" / key[:2] / f"{key}-0123abcd.pickle"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"y" * 500)
    age(path, made)
    file = str(path.relative_to(engine().settings.home))
    row = {"key": key, "file": file, "size": 500, "signature": b"", "serializer": "pickle", "created": made}
    with engine().database.write() as connection:
        connection.execute(insert(result).values(**row, **columns))
    return path


def age(path: Path, moment: float) -> None:
    os.utime(path, (moment, moment))


def home() -> Path:
    return engine().settings.home


def left(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.scalars(select(flow_run.c.id)))


def test_all_that_was_kept_of_an_old_run_goes(database: Database) -> None:
    record("a", ended=OLD)
    record("b", made=OLD, ended=RECENT)
    record("c", made=RECENT, ended=RECENT)
    pruned = prune(database, home(), MONTH, now=NOW)
    assert pruned == Pruned(flow_runs=1, task_runs=1, events=5, artifacts=1, results=1, folders=1, bytes=1500)
    assert left(database) == ["b", "c"]
    assert [count(database, table) for table in (task_run, event, artifact, result)] == [2, 10, 2, 2]
    assert [run_folder(name).is_dir() for name in "abc"] == [False, True, True]
    assert sorted(path.name[0] for path in (home() / "results").glob("*/*")) == ["b", "c"]
    assert prune(database, home(), MONTH, now=NOW).is_nothing()


def test_what_was_learned_of_a_notebook_goes_when_it_has_not_run_since(database: Database) -> None:
    folder = home() / "learned"
    folder.mkdir(parents=True)
    for name, moment in (("old", OLD), ("recent", RECENT)):
        (folder / f"{name}.json").write_text("{}")
        os.utime(folder / f"{name}.json", (moment, moment))
    assert prune(database, home(), Rule(before=MONTH.before, dry_run=True), now=NOW) == Pruned(bytes=2)
    assert prune(database, home(), MONTH, now=NOW) == Pruned(bytes=2)
    assert [path.name for path in folder.iterdir()] == ["recent.json"]


@pytest.mark.parametrize("state", [None, running(), scheduled()], ids=str)
def test_what_has_not_ended_is_never_touched(database: Database, state: Any) -> None:
    record("a", ended=None if state is None else OLD, state=state)
    assert prune(database, home(), Rule(before=NOW), now=NOW).is_nothing()
    assert left(database) == ["a"]
    assert run_folder("a").is_dir()


def test_sub_flows_go_with_the_run_that_called_them(database: Database) -> None:
    record("a", ended=OLD)
    record("b", ended=OLD, parent="a")
    record("c", ended=OLD, parent="b", state=failed(ValueError("x")))
    record("d", ended=RECENT)
    record("e", ended=OLD, parent="d")
    assert prune(database, home(), MONTH, now=NOW).flow_runs == 3
    assert left(database) == ["d", "e"], "what a younger run has called stays with it"


def test_a_run_with_an_unfinished_sub_flow_stays(database: Database) -> None:
    record("a", ended=OLD)
    record("b", ended=OLD, parent="a")
    record("c", ended=None, parent="b")
    assert prune(database, home(), MONTH, now=NOW).is_nothing()
    assert delete_runs(database, home(), ["a"]).is_nothing()
    assert left(database) == ["a", "b", "c"]


def test_failed_runs_can_be_kept(database: Database) -> None:
    record("a", ended=OLD, state=failed(ValueError("x")))
    record("b", ended=OLD)
    prune(database, home(), Rule(before=MONTH.before, keep_failed=True), now=NOW)
    assert left(database) == ["a"]
    prune(database, home(), MONTH, now=NOW)
    assert left(database) == []


def test_a_dry_run_says_how_much_it_would_be_and_deletes_nothing(database: Database) -> None:
    record("a", ended=OLD)
    record("b", ended=OLD, parent="a")
    keep_result("f" * 64, OLD, expires=NOW - 1)
    planned = prune(database, home(), Rule(before=MONTH.before, dry_run=True), now=NOW)
    assert left(database) == ["a", "b"]
    assert run_folder("a").is_dir()
    planned.bytes += 500  # of the expired result, whose file is not looked at
    assert planned == prune(database, home(), MONTH, now=NOW)


def test_a_run_of_many_rows_is_deleted_in_many_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS", 20)
    record("a", ended=OLD)
    with database.write() as connection:
        row = {"time": OLD, "kind": "log", "flow_run_id": "a", "data": "{}"}
        connection.execute(insert(event), [row] * 95)
    with statements(database) as seen:
        assert prune(database, home(), MONTH, now=NOW).events == 100
    assert len([text for text in seen if text.startswith("DELETE FROM event")]) >= 5
    assert left(database) == []


def test_a_run_that_begins_anew_meanwhile_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    record("a", ended=OLD)
    real = retention._delete_trees

    def retried(database: Database, home: Path, trees: Sequence[Sequence[str]]) -> Pruned:
        with database.write() as connection:
            connection.execute(update(flow_run).values(state_type="SCHEDULED", state_name="AwaitingRetry", ended=None))
        return real(database, home, trees)

    monkeypatch.setattr(retention, "_delete_trees", retried)
    assert prune(database, home(), MONTH, now=NOW).is_nothing()
    assert left(database) == ["a"]
    assert count(database, event) == 5


def test_what_a_prune_that_died_has_left_goes_with_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("a", ended=OLD)

    def die(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retention, "remove_files", die)
        with pytest.raises(KeyboardInterrupt):
            prune(database, home(), MONTH, now=NOW)
    assert left(database) == [], "the rows go first"
    assert run_folder("a").is_dir()
    found = check_run_folders(Subject(home=home(), database_url=current_settings().database_url))
    assert found is not None
    assert (found.level, found.found) == (
        Level.WARNING,
        f"1 (1000 bytes) belong to no run of this database, such as {run_folder('a')}.",
    )
    pruned = prune(database, home(), MONTH, now=NOW)
    assert (pruned.folders, pruned.bytes) == (1, 1500)
    assert not run_folder("a").exists()
    assert not list((home() / "results").glob("*/*"))


def test_a_new_folder_or_file_is_no_leftover(database: Database) -> None:
    folder = run_folder("new")
    folder.mkdir(parents=True)
    path = home() / "results" / "ab" / f"{'ab' * 32}-0123abcd.pickle"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"being written")
    assert prune(database, home(), Rule(before=time.time() - 60)).is_nothing()
    assert folder.is_dir()
    assert path.is_file()


def test_results_that_another_run_can_reuse_stay_until_they_expire(database: Database) -> None:
    kept = keep_result("a" * 64, OLD)
    named = keep_result("b" * 64, OLD, expires=NOW + 1)
    over = keep_result("c" * 64, OLD, expires=NOW - 1)
    assert prune(database, home(), MONTH, now=NOW) == Pruned(results=1, bytes=500)
    assert [path.is_file() for path in (kept, named, over)] == [True, True, False]


def test_a_file_that_a_task_has_named_is_its_users(database: Database) -> None:
    path = home() / "results" / "report.csv"
    path.parent.mkdir(parents=True)
    path.write_text("a,b")
    row = {"key": "d" * 64, "file": "results/report.csv", "size": 3, "signature": b"", "serializer": "csv"}
    with database.write() as connection:
        connection.execute(insert(result).values(**row, created=OLD, expires=NOW - 1))
    assert prune(database, home(), MONTH, now=NOW).results == 1
    assert path.is_file()


def test_task_runs_outside_of_flows_go_too(database: Database) -> None:
    for name, moment, ended in (("old", OLD, True), ("new", RECENT, True), ("unfinished", OLD, False)):
        engine().journal.append(
            Event(kind="task-run", time=moment, flow_run_id=None, task_run_id=name, data={"name": name})
        )
        if ended:
            state = state_to_json(completed())
            engine().journal.append(
                Event(kind="state", time=moment + 1, flow_run_id=None, task_run_id=name, data=state)
            )
    engine().journal.flush()
    assert prune(database, home(), MONTH, now=NOW) == Pruned(task_runs=1, events=2)
    with database.read() as connection:
        assert sorted(connection.scalars(select(task_run.c.id))) == ["new", "unfinished"]
        assert set(connection.scalars(select(event.c.task_run_id))) == {"new", "unfinished"}


def test_fires_of_long_ago_go_but_not_those_of_a_run_that_is_there(database: Database) -> None:
    report = deploy(database, {"cron": "0 0 * * *", "catchup": "skip"}, since=OLD - 10 * DAY)
    make_due_runs(database, OLD)
    deploy(database, {"cron": "0 0 * * *", "catchup": "skip"}, since=OLD, paused=True)
    window = [datetime.fromtimestamp(moment, UTC) for moment in (OLD - 3 * DAY, OLD - DAY)]
    plan = plan_backfill(database, report, backfilled_schedules(database, report, None), *window, now=NOW)
    backfill(database, plan, now=NOW)
    before = count(database, fire)
    assert len(plan.fires) == 2
    pruned = prune(database, home(), MONTH, now=NOW)
    assert (pruned.fires, count(database, fire)) == (before - 2, 2)
    assert count(database, schedule) == 1


def test_snapshots_go_that_no_version_runs_any_more(database: Database) -> None:
    def version(name: str, content: bytes, since: float, lock: bytes | None = None) -> str:
        kept = {sha_of(each): each for each in (content, lock) if each is not None}
        manifest = {"kind": "notebook", "parameters": {}, "schema": [], "settings": {}, "snapshot": sha_of(content)}
        manifest["lock"] = None if lock is None else sha_of(lock)
        save_version(
            database, name=name, flow=name, manifest=manifest, schedules=[], new_id=new_id, snapshots=kept, now=since
        )
        return sha_of(content)

    def snapshots() -> set[str]:
        with database.read() as connection:
            return set(connection.scalars(select(snapshot.c.sha)))

    gone = [*(version("gone", bytes([number]), OLD, b"old lock") for number in range(25)), sha_of(b"old lock")]
    shared, new = version("gone", b"shared", OLD), version("gone", b"new", RECENT)
    used, lock = version("kept", b"used", OLD, b"lock"), sha_of(b"lock")
    assert version("kept", b"shared", RECENT) == shared
    delete_deployment(database, find_deployment(database, "gone").id)
    assert prune(database, home(), replace(MONTH, dry_run=True), now=NOW).snapshots == len(gone)
    assert snapshots() == {*gone, shared, used, lock, new}
    assert prune(database, home(), MONTH, now=NOW).snapshots == len(gone)
    assert snapshots() == {shared, used, lock, new}
    assert load_snapshot(database, shared) == b"shared"


def test_a_flow_that_really_ran_leaves_nothing_behind(database: Database) -> None:
    @task(cache_policy=INPUTS, persist_result=True)
    def load(n: int) -> list[int]:
        create_markdown_artifact("# hi", key="notes")
        return [n] * 10_000

    @flow
    def inner() -> int:
        return len(load(1))

    @flow
    def outer() -> int:
        return inner()

    assert outer() == 10_000
    engine().journal.flush()
    run = recent_runs(1)[0]
    assert delete_runs(database, home(), [run.id]).flow_runs == 2
    assert [count(database, table) for table in (flow_run, task_run, event, artifact)] == [0, 0, 0, 0]


def test_a_little_at_a_time(database: Database) -> None:
    for name in "abc":
        record(name, ended=OLD)
    turns = 1
    while prune_some(database, home(), MONTH, now=NOW):
        turns += 1
        assert turns < 20
    assert turns > 1
    assert left(database) == []


def test_workers_do_it_once_an_hour(database: Database) -> None:
    pruner = Pruner(database, home(), 30 * DAY, threading.Event())
    record("a", ended=OLD)
    pruner.tick(0.0, NOW)
    pruner.wait()
    assert left(database) == ["a"], "not in the first minute"
    pruner.tick(61.0, NOW)
    pruner.wait()
    assert left(database) == []
    record("b", ended=OLD)
    pruner.tick(62.0, NOW)
    pruner.wait()
    assert left(database) == ["b"]
    pruner.tick(62.0 + EVERY, NOW)
    pruner.wait()
    assert left(database) == []


def test_history_is_kept_for_ever_if_that_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_KEEP_RUNS", "forever")
    pruner = Pruner(database, home(), current_settings().keep_runs, threading.Event())
    record("a", ended=OLD)
    pruner.tick(0.0, NOW)
    pruner.tick(61.0, NOW)
    pruner.wait()
    assert left(database) == ["a"]


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 90 * DAY), ("", 90 * DAY), ("30d", 30 * DAY), ("1d12h", 1.5 * DAY), ("forever", None)]
)
def test_how_long_runs_are_kept_is_a_setting(
    said: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWBOOK_KEEP_RUNS", raising=False)
    if said is not None:
        monkeypatch.setenv("FLOWBOOK_KEEP_RUNS", said)
    assert current_settings().keep_runs == seconds


@pytest.mark.parametrize("said", ["ever", "0", "-1d", "30 days"])
def test_a_setting_that_is_no_time_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_KEEP_RUNS", said)
    with pytest.raises(UsageError, match=f"FLOWBOOK_KEEP_RUNS is '{said}'; set it to a length of time such as 90d"):
        current_settings()
