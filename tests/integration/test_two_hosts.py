"""Two machines that share a PostgreSQL database: each has a home and a name of its own, and sees none of the other's
processes (where the system lets us make that so; elsewhere they are two processes with two homes).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.sql import sql
from tests.waiting import until

from flowbook import flow, task
from flowbook.engine import engine
from flowbook.promote import request_run
from flowbook.runs import find_run
from flowbook.store.schema import flow_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_NAMED = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']


@task
def step(path: str, seconds: float) -> int:
    """Says that it is executed, and takes its time the first time."""
    first = not Path(path).exists()
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if first:
        time.sleep(seconds)
    return 1


@flow(retries=1)
def pipeline(path: str, seconds: float = 0.0) -> int:
    """One step."""
    return step(path, seconds)


@pytest.fixture
def shared(postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of the database that both hosts have, with a deployment in it."""
    monkeypatch.setenv("FLOWBOOK_DATABASE_URL", postgres_url)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "pipelines.py").write_text(Path(__file__).read_text().split("@pytest.fixture")[0])
    code = "from pipelines import pipeline; pipeline.deploy('shared', print_next_steps=False)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    return postgres_url


@pytest.fixture
def host(shared: str, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a worker on another host."""
    started: list[subprocess.Popen[str]] = []
    may_be_named = subprocess.run([*_NAMED, "test", "true"], capture_output=True, check=False).returncode == 0

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flowbook.cli", "worker", "start", "--limit", "2", "--name", name]
        env = {**os.environ, "FLOWBOOK_HOME": str(tmp_path / name)}
        process = subprocess.Popen(
            [*_NAMED, name, *command] if may_be_named else command,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=tmp_path,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("The worker is ready")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def hosts_of(run_ids: list[str]) -> list[str]:
    with engine().database.read() as connection:
        return list(connection.scalars(select(flow_run.c.host).where(flow_run.c.id.in_(run_ids))))


def test_two_hosts_share_the_work_and_do_nothing_twice(
    host: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    asked = [request_run("shared", {"path": str(tmp_path / f"run-{n}"), "seconds": 0.3}).id for n in range(8)]
    host("host-a")
    host("host-b")
    until(lambda: all(find_run(run_id).ended for run_id in asked))
    assert {find_run(run_id).state_type for run_id in asked} == {"COMPLETED"}
    assert [(tmp_path / f"run-{n}").read_text().count("\n") for n in range(8)] == [1] * 8
    assert len(hosts_of(asked)) == 8


def test_what_a_host_that_went_silent_had_is_begun_anew_by_the_other(
    host: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    first = host("host-a")
    asked = request_run("shared", {"path": str(tmp_path / "run"), "seconds": 600.0})
    until(lambda: (tmp_path / "run").exists() and (tmp_path / "run").read_text())
    until(lambda: find_run(asked.id).state_type == "RUNNING")
    child = int((tmp_path / "run").read_text())
    os.kill(first.pid, signal.SIGSTOP)  # the host is cut off with all that runs on it
    os.kill(child, signal.SIGSTOP)
    try:
        host("host-b")
        time.sleep(3)  # longer than a sweep: as long as the lease lasts nobody touches the run
        assert find_run(asked.id).state_type == "RUNNING"
        sql("UPDATE flow_run SET lease = 1")
        until(lambda: find_run(asked.id).state_type == "COMPLETED")
        assert (tmp_path / "run").read_text().count("\n") == 2
        assert find_run(asked.id).state_type == "COMPLETED"
    finally:
        os.kill(child, signal.SIGCONT)
        os.kill(first.pid, signal.SIGCONT)
    time.sleep(2)  # the first host is back, and writes nothing of the run any more
    assert find_run(asked.id).state_type == "COMPLETED"
