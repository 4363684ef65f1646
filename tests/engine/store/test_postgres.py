"""What only a server can do: restart, fall silent, lose an answer. Nothing is lost by it, and nothing written twice."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError
from tests.waiting import CUT_SHORT, WITHIN

from flowbook import flow, get_run_logger, task
from flowbook.core.events import Event
from flowbook.engine import close_engines
from flowbook.errors import StoreError
from flowbook.runs import recent_runs, run_view
from flowbook.runtime import flow_run
from flowbook.store import postgres
from flowbook.store.database import Database
from flowbook.store.events import events_of
from flowbook.store.journal import Journal
from flowbook.store.requests import RunRequests
from flowbook.store.schema import event
from flowbook.task_runners import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from tests.postgres import OwnServer

pytestmark = pytest.mark.slow


def log(run_id: str, n: int) -> Event:
    return Event(kind="log", time=float(n), flow_run_id=run_id, data={"level": "INFO", "message": str(n)})


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def journal_of(database: Database) -> Iterator[Journal]:
    journal = Journal(database)
    try:
        yield journal
    finally:
        journal.close()


def messages(database: Database, run_id: str) -> list[str]:
    return [event.data["message"] for event in events_of(database, run_id)]


# --- a server that restarts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_flow_goes_on_while_its_server_restarts(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    @task(log_prints=True)
    def step(n: int) -> int:
        print("step", n)
        time.sleep(0.02)
        return n

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def pipeline(disturb: Callable[[], None]) -> int:
        first = [step.submit(n) for n in range(30)]
        disturb()
        second = [step.submit(future) for future in first]
        get_run_logger().info("half-way")
        return sum(future.result() for future in second)

    away = threading.Event()

    def restart() -> None:
        getattr(own_postgres, how)()
        away.set()
        time.sleep(0.7)  # the time that it is away
        own_postgres.start()

    def in_the_middle() -> None:
        restarting.start()
        away.wait()

    restarting = threading.Thread(target=restart)
    with own_postgres.database() as url:
        monkeypatch.setenv("FLOWBOOK_DATABASE_URL", url)
        assert pipeline(lambda: None) == pipeline(in_the_middle) == 435
        restarting.join()
        disturbed, calm = recent_runs()
        assert (disturbed.state_name, disturbed.done, disturbed.total) == ("Completed", 60, 60)
        assert facts(disturbed.id) == facts(calm.id)
        close_engines()


def facts(flow_run_id: str) -> Counter[tuple[str, str]]:
    """What the record says of a run, apart from ids and times."""
    from flowbook.engine import engine

    names = {run_id: node.name for run_id, node in run_view(flow_run_id).nodes.items()}
    return Counter(
        (names.get(event.task_run_id or "", "flow"), str(event.data.get("name") or event.data.get("message")))
        for event in events_of(engine().database, flow_run_id)
        if event.kind != "flow-run" and "low run " not in str(event.data.get("message"))
    )


def test_a_run_can_be_cancelled_after_its_server_restarted(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    run_ids: list[str] = []

    @flow
    def pipeline() -> None:
        run_ids.append(flow_run.id or "")
        begun.set()
        while True:
            time.sleep(0.01)

    with own_postgres.database() as url:
        monkeypatch.setenv("FLOWBOOK_DATABASE_URL", url)
        running = threading.Thread(target=lambda: pipeline(return_state=True))  # type: ignore[call-arg]
        running.start()
        assert begun.wait(WITHIN)
        time.sleep(0.8)  # it is looked after by now
        own_postgres.crash()
        own_postgres.start()
        with opened(url) as elsewhere:
            RunRequests(elsewhere).cancel(run_ids[0], "Enough.")
        running.join(WITHIN)
        assert not running.is_alive()
        [run] = recent_runs()
        assert (run.state_name, run.message) == ("Cancelled", "Enough.")
        close_engines()


def test_no_event_is_lost_or_doubled_while_a_server_crashes_again_and_again(own_postgres: OwnServer) -> None:
    with own_postgres.database() as url, opened(url) as database:
        with journal_of(database) as journal:
            stop = threading.Event()

            def write() -> None:
                n = 0
                while not stop.is_set():
                    for _ in range(50):
                        journal.append(log("run", n))
                        n += 1
                    if n % 500 == 0:
                        journal.flush()
                written.append(n)

            written: list[int] = []
            writing = threading.Thread(target=write)
            writing.start()
            for _ in range(6):
                time.sleep(0.15)  # which falls anywhere into the commits
                own_postgres.crash()
                own_postgres.start()
            stop.set()
            writing.join()
        assert messages(database, "run") == [str(n) for n in range(written[0])]


def test_a_server_that_stays_away_is_an_error_in_the_end(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_PATIENCE", 0.3)
    with own_postgres.database() as url, opened(url) as database:
        with journal_of(database) as journal:
            journal.append(log("run", 1))
            journal.flush()
            own_postgres.stop()
            journal.append(log("run", 2))
            with pytest.raises(
                StoreError, match=r"^The record could not be written: The database postgresql.* cannot be"
            ):
                journal.flush()
            own_postgres.start()
            journal.append(log("run", 3))
        assert messages(database, "run") == ["1", "3"]


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_PATIENCE", WITHIN)
    began = time.monotonic()
    with pytest.raises(StoreError) as raised:
        Database(f"postgresql+psycopg://me:hunter2@/db?host={tmp_path}")
    assert time.monotonic() - began < CUT_SHORT, "it is not waited for"
    assert "cannot be" in str(raised.value)
    assert "hunter2" not in str(raised.value)


# --- answers that are lost --------------------------------------------------------------------------------------------


class Proxy:
    """Stands between a client and the server, and cuts the connections on which certain things are said.

    `cuts` are these words, and whether the server hears them (``"after COMMIT"``) or not (``"before COMMIT"``).
    """

    def __init__(self, url: str, folder: Path) -> None:
        server = make_url(url)
        self._behind = f"{server.query['host']}/.s.PGSQL.5432"
        self.url = server.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        self.cuts: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in (self._accepting, *self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._behind)
            cut = threading.Event()
            answers = threading.Thread(target=self._pass_on, args=(server, client, False, cut))
            answers.start()
            self._pass_on(client, server, True, cut)
            answers.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_client: bool, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_client and self.cuts and re.search(rf"\b{self.cuts[0].split()[1]}\b".encode(), data):
                    if self.cuts.pop(0).startswith("before"):
                        break
                    cut.set()
                if not is_client and cut.is_set():
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    if "host=" not in postgres_url:
        pytest.skip("FLOWBOOK_TEST_POSTGRES is not a socket")
    with tempfile.TemporaryDirectory(prefix="flowbook-") as folder:  # short, as paths of sockets have to be
        proxy = Proxy(postgres_url, Path(folder))
        yield proxy
        proxy.close()


@pytest.mark.parametrize(
    "cuts",
    [
        ["before COMMIT"],
        ["after COMMIT"],
        ["before COMMIT", "after COMMIT"],
        ["after COMMIT", "before pg_xact_status", "after pg_xact_status"],
        ["before COMMIT", "before pg_xact_status", "before COMMIT", "after COMMIT"],
        ["after INSERT", "before pg_advisory_xact_lock", "after COMMIT"],
    ],
    ids=", ".join,
)
def test_a_commit_whose_answer_is_lost_is_done_once(proxy: Proxy, cuts: list[str]) -> None:
    with opened(proxy.url) as database:
        with journal_of(database) as journal:
            for n in range(5):
                journal.append(log("run", n))
                if n == 2:
                    proxy.cuts = cuts
                journal.flush()
        assert proxy.cuts == []
        assert messages(database, "run") == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("cut", ["before COMMIT", "after COMMIT"])
def test_a_write_raises_only_if_it_was_not_done(proxy: Proxy, cut: str) -> None:
    with opened(proxy.url) as database:
        proxy.cuts = [cut]
        try:
            with database.write() as connection:
                connection.execute(event.insert().values(time=0.0, kind="log", flow_run_id="run", data="{}"))
            done = True
        except (DBAPIError, StoreError):
            done = False
        assert done == (cut == "after COMMIT")
        assert len(events_of(database, "run")) == done


# --- several processes ------------------------------------------------------------------------------------------------


def test_whoever_reads_on_misses_nothing(postgres_url: str) -> None:
    """Numbers are given at once, but become visible with their transactions, which have to keep their order."""
    with opened(postgres_url) as reading, opened(postgres_url) as one, opened(postgres_url) as two:
        with journal_of(one) as first, journal_of(two) as second:

            def write(journal: Journal) -> None:
                for n in range(1500):
                    journal.append(log("run", n))
                    if n % 7 == 0:
                        journal.flush()

            writers = [threading.Thread(target=write, args=(journal,)) for journal in (first, second)]
            for writer in writers:
                writer.start()
            seen: list[Event] = []
            alive = True
            while alive:
                alive = any(writer.is_alive() for writer in writers)
                seen += events_of(reading, "run", after=(seen[-1].seq or 0) if seen else 0)
            for writer in writers:
                writer.join()
        seen += events_of(reading, "run", after=seen[-1].seq or 0)
        assert len(seen) == 3000


def test_a_read_sees_one_state_throughout_and_cannot_write(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        new = event.insert().values(time=0.0, kind="log", flow_run_id="run", data="{}")
        with database.read() as reading:
            assert reading.execute(select(event)).all() == []
            with database.write() as writing:
                writing.execute(new)
            assert reading.execute(select(event)).all() == []
        with pytest.raises(Exception, match=re.escape("read-only transaction")), database.read() as reading:
            reading.execute(new)
        assert len(events_of(database, "run")) == 1


def test_a_writer_that_falls_silent_is_not_waited_for_forever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_SILENT", 300)
    with opened(postgres_url) as silent, opened(postgres_url) as other:

        def fall_silent() -> None:
            with silent.write() as connection:
                connection.execute(event.insert().values(time=0.0, kind="log", flow_run_id="silent", data="{}"))
                with journal_of(other) as journal:
                    journal.append(log("other", 1))

        with pytest.raises((DBAPIError, StoreError)):
            fall_silent()
        assert messages(other, "other") == ["1"]
        assert events_of(other, "silent") == []
