"""Runs that are executed more than once: after a crash, on a retry, after a suspension. What completed stays done."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sql import sql

from flowbook.errors import MissingContextError, UsageError
from flowbook.flow_runs import cancel_flow_run, resume_flow_run, resume_with_texts, retry_flow_run, suspend_flow_run
from flowbook.promote import promote, request_run
from flowbook.runs import RunSummary, find_run, run_view
from flowbook.schedule.worker import Worker

pytestmark = pytest.mark.slow

PREAMBLE = """
import os, signal, threading, time
from pathlib import Path
from flowbook import flow, suspend_flow_run, task
from flowbook.cache_policies import NO_CACHE
from flowbook.engine import engine
from flowbook.input import RunInput

HERE = Path(__file__).parent

def mark(word):
    with (HERE / "log").open("a") as log:
        log.write(word + " ")

def is_ready():
    return (HERE / "ready").exists()
"""

Deploy = Callable[..., None]


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Writes a module with flows, and deploys the one that is called `name`."""

    def make(code: str, name: str = "pipeline") -> None:
        (tmp_path / "flows.py").write_text(PREAMBLE + textwrap.dedent(code))
        command = f"from flows import {name}; {name}.deploy('it', print_next_steps=False)"
        subprocess.run([sys.executable, "-c", command], check=True, cwd=tmp_path)

    monkeypatch.setenv("FLOWBOOK_LOGGING_LEVEL", "WARNING")
    return make


def execute() -> int:
    return Worker(limit=1, pool="default", said=lambda line: None).run_once()


def log(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().split()


def looks(run: RunSummary) -> dict[str, str]:
    return {node.name: node.look for node in run_view(run.id).nodes.values()}


FAILS_ONCE = """
@task
def load(n):
    mark(f"load{n}")
    return [n] * 3

@task
def now():
    mark("now")
    return time.time()

@task(persist_result=False)
def opted_out():
    mark("opted-out")

@task(cache_policy=NO_CACHE)
def not_cached():
    mark("not-cached")

@task
def connection():
    mark("connection")
    return threading.Lock()

@task
def check(rows, first, second):
    mark("check")
    assert first != second
    if not is_ready():
        raise ValueError("not yet")
    return sum(rows)

@flow
def inner(n):
    return load(n)

@flow
def pipeline():
    rows = load(1)
    inner(2)
    first, second = now(), now()
    opted_out(); not_cached(); connection()
    return check(rows, first, second)
"""


def test_a_retry_takes_what_had_completed_from_stored_results(deploy: Deploy, tmp_path: Path) -> None:
    deploy(FAILS_ONCE)
    run = find_run(request_run("it").id)
    assert execute() == 1
    failed = find_run(run.id)
    assert (failed.state_type, failed.message) == ("FAILED", "ValueError: not yet")
    once = ["load1", "load2", "now", "now", "opted-out", "not-cached", "connection", "check"]
    assert log(tmp_path) == once
    (tmp_path / "ready").touch()
    retry_flow_run(run.number)
    assert find_run(run.id).state_name == "Scheduled"
    assert execute() == 1
    again = find_run(run.id)
    assert again.state_type == "COMPLETED"
    assert log(tmp_path) == [*once, "opted-out", "not-cached", "connection", "check"]
    assert looks(again) == {
        "load": "reused",
        "inner": "succeeded",
        "now": "reused",
        "now-1": "reused",
        "opted_out": "succeeded",
        "not_cached": "succeeded",
        "connection": "succeeded",
        "check": "succeeded",
    }
    assert (again.done, again.total) == (8, 8)
    assert again.started is not None
    assert failed.ended is not None
    assert again.started > failed.ended
    assert sql("SELECT count(*) FROM result") == [(0,)]  # they go when the run has completed


def test_changed_code_or_arguments_are_executed(deploy: Deploy, tmp_path: Path) -> None:
    code = """
    @task
    def step(n):
        mark(f"step{n}")
        return n

    @flow
    def pipeline():
        step(1)
        step(2 if is_ready() else 1)
        raise ValueError
    """
    deploy(code)
    run = request_run("it")
    execute()
    (tmp_path / "ready").touch()
    retry_flow_run(run.id)
    execute()
    assert log(tmp_path) == ["step1", "step1", "step2"]


def test_a_run_whose_process_is_killed_is_begun_anew_as_often_as_its_flow_says(deploy: Deploy, tmp_path: Path) -> None:
    code = """
    @task
    def step():
        mark("step")

    @flow(retries=2)
    def pipeline():
        step()
        engine().journal.flush()
        mark("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    deploy(code)
    run = request_run("it")
    assert execute() == 1
    found = find_run(run.id)
    assert found.state_type == "CRASHED"
    assert "killed by SIGKILL" in (found.message or "")
    assert log(tmp_path) == ["step", "killed", "killed", "killed"]
    assert execute() == 0


def test_a_run_whose_flow_has_no_retries_stays_crashed_until_somebody_asks(deploy: Deploy, tmp_path: Path) -> None:
    code = """
    @flow
    def pipeline():
        mark("begun")
        if not is_ready():
            os._exit(3)
    """
    deploy(code)
    run = request_run("it")
    assert execute() == 1
    assert "it exited with status 3" in (find_run(run.id).message or "")
    (tmp_path / "ready").touch()
    retry_flow_run(run.id)
    assert execute() == 1
    assert find_run(run.id).state_type == "COMPLETED"
    with pytest.raises(UsageError, match="has completed; ask for another run"):
        retry_flow_run(run.id)


def test_what_cannot_be_retried_is_refused(deploy: Deploy, tmp_path: Path) -> None:
    from flowbook import flow

    @flow
    def called() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        called()
    with pytest.raises(UsageError, match=r"was called from code .* call flow 'called' again"):
        retry_flow_run("last")
    deploy("@flow\ndef pipeline(): pass")
    run = request_run("it")
    with pytest.raises(UsageError, match="has not ended: it is Scheduled"):
        retry_flow_run(run.id)


def test_task_cells_that_had_completed_are_not_executed_again(make_notebook: Callable[..., Path]) -> None:
    path = make_notebook(
        "book",
        "%load_ext flowbook\nfrom pathlib import Path",
        "%%task first\nx = 1\nPath('log').open('a').write('first ')",
        "%%task second\ny = x + 1\nPath('log').open('a').write('second ')\nassert Path('ready').exists()",
    )
    promote(path)
    run = request_run("book")
    execute()
    assert find_run(run.id).state_type == "FAILED"
    (path.parent / "ready").touch()
    retry_flow_run(run.id)
    execute()
    assert find_run(run.id).state_type == "COMPLETED"
    assert (path.parent / "log").read_text().split() == ["first", "second", "second"]


SUSPENDED = """
class Approval(RunInput):
    approved: bool
    note: str = ""

@task
def prepare():
    mark("prepare")
    return 42

@flow
def pipeline():
    number = prepare()
    answer = suspend_flow_run(wait_for_input=Approval, timeout=TIMEOUT)
    mark(f"approved={answer.approved},note={answer.note}")
    suspend_flow_run(timeout=None)
    mark(str(number))
"""


def test_a_suspended_run_has_no_process_and_goes_on_in_another_one(deploy: Deploy, tmp_path: Path) -> None:
    deploy(SUSPENDED.replace("TIMEOUT", "3600"))
    run = request_run("it")
    assert execute() == 1
    found = find_run(run.id)
    assert (found.state_name, found.message, found.ended) == ("Suspended", "Waiting for input.", None)
    assert sql("SELECT pid FROM flow_run") == [(None,)]
    assert execute() == 0
    resume_with_texts(run.id, {"approved": "perhaps"})
    assert execute() == 1
    found = find_run(run.id)
    assert found.state_name == "Suspended"
    assert "approved" in (found.message or "")
    resume_flow_run(run.id, {"approved": True, "note": "fine"})
    assert execute() == 1
    assert (find_run(run.id).state_name, find_run(run.id).message) == ("Suspended", "Waiting to be resumed.")
    resume_flow_run(run.id)
    assert execute() == 1
    assert find_run(run.id).state_type == "COMPLETED"
    assert log(tmp_path) == ["prepare", "approved=True,note=fine", "approved=True,note=fine", "42"]
    with pytest.raises(UsageError, match="is not paused"):
        resume_flow_run(run.id)


def test_a_suspended_run_can_be_cancelled(deploy: Deploy) -> None:
    deploy(SUSPENDED.replace("TIMEOUT", "3600"))
    run = request_run("it")
    execute()
    assert cancel_flow_run(run.id).is_cancelled()
    assert find_run(run.id).state_type == "CANCELLED"


def test_a_suspended_run_that_nobody_resumes_fails(deploy: Deploy) -> None:
    from flowbook.engine import engine
    from flowbook.store.reaper import give_up_suspended

    deploy(SUSPENDED.replace("TIMEOUT", "60"))
    run = request_run("it")
    execute()
    (due,) = sql("SELECT due FROM flow_run")[0]
    give_up_suspended(engine().database, due - 1)
    assert find_run(run.id).state_name == "Suspended"
    give_up_suspended(engine().database, due + 1)
    found = find_run(run.id)
    assert found.state_type == "FAILED"
    assert "nobody resumed it in time" in (found.message or "")


def test_only_what_another_process_can_go_on_with_can_be_suspended() -> None:
    from flowbook import flow, task

    @flow
    def called() -> None:
        suspend_flow_run()

    @task
    def step() -> None:
        suspend_flow_run()

    with pytest.raises(MissingContextError, match=r"suspend_flow_run\(\) was called outside of a flow run"):
        suspend_flow_run()
    with pytest.raises(UsageError, match=r"Use pause_flow_run\(\), which waits where it is"):
        called()
    with pytest.raises(UsageError, match="call it in the flow"):
        step()
