"""``%logs --follow``: what a run logs, as it comes; the run may be executed by any process."""

from __future__ import annotations

import sys
import time

from flowbook import engine
from flowbook.core.text import sentence
from flowbook.core.view import RunReducer
from flowbook.errors import UsageError
from flowbook.runs import find_run
from flowbook.store.events import events_of
from flowbook_magics import reports
from flowbook_magics.namespace import running

_LOOK_EVERY = 0.25  # seconds


def follow(run: str, task: str | None, level: str) -> None:
    """Print what a run, or one of its tasks, logs from `level` up until the run has ended, and how it has.

    An interrupt ends this and not the run. Raises NotFound for a run that is not there, and for a task of which the run
    has ended without, and UsageError where what waits may be what it waits for.
    """
    if engine.current_flow() is not None or running.get() is not None:
        raise UsageError("%logs --follow cannot be used inside a task or a flow; give it a cell of its own.")
    found = find_run(run)
    try:
        _print_until_its_end(found.id, task, level)
    except KeyboardInterrupt:
        sys.stdout.write(f"Run {found.name!r} is not followed any more. It is as it was.\n")


def _print_until_its_end(run_id: str, task: str | None, level: str) -> None:
    database, reducer = engine.engine().database, RunReducer(run_id, keep_logs=sys.maxsize)
    seen, printed, has_ended = 0, 0, False
    while not has_ended:
        has_ended = find_run(run_id).ended is not None  # before its events are read, so that the last are among them
        events = events_of(database, run_id, after=seen)
        reducer.apply(events)
        seen = max((event.seq or 0 for event in events), default=seen)
        view = reducer.view
        for line in reports.log_lines(view, task, level, after=printed):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        printed = len(view.logs)
        if not has_ended:
            time.sleep(_LOOK_EVERY)
    reports.check_task(reducer.view, task)
    sys.stdout.write(sentence(reducer.view) + "\n")
