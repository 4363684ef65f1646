"""The processes of runs are forked from a server, which nothing that happens to it lets runs hang, or be lost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.conftest import MakeNotebook
from tests.deployed import process_of_run
from tests.waiting import WITHIN, lives, until

from flowbook import flow
from flowbook.deployments import run_deployment
from flowbook.engine import engine
from flowbook.promote import promote, request_run
from flowbook.runs import find_run
from flowbook.schedule import forked
from flowbook.schedule.worker import Worker
from flowbook.store.claiming import Claimant, claim_due
from flowbook.store.processes import this_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not forked.IS_POSSIBLE, reason="processes are not forked on this system"),
]

FLOW = """
    import os, time
    from pathlib import Path
    from flowbook import flow, task

    @task
    def one():
        return 1

    @flow
    def nightly(waits: bool = False):
        one.submit().result()
        while waits:
            time.sleep(0.05)
"""


@pytest.fixture
def deployed(tmp_path: Path) -> str:
    """A deployment of a flow that may wait; one of the same, `nightly/staged`, has an environment of its own."""
    file = tmp_path / "nightly.py"
    file.write_text(textwrap.dedent(FLOW))
    made = flow.from_source(tmp_path, "nightly.py:nightly")
    made.deploy(name="d", print_next_steps=False)
    made.deploy(name="staged", job_variables={"env": {"STAGE": "test"}}, print_next_steps=False)
    return "nightly/d"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker in a thread of this process."""
    made = Worker(limit=2, pool="default", said=lambda _: None, grace=0.0)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    made.stop()
    thread.join(WITHIN)
    assert not thread.is_alive()


def started(name: str) -> tuple[str, psutil.Process]:
    """A new run that waits, and its process."""
    run_id = run_deployment(name, timeout=0, parameters={"waits": True}).id
    until(lambda: find_run(run_id).total == 1)
    process = process_of_run(engine().database, run_id)
    assert process is not None
    return run_id, process


def test_runs_are_forked_from_one_server(deployed: str, worker: Worker) -> None:
    (first, one), (second, other) = started(deployed), started(deployed)
    assert one.pid != other.pid
    assert one.ppid() == other.ppid()
    assert psutil.Process(one.ppid()).ppid() == os.getpid()
    assert os.getsid(one.pid) == one.pid
    assert (one.name(), other.name()) == ("run 1", "run 2")
    launched = worker.launched[0]
    one.kill()
    until(launched.is_over)
    assert launched.ended_by().startswith("it was killed by SIGKILL")
    until(lambda: find_run(first).state_name == "Crashed")
    assert find_run(second).state_name == "Running"
    assert other.is_running()


def test_a_server_is_there_before_the_first_run(deployed: str, worker: Worker) -> None:
    def servers() -> list[int]:
        found = psutil.process_iter(["ppid", "cmdline"])  # one that ends meanwhile has none
        ours = [each for each in found if each.info["ppid"] == os.getpid()]
        return [each.pid for each in ours if "flowbook.promote.fork_server" in (each.info["cmdline"] or ())]

    until(lambda: len(servers()) == 2)  # one for each environment
    assert not worker.launched
    _, process = started(deployed)
    assert process.ppid() in servers()


def test_a_server_that_is_killed_takes_its_runs_with_it_and_the_next_has_a_new_one(
    deployed: str, worker: Worker
) -> None:
    lost, process = started(deployed)
    server, (launched,) = psutil.Process(process.ppid()), worker.launched
    server.kill()
    until(launched.is_over)
    assert "the process that had started it is gone as well" in launched.ended_by()
    until(lambda: not process.is_running())
    assert find_run(lost).state_name == "Crashed"
    assert run_deployment(deployed, timeout=WITHIN).state.is_completed()


def test_what_is_installed_meanwhile_is_imported_by_the_next_run(
    deployed: str, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, process = started(deployed)
    old, (launched,) = psutil.Process(process.ppid()), worker.launched
    monkeypatch.setattr(forked, "_installed", lambda: (1,))
    _, other = started(deployed)
    assert other.ppid() != old.pid
    process.kill()  # how it ended is told by the server that makes no more of them, which ends itself then
    until(launched.is_over)
    assert launched.ended_by().startswith("it was killed by SIGKILL")
    until(lambda: not lives(old))


@pytest.mark.usefixtures("worker")
def test_a_run_is_executed_without_a_server_that_cannot_begin(deployed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_SERVER", "flowbook.no_such_module")
    _, process = started(deployed)
    assert process.ppid() == os.getpid()
    assert process.name() != "run 1"


@pytest.fixture
def one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for one server, which is that of the first run: none is started before."""
    monkeypatch.setattr(forked, "_MOST_SERVERS", 1)
    monkeypatch.setattr(forked.ForkServers, "prepare", lambda *_: None)


@pytest.mark.usefixtures("one_server", "worker")
def test_other_environments_have_servers_of_their_own_until_there_are_many(deployed: str) -> None:
    _, process = started(deployed)
    _, other = started("nightly/staged")
    assert process.ppid() != os.getpid()
    assert other.ppid() == os.getpid()
    assert other.environ()["STAGE"] == "test"


def test_a_server_ends_with_its_worker(deployed: str) -> None:
    command = [sys.executable, "-m", "flowbook.cli", "worker", "start"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _, process = started(deployed)
        server = psutil.Process(process.ppid())
        assert server.ppid() == worker.pid
    finally:
        worker.kill()
        worker.wait()
    until(lambda: not server.is_running() and not process.is_running())


# The packages that the process of a run imports beside those that its server has imported.
IMPORTED = """
    import os, sys
    from flowbook.promote import execute, fork_server

    kind, run_id, fence = sys.argv[1:]
    fork_server.import_for(kind)
    for piece in fork_server.later(kind):
        piece()
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads is not to be forked"
    packages = lambda: {name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names
    before = packages()
    assert execute.main([run_id, fence]) == 0
    print(*sorted(packages() - before))
"""


@pytest.mark.parametrize("kind", ["python", "notebook"])
def test_a_run_imports_no_package_that_its_server_has_not(
    kind: str, deployed: str, make_notebook: MakeNotebook
) -> None:
    name = deployed
    if kind == "notebook":
        name = promote(make_notebook("report", "x = 1\nprint(x)", "x + 1")).name
    asked = request_run(name)
    (run,) = claim_due(engine().database, Claimant(process=this_process(), pool="default"), time.time() + 1, 1)
    assert run.id == asked.id
    command = [sys.executable, "-c", textwrap.dedent(IMPORTED), kind, run.id, str(run.fence)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert find_run(run.id).state_name == "Completed", done.stderr
    assert done.stdout.splitlines()[-1].split() == (["nightly"] if kind == "python" else [])
