"""The history: recent runs as a list, one run as a graph. What the CLI, the magics and JupyterLab show."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.failure import failed_first
from flowbook.core.jsonable import plain_text
from flowbook.core.plain import one_line, without_ansi
from flowbook.core.states import State, StateType
from flowbook.core.view import WORDS, RunView, look_of, reduce_run
from flowbook.errors import NotFound, UsageError, did_you_mean
from flowbook.settings import current_settings

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

__all__ = [
    "RunSummary",
    "find_run",
    "flows_that_ran",
    "how_it_failed",
    "last_success",
    "recent_runs",
    "run_folder",
    "run_view",
    "usual_duration",
]

#: So much of a traceback, or of the end of what a run printed, is shown.
_MOST_LINES, _MOST_BYTES = 60, 8000


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """One line of the list of runs. Times are in seconds since the epoch; files are absolute paths, if kept."""

    id: str
    number: int
    name: str
    flow: str
    deployment: str | None
    trigger: str
    state_type: str
    state_name: str
    message: str | None
    look: str
    word: str
    created: float
    started: float | None
    ended: float | None
    done: int
    """How many of its task runs have completed, of the `total` that there are."""
    total: int
    why: str | None
    parameters: dict[str, Any]
    notebook: str | None
    html: str | None
    svg: str | None

    def duration(self, now: float | None = None) -> float | None:
        """Seconds from the start to the end, or to `now`; None before it has begun."""
        end = self.ended if self.ended is not None else now
        return None if self.started is None or end is None else max(0.0, end - self.started)


def recent_runs(
    limit: int = 50,
    *,
    deployment: str | None = None,
    flow: str | None = None,
    state: str | None = None,
    failed: bool = False,
    since: float | None = None,
) -> list[RunSummary]:
    """The newest flow runs first, without sub-flows; runs whose process is gone are Crashed, not Running.

    Only those of a `deployment` (its name, or ``flow/name``), of a `flow`, in a `state` (its type, its name, or the
    word that is shown for it), that `failed` (or crashed, or were cancelled), and that were made `since` a time in
    seconds since the epoch. Raises NotFound for an unknown deployment, and UsageError for an unknown state.
    """
    from sqlalchemy import desc, func, select

    from flowbook.store.schema import flow_run

    chosen: list[ColumnElement[bool]] = [flow_run.c.parent_id.is_(None)]
    if deployment is not None:
        chosen.append(flow_run.c.deployment_id.in_(_deployments_called(deployment)))
    if flow is not None:
        chosen.append(flow_run.c.flow == flow)
    if state is not None:
        chosen.append(_is_in(state))
    if failed:
        chosen.append(flow_run.c.state_type.in_(_BAD))
    if since is not None:  # the numbers ascend with time, and the list is in their order
        first = select(func.min(flow_run.c.number)).where(flow_run.c.created >= since).scalar_subquery()
        chosen += [flow_run.c.number >= first, flow_run.c.created >= since]
    # First which runs, then what is shown of them: so that nothing is counted for runs that are not.
    numbers = select(flow_run.c.number).where(*chosen).order_by(desc(flow_run.c.number)).limit(limit)
    return _fetch(_summaries().where(flow_run.c.number.in_(numbers)).order_by(desc(flow_run.c.number)))


def find_run(text: str | int) -> RunSummary:
    """The run that a person means: its number, its id, its name, ``last`` or ``prev``. Raises NotFound."""
    from sqlalchemy import desc

    from flowbook.store.schema import flow_run

    said = plain_text(str(text).strip())
    if said in ("last", "prev"):
        newest = recent_runs(2)
        if len(newest) > (said == "prev"):
            return newest[said == "prev"]
        raise NotFound("Nothing has run here yet." if not newest else "There is only one run so far: `last`.")
    meanings = [flow_run.c.name == said]
    if said.isascii() and said.isdigit() and len(said) <= _LONGEST_NUMBER:
        meanings.insert(0, flow_run.c.number == int(said))
    elif len(said) == _ID_LENGTH:
        meanings.insert(0, flow_run.c.id == said)
    for meaning in meanings:
        found = _fetch(_summaries().where(meaning).order_by(desc(flow_run.c.number)).limit(1))
        if found:
            return found[0]
    hint = did_you_mean(said, ["last", "prev", *_latest_names()])
    raise NotFound(f"There is no run {said!r}.{hint} `flowbook runs ls` (in a notebook `%runs`) lists them.")


def flows_that_ran() -> list[str]:
    """The names of all flows of the history, in alphabetical order."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    with engine.engine().database.read() as connection:
        return list(connection.scalars(select(flow_run.c.flow).distinct().order_by(flow_run.c.flow)))


def _latest_names() -> list[str]:
    from sqlalchemy import desc, select

    from flowbook.store.schema import flow_run

    latest = select(flow_run.c.name).order_by(desc(flow_run.c.number)).limit(_NAMES_TO_MEAN)
    with engine.engine().database.read() as connection:
        return list(connection.scalars(latest))


def run_view(run: str | int, *, keep_logs: int = 10_000) -> RunView:
    """One run with its graph and its last log lines."""
    from flowbook.store.events import events_of

    found = find_run(run)
    database = engine.engine().database
    return reduce_run(found.id, events_of(database, found.id), keep_logs=keep_logs)


def usual_duration(task_key: str, *, but: str = "") -> tuple[float | None, int]:
    """The median duration of the latest successful runs of a task, in seconds, and of how many (20 at most).

    Those of the flow run `but`, and results that were used again, do not count. None without any.
    """
    from statistics import median

    from sqlalchemy import desc, select

    from flowbook.store.schema import task_run

    columns = task_run.c
    earlier = (
        select(columns.ended - columns.started)
        .where(columns.key == task_key, columns.state_type == StateType.COMPLETED, columns.state_name != "Cached")
        .where(columns.started.is_not(None), columns.flow_run_id.is_distinct_from(but))
        .order_by(desc(columns.created))
        .limit(20)
    )
    with engine.engine().database.read() as connection:
        took = [seconds for (seconds,) in connection.execute(earlier) if seconds is not None]
    return (median(took) if took else None), len(took)


def last_success(flow: str, task_key: str, *, but: str = "") -> tuple[int, float] | None:
    """The latest flow run of `flow`, but for the flow run `but`, in which a task succeeded: its number, and when.

    The time is in seconds since the epoch. None if it never did.
    """
    from sqlalchemy import desc, select

    from flowbook.store.schema import flow_run, task_run

    query = (
        select(flow_run.c.number, task_run.c.ended)
        .join(task_run, task_run.c.flow_run_id == flow_run.c.id)
        .where(flow_run.c.flow == flow, flow_run.c.id != but)
        .where(task_run.c.key == task_key, task_run.c.state_type == StateType.COMPLETED)
        .where(task_run.c.state_name != "Cached")
        .order_by(desc(flow_run.c.number))
        .limit(1)
    )
    with engine.engine().database.read() as connection:
        found = connection.execute(query).first()
    return (found[0], found[1]) if found is not None else None


def run_folder(flow_run_id: str) -> Path:
    """The folder of one run's files."""
    return current_settings().home / "runs" / flow_run_id


def how_it_failed(run: RunSummary, view: RunView) -> str:
    """The traceback of the cell at which a run failed, else the end of what the run printed, at most 60 lines.

    Empty for a run that did not fail, and where nothing of that is kept.
    """
    failed = failed_first(view)
    if failed is None and view.look not in ("failed", "crashed"):
        return ""
    lines = _cell_traceback(run, failed.name if failed else "") or _end_of_output(run_folder(run.id) / "output.log")
    return "\n".join(one_line(line.expandtabs()) for line in lines[-_MOST_LINES:])


def _cell_traceback(run: RunSummary, task: str) -> list[str]:
    """What the executed notebook shows of the error of the cell whose task run is called `task`, else of its first.

    Without the frames of flowbook itself.
    """
    try:
        cells = json.loads(Path(run.notebook or "").read_bytes())["cells"]
    except (OSError, ValueError, LookupError):
        return []
    errors = [
        (cell["metadata"].get("flowbook", {}).get("task") != task, output["traceback"])
        for cell in cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]
    _, shown = min(errors, key=lambda error: error[0], default=(True, []))
    own = f"File {Path(__file__).parent}{os.sep}"
    parts = [part for part in map(without_ansi, shown) if not part.startswith(own)]
    return [line for part in parts for line in part.splitlines() if line.strip(" -")]


def _end_of_output(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _MOST_BYTES))
            return without_ansi(file.read().decode(errors="replace")).splitlines()
    except OSError:
        return []


def _summaries() -> Select[Any]:
    from sqlalchemy import and_, case, func, select

    from flowbook.store.schema import deployment, flow_run, task_run

    completed = case((task_run.c.state_type == StateType.COMPLETED.value, 1))
    # Of a run that was begun anew: those of the execution that is under way.
    mine = and_(task_run.c.flow_run_id == flow_run.c.id, task_run.c.created >= func.coalesce(flow_run.c.started, 0.0))
    done = select(func.count(completed)).where(mine).scalar_subquery().label("done")
    total = select(func.count()).select_from(task_run).where(mine).scalar_subquery().label("total")
    return select(flow_run, deployment.c.name.label("deployment"), done, total).outerjoin(
        deployment, deployment.c.id == flow_run.c.deployment_id
    )


_BAD = (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED, StateType.CANCELLING)
_ID_LENGTH = 32
_NAMES_TO_MEAN = 500
_LONGEST_NUMBER = 9  # digits, of what a column holds

#: Names of states that flow runs can be in, other than those of their types.
_NAMED_STATES = (
    (StateType.SCHEDULED, "Late"),
    (StateType.SCHEDULED, "AwaitingRetry"),
    (StateType.RUNNING, "Retrying"),
    (StateType.COMPLETED, "Cached"),
    (StateType.FAILED, "TimedOut"),
)


def _fetch(query: Select[Any]) -> list[RunSummary]:
    from flowbook.store.reaper import mark_late, reap

    opened = engine.engine()
    opened.journal.flush()
    reap(opened.database)
    mark_late(opened.database, time.time())
    with opened.database.read() as connection:
        return [_summary(row) for row in connection.execute(query)]


def _deployments_called(name: str) -> list[str]:
    """The ids of the deployments of this name, or of this ``flow/name``. Raises NotFound with a suggestion."""
    from flowbook.store.deployments import all_deployments, find_deployment

    database = engine.engine().database
    found = [each.id for each in all_deployments(database) if name in (each.name, f"{each.flow}/{each.name}")]
    return found or [find_deployment(database, name).id]


def _is_in(said: str) -> ColumnElement[bool]:
    """The condition for runs in a state that a person means: by its type, its name, or the word shown for it."""
    from sqlalchemy import and_, or_

    from flowbook.store.schema import flow_run

    word = "".join(letter for letter in said.lower() if letter.isalnum())
    for kind in StateType:
        if word in (kind.lower(), WORDS[look_of(State(type=kind, name=kind.capitalize()))].lower()):
            return flow_run.c.state_type == kind
    meant = [
        and_(flow_run.c.state_type == kind, flow_run.c.state_name == name)
        for kind, name in _NAMED_STATES
        if word in (name.lower(), look_of(State(type=kind, name=name)))
    ]
    if meant:
        return or_(*meant)
    words = [*(kind.capitalize() for kind in StateType), *(name for _, name in _NAMED_STATES)]
    hint = did_you_mean(said.capitalize(), words)
    raise UsageError(f"There is no state {said!r}.{hint} There are {', '.join(words)}.")


def _summary(row: Any) -> RunSummary:
    state = State(type=StateType(row.state_type), name=row.state_name, message=row.state_message)
    look = look_of(state)
    folder = run_folder(row.id)
    return RunSummary(
        id=row.id,
        number=row.number,
        name=row.name,
        flow=row.flow,
        deployment=row.deployment,
        trigger=row.trigger,
        state_type=row.state_type,
        state_name=row.state_name,
        message=row.state_message,
        look=look,
        word=WORDS[look],
        created=row.created,
        started=row.started,
        ended=row.ended,
        done=row.done,
        total=row.total,
        why=row.state_message if look in ("failed", "crashed", "cancelled") else None,
        parameters=json.loads(row.parameters),
        notebook=_if_kept(folder / "notebook.ipynb"),
        html=_if_kept(folder / "notebook.html"),
        svg=_if_kept(folder / "dag.svg"),
    )


def _if_kept(path: Path) -> str | None:
    return str(path) if path.is_file() else None
