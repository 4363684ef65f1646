"""What ``%tasks``, ``%runs``, ``%logs`` and ``%flow show`` show."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from html import escape

from flowbook.core.failure import failure_of
from flowbook.core.plain import duration_text, one_line, shorten
from flowbook.core.text import plan_sentence, sentence
from flowbook.core.view import RunView
from flowbook.errors import NotFound, did_you_mean
from flowbook.runs import RunSummary, how_it_failed, recent_runs, run_view
from flowbook_magics.flow_run import planned
from flowbook_magics.freshness import stale_tasks
from flowbook_magics.session import Session
from flowbook_magics.tables import Marked, Table, Text
from flowbook_widgets import final_bundle

_NO_TASKS = "No tasks yet. Put `%%task` on a cell's first line."
_MOST_SAID = 1000  # columns of the sentence about a run
_NO_RUNS = "Nothing has run here. `%flow run` runs the tasks of this notebook."


def tasks_table(session: Session) -> Table:
    """The tasks of the notebook: state, what they read and write, why they are stale, how long they took."""
    stale = stale_tasks(session.cells)
    rows = []
    for cell in session.cells.tasks:
        reason = stale.get(cell.graph_id)
        last = cell.last
        arrow = f"{', '.join(sorted(cell.analysis.reads)) or '-'} → {', '.join(sorted(cell.analysis.writes)) or '-'}"
        took = duration_text(last.duration) if last else "-"
        rows.append((cell.label, cell.graph_id, "stale" if reason else "fresh", arrow, reason or "", took))
    return Table(("Task", "Cell", "State", "Reads → writes", "Stale because", "Took"), rows, empty=_NO_TASKS)


def runs_table(limit: int, *, failed: bool, deployment: str | None) -> Table:
    """The last flow runs, the newest first."""
    found = recent_runs(limit, deployment=deployment, failed=failed)
    now, rows = time.time(), []
    for run in found:
        took = run.duration(now)
        rows.append(
            (
                str(run.number),
                run.word,
                run.flow,
                run.deployment or "-",
                run.why or f"{run.done}/{run.total} tasks",
                _local(run.started or run.created),
                duration_text(took) if took is not None else "-",
            )
        )
    empty = _NO_RUNS if not failed else "No run has failed."
    return Table(("Run", "State", "Flow", "Deployment", "Progress or why", "Started", "Took"), rows, empty=empty)


def logs_text(run: str, task: str | None, level: str) -> Text:
    """The log of a run, or of one of its tasks, from `level` up. Raises NotFound."""
    view = run_view(run)
    check_task(view, task)
    what = f"Task {task!r} of run" if task else "Run"
    nothing = f"{what} {view.name!r} of {view.flow!r} logged nothing from level {level} up."
    return Text("\n".join(log_lines(view, task, level)) or nothing)


def log_lines(view: RunView, task: str | None, level: str, *, after: int = 0) -> list[str]:
    """The lines that a run, or one of its tasks, has logged from `level` up, but for the first `after` of the run."""
    names = {node.id: node.name for node in view.nodes.values()}
    least = logging.getLevelNamesMapping()
    return [
        f"{datetime.fromtimestamp(line.time).astimezone():%H:%M:%S} {line.level:<7} "
        f"{names.get(line.task_run_id or '', view.flow)}: {line.message}"
        for line in view.logs[after:]
        if (task is None or names.get(line.task_run_id or "") == task)
        and least.get(line.level, logging.CRITICAL) >= least[level]
    ]


def check_task(view: RunView, task: str | None) -> None:
    """Raise NotFound if the run has no task of this name."""
    names = {node.name for node in view.nodes.values()}
    if task is not None and task not in names:
        raise NotFound(f"Run {view.name!r} has no task {task!r}.{did_you_mean(task, names)}")


def run_report(run: RunSummary) -> Marked:
    """One run: what it is, its graph and tasks, and if it failed why, and the lines of its notebook at which it did."""
    view, now = run_view(run.id), time.time()
    failure = failure_of(view, {})
    how = how_it_failed(run, view)
    of = f"deployment {run.deployment!r}" if run.deployment else f"flow {run.flow!r}"
    said = f"{sentence(view, now)} Run {run.number} ({run.name}) of {of}, {_local(run.started or run.created)}."
    if run.parameters:
        said += f" Parameters: {', '.join(f'{name}={value!r}' for name, value in run.parameters.items())}."
    shown = final_bundle(view, now, said=shorten(one_line(said), _MOST_SAID), failure=failure)
    text = "\n\n".join(part for part in (shown["text/plain"], how) if part)
    return Marked(text, shown["text/html"] + (f"<pre>{escape(how)}</pre>" if how else ""))


def graph_bundle(session: Session, said: str | None = None) -> dict[str, str]:
    """The graph of the tasks, to display under the sentence `said`, by default how many are fresh."""
    view = planned(session)
    return final_bundle(view, said=said or plan_sentence(view)) if view.nodes else {"text/plain": _NO_TASKS}


def _local(time_: float) -> str:
    return f"{datetime.fromtimestamp(time_).astimezone():%Y-%m-%d %H:%M:%S %Z}"
