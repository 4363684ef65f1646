"""For tests of your own flows: a record of their own that is thrown away, and a clock that nobody has to wait for.

::

    def test_the_report_survives_a_bad_connection():
        with flowbook_test_harness() as harness:
            assert report() == 42
            harness.assert_states("fetch", "Running", "AwaitingRetry", "Retrying", "Completed")
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.core.events import Event, state_from_json
from flowbook.core.states import State
from flowbook.core.view import LogLine, RunView
from flowbook.errors import NotFound, did_you_mean
from flowbook.logging import disable_run_logger
from flowbook.run import logs
from flowbook.run.clock import using
from flowbook.run.current import current, current_tags
from flowbook.run.fake_clock import FakeClock
from flowbook.run.inline import everything_inline
from flowbook.runs import RunSummary, find_run, recent_runs, run_view
from flowbook.settings import current_settings

__all__ = ["FakeClock", "Harness", "disable_run_logger", "flowbook_test_harness", "prefect_test_harness"]


@contextmanager
def flowbook_test_harness(*, clock: FakeClock | None = None, inline: bool = False) -> Iterator[Harness]:
    """Inside, flows and tasks run for real, in a temporary home with a database of its own that is removed afterwards.

    Runs go by `clock`, by default a `FakeClock`, so that no retry takes time. With ``inline=True`` submitted tasks are
    executed one after the other where they are submitted, whatever the task runner: no threads, no processes.

    What was there before is there again afterwards: environment variables, open databases, handlers of loggers.
    Harnesses may be nested. All threads of the process are inside.
    """
    clock = clock or FakeClock()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowbook-test-"))) / "home"
        stack.enter_context(logs.as_before())
        stack.enter_context(_environment(FLOWBOOK_HOME=str(home), FLOWBOOK_DATABASE_URL=None))
        stack.enter_context(_outside_of_runs())
        stack.enter_context(using(clock))
        stack.enter_context(everything_inline(inline))
        settings = current_settings()
        stack.callback(engine.close_engine, settings.database_url)
        logs.install(settings.logging_level)
        logs.hand_on()
        yield Harness(home, clock)


prefect_test_harness = flowbook_test_harness


class Harness:
    """What ran since the harness was set up. Where a `run` is asked for, it is ``"last"``, the name of a flow (its
    newest run), or the name, number or id of a run.
    """

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.home = home
        self.clock = clock

    def runs(self, limit: int = 50) -> list[RunSummary]:
        """The newest flow runs first, without sub-flows."""
        return recent_runs(limit)

    def run(self, run: str | int = "last") -> RunView:
        """A flow run with its task runs and logs. Raises NotFound."""
        return run_view(self._flow_run(run))

    def states(self, task: str, run: str | int | None = None) -> list[State]:
        """The states that a task run entered, in order, each with its `timestamp`.

        `task` is the name of the task run: ``load``, and ``load-1`` for the second one in a flow run. Without a `run`,
        the newest of that name counts, in a flow run or not. Raises NotFound.
        """
        return [state_from_json(event.data, event.time) for event in self._events(task, run) if event.kind == "state"]

    def attempts(self, task: str, run: str | int | None = None) -> int:
        """How often a task run was attempted; 0 if it was not, because its result was there or its inputs were not."""
        return max((state.attempt for state in self.states(task, run)), default=0)

    def delays(self, task: str, run: str | int | None = None) -> list[float]:
        """The seconds that a task run waited before each retry, to the microsecond."""
        pairs = pairwise(self.states(task, run))
        waits = [(a.time, b.time) for a, b in pairs if a.name == "AwaitingRetry" and b.name == "Retrying"]
        return [round(until - since, 6) for since, until in waits if since is not None and until is not None]

    def logs(self, task: str | None = None, run: str | int | None = None) -> list[LogLine]:
        """The log of a task run, or without one of a flow run (by default the last) and all its task runs."""
        if task is None:
            return list(self.run("last" if run is None else run).logs)
        lines = (event for event in self._events(task, run) if event.kind == "log")
        return [LogLine(time=line.time, level=line.data["level"], message=line.data["message"]) for line in lines]

    def assert_completed(self, run: str | int = "last") -> None:
        """Fail, with a list of what did not complete, unless the flow run did."""
        __tracebackhide__ = True
        view = self.run(run)
        if view.state is None or not view.state.is_completed():
            others = [f"\n  {node.name}: {node.state}" for node in view.nodes.values() if node.look != "succeeded"]
            raise AssertionError(f"Flow run {view.name!r} of {view.flow!r} is {view.state}.{''.join(others)}")

    def assert_states(self, task: str, *names: str, run: str | int | None = None) -> None:
        """Fail, with the story of the task run, unless it entered the states of these names, in this order."""
        __tracebackhide__ = True
        states = self.states(task, run)
        if [state.name for state in states] != list(names):
            story = "".join(f"\n  {state.timestamp:%H:%M:%S.%f} {state}" for state in states)
            raise AssertionError(f"Task run {task!r} did not enter {', '.join(names) or 'no state'}, but:{story}")

    def assert_logged(self, text: str, *, task: str | None = None, run: str | int | None = None) -> None:
        """Fail, with the log, unless `text` is in a line of it."""
        __tracebackhide__ = True
        lines = self.logs(task, run)
        if not any(text in line.message for line in lines):
            found = "".join(f"\n  {line.level} {line.message}" for line in lines) or "\n  (nothing)"
            raise AssertionError(f"No line of the log holds {text!r}. It was said:{found}")

    def assert_all_ended(self) -> None:
        """Fail, with a list of them, if there are flow runs or task runs that have not ended."""
        __tracebackhide__ = True
        left = [f"\n  {kind} {row.name!r}: {row.state_name}" for kind, row in self._unfinished()]
        if left:
            raise AssertionError(f"These runs have not ended:{''.join(left)}")

    def _flow_run(self, run: str | int) -> str:
        """The id of the flow run that is meant."""
        from sqlalchemy import select

        from flowbook.store.schema import flow_run

        newest = select(flow_run.c.id).where(flow_run.c.flow == run).order_by(flow_run.c.number.desc()).limit(1)
        found = next((row.id for row in self._read(newest)), None)
        return found or find_run(run).id

    def _events(self, task: str, run: str | int | None) -> list[Event]:
        """The events of the task run that is meant."""
        from sqlalchemy import select

        from flowbook.store.events import task_events_of
        from flowbook.store.schema import task_run

        query = select(task_run.c.id, task_run.c.name).order_by(task_run.c.id)  # which is the order of their creation
        if run is not None:
            query = query.where(task_run.c.flow_run_id == self._flow_run(run))
        ids = {row.name: row.id for row in self._read(query)}
        if task not in ids:
            known = ", ".join(map(repr, ids)) or "none at all"
            raise NotFound(f"There is no task run {task!r} in the record, but {known}.{did_you_mean(task, ids)}")
        return task_events_of(engine.engine().database, ids[task])

    def _unfinished(self) -> Iterator[tuple[str, Any]]:
        from sqlalchemy import select

        from flowbook.core.states import FINAL_TYPES
        from flowbook.store.schema import flow_run, task_run

        for kind, table in (("Flow run", flow_run), ("Task run", task_run)):
            query = select(table.c.name, table.c.state_name).where(table.c.state_type.not_in(FINAL_TYPES))
            yield from ((kind, row) for row in self._read(query))

    def _read(self, query: Any) -> Iterable[Any]:
        opened = engine.engine()
        opened.journal.flush()
        with opened.database.read() as connection:
            return list(connection.execute(query))


@contextmanager
def _environment(**variables: str | None) -> Iterator[None]:
    """Inside, these environment variables have these values, or are not set."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _outside_of_runs() -> Iterator[None]:
    """Inside, the calling code is part of no run, and gives no tags to runs."""
    before = current.get(), current_tags.get()
    if before == (None, frozenset()):
        yield  # also for a fixture that ends in another context than it began in
        return
    current.set(None)
    current_tags.set(frozenset())
    try:
        yield
    finally:
        current.set(before[0])
        current_tags.set(before[1])
