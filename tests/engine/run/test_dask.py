"""Tasks on Dask: which cluster they run on, what happens when workers or the cluster go away, and what is said then."""

from __future__ import annotations

import io
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import flow, task
from flowbook.errors import CancelledRun, NotPicklable, UsageError, WorkerLost
from flowbook.futures import wait
from flowbook.run.dask_worker import _Courier
from flowbook.runs import find_run, run_view
from flowbook.task_runners import DaskTaskRunner

pytestmark = pytest.mark.slow


def within(runner: DaskTaskRunner, body: Callable[[], Any], **options: Any) -> Any:
    """The result of a flow with this body."""
    return flow(task_runner=runner, name="pipeline", **options)(body)()


def workers() -> set[int]:
    """The worker processes that this process has started."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def local(function: Callable[..., Any]) -> Any:
    """The function as a task that goes to workers by value: those of a cluster do not know this module."""
    function.__module__ = "__main__"
    return task(function)


@local
def pid() -> int:
    return os.getpid()


class Cluster:
    """A scheduler and a worker as commands start them, which know nothing of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[subprocess.Popen[bytes]] = []
        self.address = self._start("scheduler", "Scheduler at:", "--host", "127.0.0.1", "--port", "0")

    def add_worker(self) -> None:
        self._start("worker", "Registered to:", self.address, "--nthreads", "1")

    def _start(self, what: str, ready: str, *options: str) -> str:
        log = self.folder / f"{what}.log"
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options, "--no-dashboard"]
        with log.open("wb") as file:
            started = subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder, start_new_session=True)
        self.commands.append(started)
        until(lambda: ready in log.read_text() or started.poll() is not None)
        found = re.search(rf"{ready}\s*(tcp://\S+)", log.read_text())
        assert found is not None, log.read_text()
        return found[1]

    def close(self) -> None:
        for command in reversed(self.commands):
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            command.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one worker that somebody else has started."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.add_worker()
        yield started
    finally:
        started.close()


# --- which cluster ----------------------------------------------------------------------------------------------------


def test_a_cluster_is_started_for_the_flow_run_and_closed_after_it() -> None:
    before = workers()

    def body() -> tuple[int, set[int]]:
        return pid.submit().result(), workers() - before

    used, started = within(DaskTaskRunner(cluster_kwargs={"n_workers": 2, "threads_per_worker": 1}), body)
    assert used in started
    assert len(started) == 2
    until(lambda: workers() == before)


def test_as_many_tasks_run_side_by_side_as_there_are_threads(tmp_path: Path) -> None:
    @task
    def meets(mine: Path, other: Path) -> bool:
        mine.touch()
        deadline = time.monotonic() + 60
        while not other.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return other.exists()

    def body() -> list[bool]:
        one, two = tmp_path / "one", tmp_path / "two"
        return [future.result() for future in [meets.submit(one, two), meets.submit(two, one)]]

    assert within(DaskTaskRunner(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2}), body) == [True, True]


def test_workers_in_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def speaks(n: int) -> int:
        for _ in range(20):
            print("task", n)
            time.sleep(0.001)
        return os.getpid()

    def body() -> list[int]:
        futures = [speaks.submit(n) for n in (1, 2)]
        print("flow")
        return [future.result() for future in futures]

    runner = DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs={"processes": False})
    stdout = sys.stdout
    assert set(within(runner, body)) == {os.getpid()}
    assert sys.stdout is stdout
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == ["flow", *["task 1"] * 20, *["task 2"] * 20]


def test_a_cluster_that_grows_when_there_is_work() -> None:
    runner = DaskTaskRunner(
        cluster_kwargs={"n_workers": 0, "threads_per_worker": 1},
        adapt_kwargs={"minimum": 0, "maximum": 1, "interval": "50ms"},
    )
    assert isinstance(within(runner, lambda: pid.submit().result()), int)


def test_a_given_cluster_stays_open() -> None:
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as given:
        first = within(DaskTaskRunner(cluster=given), lambda: pid.submit().result())
        assert within(DaskTaskRunner(cluster=given), lambda: pid.submit().result()) == first
        with Client(given) as client:
            assert client.submit(os.getpid).result() == first


def test_a_cluster_at_an_address(cluster: Cluster) -> None:
    used = within(DaskTaskRunner(address=cluster.address), lambda: pid.submit().result())
    assert used in {child.pid for child in psutil.Process(cluster.commands[1].pid).children(recursive=True)}


def test_an_address_where_nobody_answers() -> None:
    runner = DaskTaskRunner(address="tcp://127.0.0.1:9", client_kwargs={"timeout": 1})
    with pytest.raises(
        UsageError, match=r"^The Dask cluster at tcp://127\.0\.0\.1:9 cannot be reached: .*Start its sch"
    ):
        within(runner, lambda: pid.submit().result())
    assert find_run("last").state_name == "Failed"


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbook.run.dask.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r'install it with `pip install "flowbook\[dask\]"`\.'):
        within(DaskTaskRunner(), lambda: pid.submit().result())


def test_options_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="takes one of the three"):
        DaskTaskRunner(address="tcp://127.0.0.1:9", cluster_kwargs={"n_workers": 1})
    with pytest.raises(UsageError, match="adapt_kwargs needs a cluster"):
        DaskTaskRunner(address="tcp://127.0.0.1:9", adapt_kwargs={"maximum": 1})
    assert repr(DaskTaskRunner(address="tcp://a:1")) == "DaskTaskRunner(address='tcp://a:1')"


def test_a_script_that_is_not_guarded_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from flowbook import flow, task\n"
        "from flowbook.task_runners import DaskTaskRunner\n"
        "@task\n"
        "def work(): pass\n"
        "@flow(task_runner=DaskTaskRunner())\n"
        "def pipeline(): work.submit()\n"
        "pipeline()\n"
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("flowbook.errors.UsageError: A Dask cluster could not be started")
    assert last.endswith('call the flow in it below `if __name__ == "__main__":`.')


# --- what goes there and back -----------------------------------------------------------------------------------------


def test_large_arrays_go_there_and_back_and_can_be_changed(cluster: Cluster) -> None:
    numpy = pytest.importorskip("numpy")

    @task
    def double(array: Any) -> Any:
        array *= 2
        return array

    for size in (10, 3_000_000):
        result = within(DaskTaskRunner(address=cluster.address), lambda n=size: double.submit(numpy.ones(n)).result())
        assert result.sum() == 2 * size
        result += 1


def test_a_module_that_the_workers_do_not_have(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("from flowbook import task\n@task\ndef work():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here  # type: ignore[import-not-found]

    def body() -> BaseException:
        return only_here.work.submit().result(raise_on_failure=False)  # type: ignore[no-any-return]

    error = within(DaskTaskRunner(address=cluster.address), body, log_prints=True)
    assert isinstance(error, NotPicklable)
    assert "The task cannot be read in the process that is to execute it: ModuleNotFoundError: No module" in str(error)


def test_thousands_of_lines_arrive_in_order(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def chatty() -> None:
        for n in range(5000):
            print(n)
            if n % 500 == 0:
                time.sleep(0.03)

    ear = io.StringIO()

    def body() -> None:
        monkeypatch.setattr(sys, "stdout", ear)
        chatty.submit().result()

    within(DaskTaskRunner(address=cluster.address), body)
    assert ear.getvalue() == "".join(f"{n}\n" for n in range(5000))


def test_a_line_that_comes_as_a_batch_leaves_is_in_the_next_one() -> None:
    class Worker:
        def __init__(self) -> None:
            self.loop, self.batches = SimpleNamespace(add_callback=print, call_later=None), []

        def log_event(self, _topic: str, event: tuple[str, int, bytes]) -> None:
            self.batches.append(pickle.loads(event[2]))

    class Line:
        def __bytes__(self) -> bytes:
            courier._go()  # the event loop of the worker had its turn
            return b"2"

    worker = Worker()
    courier = _Courier(worker, "topic", "call")
    courier.send([b"1"])
    courier.send([Line()])  # type: ignore[list-item]
    assert worker.batches == [[b"1"]]
    assert courier.finish() == (1, [b"2"])


def test_a_task_may_use_dask_itself(cluster: Cluster) -> None:
    @task
    def asks_dask() -> int:
        from distributed import get_worker, worker_client

        assert get_worker().address
        with worker_client() as client:
            return int(client.submit(lambda: 42).result())

    assert within(DaskTaskRunner(address=cluster.address), lambda: asks_dask.submit().result()) == 42


# --- workers that go away ---------------------------------------------------------------------------------------------


@local
def dies(attempts: Path, *, once: bool = False) -> str:
    with attempts.open("a") as file:
        file.write("x")
    if once and attempts.stat().st_size > 1:
        return "survived"
    time.sleep(0.2)
    os._exit(1)


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_lost_worker_is_a_crash_and_the_task_is_not_called_again(
    whose: str, cluster: Cluster, tmp_path: Path
) -> None:
    ours = DaskTaskRunner(cluster_kwargs={"n_workers": 2, "threads_per_worker": 1})
    attempts = tmp_path / "attempts"

    def body() -> Any:
        lost = dies.submit(attempts)
        error = lost.result(raise_on_failure=False)
        return error, lost.state.name, pid.submit().result()

    error, name, _ = within(ours if whose == "ours" else DaskTaskRunner(address=cluster.address), body)
    assert isinstance(error, WorkerLost)
    assert re.match(
        r"The worker that executed task run 'dies' went away before the task had ended: the Dask", str(error)
    )
    assert name == "Crashed"
    assert attempts.read_text() == "x"


def test_a_task_is_retried_after_its_worker_has_gone(cluster: Cluster, tmp_path: Path) -> None:
    work = dies.with_options(retries=1)
    runner = DaskTaskRunner(address=cluster.address)
    assert within(runner, lambda: work.submit(tmp_path / "attempts", once=True).result()) == "survived"


def test_a_task_that_another_client_cancels(cluster: Cluster, tmp_path: Path) -> None:
    from distributed import Client, Future

    @task
    def works(begun: Path, over: Path) -> None:
        begun.touch()
        while not over.exists():
            time.sleep(0.01)

    def body() -> BaseException:
        working = works.submit(tmp_path / "begun", tmp_path / "over")
        until((tmp_path / "begun").exists)
        with Client(cluster.address, set_as_default=False) as client:
            [key] = {key for keys in client.processing().values() for key in keys}
            client.cancel([Future(key, client)], force=True)
        (tmp_path / "over").touch()
        return working.result(raise_on_failure=False)  # type: ignore[no-any-return]

    error = within(DaskTaskRunner(address=cluster.address), body)
    assert isinstance(error, CancelledRun)
    assert str(error).startswith("Dask has cancelled task run 'works': ")


def test_a_scheduler_that_goes_away(tmp_path: Path) -> None:
    started = Cluster(tmp_path)
    try:
        started.add_worker()

        @task
        def works(begun: Path) -> None:
            begun.touch()
            time.sleep(60)

        def body() -> BaseException:
            working = works.submit(tmp_path / "begun")
            until((tmp_path / "begun").exists)
            os.killpg(started.commands[0].pid, signal.SIGKILL)
            return working.result(raise_on_failure=False)  # type: ignore[no-any-return]

        began = time.monotonic()
        error = within(DaskTaskRunner(address=started.address, client_kwargs={"timeout": 2}), body)
        assert time.monotonic() - began < CUT_SHORT
        assert isinstance(error, CancelledRun | WorkerLost)
        assert "the scheduler went away" in str(error) or "can no longer be reached" in str(error)
    finally:
        started.close()


# --- interrupts -------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_a_task_of_which_nothing_has_been_heard(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbook.run.dask._Conversation._pass_on", lambda *_: None)
    monkeypatch.setattr("flowbook.run.dask.STOP_GRACE", WITHIN)
    monkeypatch.setattr("flowbook.run.dask_line.STOP_GRACE", WITHIN)
    begun, ended = tmp_path / "begun", tmp_path / "ended"

    @task
    def works(begun: Path, ended: Path) -> None:
        try:
            begun.touch()
            for _ in range(6000):
                time.sleep(0.01)
        except KeyboardInterrupt:
            ended.touch()
            raise

    def strike() -> None:
        until(begun.exists)
        os.kill(os.getpid(), signal.SIGINT)

    def body() -> None:
        threading.Thread(target=strike).start()
        wait([works.submit(begun, ended)])

    with pytest.raises(KeyboardInterrupt):
        within(DaskTaskRunner(address=cluster.address), body)
    until(ended.exists, CUT_SHORT)


def test_ctrl_c_ends_a_cluster_of_ours_whatever_its_tasks_do(tmp_path: Path) -> None:
    before = workers()
    begun = tmp_path / "begun"
    struck: list[float] = []

    @task
    def deaf(begun: Path) -> None:
        begun.touch()
        while True:
            with suppress(BaseException):
                time.sleep(60)

    def strike() -> None:
        until(begun.exists)
        struck.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def body() -> None:
        threading.Thread(target=strike).start()
        wait([deaf.submit(begun)])

    with pytest.raises(KeyboardInterrupt):
        within(DaskTaskRunner(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1}), body)
    assert time.monotonic() - struck[0] < CUT_SHORT
    until(lambda: workers() == before)
    assert [node.look for node in run_view("last").nodes.values()] == ["cancelled"]
