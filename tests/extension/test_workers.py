"""The worker that a Jupyter server hosts: it comes with the first deployment, and goes with the server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
from tests.waiting import WITHIN, lives, until

from flowbook import engine
from flowbook.promote import promote
from flowbook.runs import find_run, recent_runs
from flowbook.store.claiming import Claimant
from flowbook.store.pools import create_pool
from flowbook.store.processes import Process, this_process
from flowbook.store.workers import beat, register

TOKEN = "a-token-of-the-tests"


# --- What a server says of workers ------------------------------------------------------------------------------------


def living(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("flowbook/api/workers")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_there_is_nothing_to_say_yet(client: httpx.Client) -> None:
    assert living(client) == {
        "workers": [],
        "hosting": "off",
        "starting": False,
        "deployments": 0,
        "schedules": 0,
        "fires": False,
        "idle_pools": [],
        "next_fire": None,
    }


def test_schedules_fire_as_long_as_each_pool_has_a_worker(client: httpx.Client, make_notebook: Any) -> None:
    database = engine.engine().database
    create_pool(database, "gpu")
    promote(make_notebook("report", "x = 1"), cron="0 7 * * *")
    promote(make_notebook("model", "x = 1"), cron="0 8 * * *", pool="gpu")
    promote(make_notebook("by-hand", "x = 1"))
    found = living(client)
    assert (found["deployments"], found["schedules"], found["fires"]) == (3, 2, False)
    assert found["idle_pools"] == ["default", "gpu"]
    assert 0 < found["next_fire"] - time.time() <= 86_400
    assert time.gmtime(found["next_fire"])[3:6] in ((7, 0, 0), (8, 0, 0))

    now = time.time()
    far = Process(host="far", pid=1, started=1.0)
    register(database, "a", Claimant(process=this_process(), pool="default"), "here", 2, now)
    register(database, "b", Claimant(process=far, pool="gpu"), "there", 4, now - 20)
    beat(database, "a", now, busy=1)
    found = living(client)
    assert (found["fires"], found["idle_pools"]) == (True, [])
    there, here = found["workers"]
    assert (here["name"], here["pool"], here["busy"], here["slots"]) == ("here", "default", 1, 2)
    assert not here["hosted"]
    assert (there["host"], there["busy"]) == ("far", 0)
    assert here["heartbeat_age"] < 10 < there["heartbeat_age"] < 40


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refuses_who_has_no_token(server: Any, method: str) -> None:
    with server.client(token=None) as stranger:
        assert stranger.request(method, "flowbook/api/workers").status_code == 403


def test_a_worker_is_not_started_where_the_setting_forbids_it(client: httpx.Client) -> None:
    answer = client.post("flowbook/api/workers")
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "FLOWBOOK_SERVER_WORKER is off, so this server hosts no worker. In a terminal: flowbook worker start"
    )


def test_a_setting_that_says_neither_is_a_sentence(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_SERVER_WORKER", "yes")
    answer = client.get("flowbook/api/workers")
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "FLOWBOOK_SERVER_WORKER is 'yes'; set it to auto, on or off.",
    )


# --- A server of its own ----------------------------------------------------------------------------------------------


@dataclass
class OwnServer:
    """A Jupyter server in a process of its own."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    root: Path
    log: Path

    def hosted(self) -> psutil.Process | None:
        """The worker that it hosts, once that is ready."""
        if not any(each["hosted"] for each in living(self.client)["workers"]):
            return None
        for child in psutil.Process(self.process.pid).children():
            try:
                if "worker" in child.cmdline():
                    return child
            except psutil.Error:  # it has just ended
                continue
        return None


@pytest.fixture
def own_server(tmp_path: Path, home: Path) -> Iterator[Callable[..., OwnServer]]:
    """Starts a server with these settings and waits until it answers."""
    started: list[OwnServer] = []

    def start(**settings: str) -> OwnServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        root, log = tmp_path / "root", tmp_path / "server.log"
        root.mkdir()
        folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"),
            *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"),
            "--ServerApp.jpserver_extensions=flowbook_lab=True",
        ]
        with log.open("wb") as said:
            process = subprocess.Popen(
                command,
                env={**os.environ, "FLOWBOOK_SERVER_WORKER": "auto", **folders, **settings},
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        headers = {"Authorization": f"token {TOKEN}"}
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}/", headers=headers, timeout=WITHIN)
        server = OwnServer(process, client, root, log)
        started.append(server)

        def answers() -> bool:
            try:
                return client.get("api/status").status_code == 200
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                return False

        until(answers)
        return server

    yield start
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.wait()


def write(root: Path, name: str, *cells: str) -> None:
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(made, root / name)


@pytest.mark.slow
def test_the_first_deployment_brings_a_worker_which_runs_it_and_ends_with_the_server(
    own_server: Callable[..., OwnServer], home: Path
) -> None:
    server = own_server()
    time.sleep(0.5)
    assert not home.exists(), "a server on which nobody uses flowbook leaves no trace"
    assert server.hosted() is None
    write(server.root, "report.ipynb", "print('made by the server')")
    body = {"path": "report.ipynb", "name": "report", "when": "cron", "text": "*/2 * * * * *", "timezone": "UTC"}
    answer = server.client.post("flowbook/api/promote", json=body)
    assert answer.status_code == 200, answer.text
    worker = until(server.hosted)
    until(lambda: [run for run in recent_runs() if run.look == "succeeded"])
    ran = recent_runs()[-1]
    assert (ran.deployment, ran.trigger) == ("report", "schedule")
    assert ran.notebook is not None
    assert "made by the server" in Path(ran.notebook).read_text()
    found = living(server.client)
    assert (found["hosting"], found["fires"], found["schedules"]) == ("auto", True, 1)
    assert (home / "server-worker.log").stat().st_mode & 0o077 == 0

    worker.kill()
    worker.wait(WITHIN)
    another = until(server.hosted)
    assert another.pid != worker.pid, "it is started again"
    assert f"the worker of this server ended with status {-signal.SIGKILL}" in server.log.read_text()

    from flowbook.store.deployments import find_deployment, set_paused

    database = engine.engine().database
    set_paused(database, find_deployment(database, "report").id, True)
    until(lambda: not [run for run in recent_runs() if run.look in ("running", "waiting")])
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(WITHIN)
    until(lambda: not lives(another))
    assert "Traceback" not in (home / "server-worker.log").read_text()


@pytest.mark.slow
def test_a_server_that_is_killed_takes_its_worker_along(
    own_server: Callable[..., OwnServer], home: Path, make_notebook: Any
) -> None:
    server = own_server(FLOWBOOK_SERVER_WORKER="on")
    worker = until(server.hosted)
    assert living(server.client)["hosting"] == "on"
    promote(make_notebook("report", "import time\nprint('begun', flush=True)\ntime.sleep(3)"))
    from flowbook.promote import request_run

    asked = request_run("report")
    until(lambda: find_run(asked.id).total)
    server.process.kill()
    until(lambda: not lives(worker))
    assert find_run(asked.id).look == "succeeded", "its run comes to its end before"


@pytest.mark.slow
def test_no_worker_where_another_one_does_it_until_a_person_asks(
    own_server: Callable[..., OwnServer], home: Path, make_notebook: Any
) -> None:
    promote(make_notebook("report", "x = 1"), cron="0 7 * * *")
    database = engine.engine().database
    register(database, "a", Claimant(process=this_process(), pool="default"), "mine", 2, time.time())
    server = own_server()
    time.sleep(2.0)
    (mine,) = living(server.client)["workers"]
    assert (mine["name"], mine["hosted"]) == ("mine", False)
    answer = server.client.post("flowbook/api/workers")
    assert (answer.status_code, answer.json()) == (202, {"message": "This server starts a worker."})
    until(server.hosted)
    assert json.dumps(living(server.client)).count('"hosted": true') == 1
