"""Deployments that execute nothing, their fires and their runs, for tests of schedules and of the queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil
from sqlalchemy import event, func, select

from flowbook.core.deploying import settings_from_json
from flowbook.run.ids import new_id
from flowbook.schedules import Schedule, coerce_schedule, to_dict
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment, save_version
from flowbook.store.processes import Process, is_gone
from flowbook.store.queue import NewRun, QueuedRun, queued_run, request_run
from flowbook.store.schema import fire, flow_run

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR


def deploy(
    database: Database,
    *schedules: str | Mapping[str, Any] | Schedule,
    name: str = "report",
    since: float = MIDNIGHT,
    paused: bool | None = None,
    parameters: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Deployment:
    """A deployment, or its next version, made at the time `since` as `promote` would; `settings` are its settings."""
    plain = [each if isinstance(each, Mapping) else to_dict(coerce_schedule(each)) for each in schedules]
    return save_version(
        database,
        name=name,
        flow=name,
        manifest={
            "parameters": dict(parameters or {}),
            "schedules": plain,
            "settings": settings_from_json(settings).to_json(),
        },
        schedules=plain,
        new_id=new_id,
        paused=paused,
        now=since,
    )


def process_of_run(database: Database, run_id: str) -> psutil.Process | None:
    """The living process that executes the run."""
    with database.read() as connection:
        row = connection.execute(select(flow_run).where(flow_run.c.id == run_id)).one()
    process = Process(host=row.host, pid=row.pid, started=row.pid_started)
    return None if is_gone(process) else psutil.Process(process.pid)


def fires(database: Database) -> list[tuple[Any, ...]]:
    """Each fire as (seconds after MIDNIGHT, outcome), or with a third member if several were missed: until when."""
    with database.read() as connection:
        rows = connection.execute(select(fire).order_by(fire.c.fire_time, fire.c.schedule_id))
        return [
            (row.fire_time - MIDNIGHT, row.outcome, *([] if row.until is None else [row.until - MIDNIGHT]))
            for row in rows
        ]


def runs(database: Database) -> list[Any]:
    """The rows of all flow runs, the oldest first, with their parameters read."""
    with database.read() as connection:
        rows = connection.execute(select(flow_run).order_by(flow_run.c.number)).mappings()
        return [_Row({**row, "parameters": json.loads(row["parameters"])}) for row in rows]


class _Row(dict[str, Any]):
    __getattr__ = dict.__getitem__


def dues(database: Database) -> list[float]:
    """When the runs are due, in seconds after MIDNIGHT, ascending."""
    return sorted(run.due - MIDNIGHT for run in runs(database))


def count(database: Database, table: Any) -> int:
    """How many rows there are."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def ask(database: Database, deployment: Deployment, due: float = MIDNIGHT, **options: Any) -> QueuedRun:
    """A run of `deployment` that somebody asked for."""
    run = NewRun(id=new_id(), parameters={}, due=due, trigger="deployment", **options)
    return queued_run(database, request_run(database, deployment, run).id)


def process(pid: int, host: str = "elsewhere") -> Process:
    """A process of another machine, of which nobody here knows whether it lives."""
    return Process(host=host, pid=pid, started=1.0)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are executed inside."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", see)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What `works` return, called in a thread each at the same moment; raises what one of them raises."""
    start = threading.Barrier(len(works))
    found: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def call(number: int, work: Callable[[], Any]) -> None:
        start.wait()
        try:
            found[number] = work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


class FakeClock:
    """Time passes only where somebody waits, and `at` says what happens then."""

    def __init__(self, now: float, *, until: float, stop: threading.Event) -> None:
        self.time = now
        self.until = until
        self.stop = stop
        self.pauses: list[float] = []
        self.at: dict[float, Callable[[], Any]] = {}
        self.is_closed = False

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        for due in [due for due in self.at if due <= self.time]:
            self.at.pop(due)()
        if self.time >= self.until:
            self.stop.set()

    def close(self) -> None:
        self.is_closed = True
