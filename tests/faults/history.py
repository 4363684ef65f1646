"""The history checker: what was acknowledged, and what happened by the files, against what the store says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from flowbook.core.states import FINAL_TYPES, TRANSITIONS, StateType
from flowbook.schedules import from_dict
from flowbook.store.database import Database
from flowbook.store.schema import event, fire, flow_run, schedule, task_run


def marks(folder: Path, kind: str) -> list[str]:
    """All lines of one kind that processes wrote; a last one that was cut off is none."""
    lines = []
    for path in sorted(folder.glob(f"{kind}-*.txt")):
        lines += path.read_text().split("\n")[:-1]
    return lines


def violations(database: Database, folder: Path) -> list[str]:
    """Everything that must not be, in words; empty if all promises hold."""
    with database.read() as connection:
        runs = {row.id: row for row in connection.execute(select(flow_run))}
        tasks = {row.id: row for row in connection.execute(select(task_run))}
        fires = list(connection.execute(select(fire).order_by(fire.c.fire_time)))
        schedules = {row.id: row for row in connection.execute(select(schedule))}
        events = list(connection.execute(select(event).order_by(event.c.seq)))
        found = [] if database.engine.dialect.name != "sqlite" else list(_integrity(connection))
    found += _acknowledged(folder, runs)
    found += _executed(folder, runs)
    found += _unended(runs, tasks)
    found += _fires(fires, runs, schedules)
    found += _events(events, runs, tasks)
    return found


def _integrity(connection: Any) -> Iterator[str]:
    said = [row[0] for row in connection.execute(text("PRAGMA integrity_check"))]
    if said != ["ok"]:
        yield f"integrity_check: {said}"
    if broken := list(connection.execute(text("PRAGMA foreign_key_check"))):
        yield f"foreign_key_check: {broken}"


def _acknowledged(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    for run_id in marks(folder, "acknowledged"):
        state = runs[run_id].state_type if run_id in runs else "gone"
        if state != StateType.COMPLETED:
            yield f"run {run_id} was acknowledged, and is {state}"


def _executed(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    """No run is executed by more than as many processes as it was claimed."""
    for run_id, times in Counter(marks(folder, "executed")).items():
        if run_id not in runs:
            yield f"run {run_id} was executed, and is gone"
        elif times > runs[run_id].restarts + 1 + 2:  # two retries within a process
            yield f"run {run_id} was executed {times} times, and begun anew {runs[run_id].restarts} times"


def _unended(runs: dict[str, Any], tasks: dict[str, Any]) -> Iterator[str]:
    for run in runs.values():
        waits = run.state_type == StateType.SCHEDULED and run.pid is None
        if run.state_type not in FINAL_TYPES and not waits:
            yield f"run {run.number} of {run.flow} is {run.state_type} of process {run.pid}, and nobody executes it"
    for each in tasks.values():
        run = runs.get(each.flow_run_id)
        if run is not None and run.state_type in FINAL_TYPES and each.state_type not in FINAL_TYPES:
            yield f"task run {each.name} is {each.state_type}, and its flow run {run.number} {run.state_type}"


def _fires(fires: list[Any], runs: dict[str, Any], schedules: dict[str, Any]) -> Iterator[str]:
    """Each fire is dealt with once, and none is left out."""
    of_runs = Counter(row.flow_run_id for row in fires if row.outcome == "run")
    for run_id, times in of_runs.items():
        if times != 1 or run_id not in runs:
            yield f"run {run_id} is that of {times} fires, and is {'there' if run_id in runs else 'not there'}"
    by_schedule = [run.id for run in runs.values() if run.trigger == "schedule"]
    if missing := set(by_schedule) - set(of_runs):
        yield f"{len(missing)} runs were made by a schedule without a fire"
    dealt: dict[str, list[Any]] = defaultdict(list)
    for row in fires:
        dealt[row.schedule_id].append(row)
    for schedule_id, rows in dealt.items():
        yield from _gaps(schedules[schedule_id], rows)


def _gaps(planned: Any, rows: list[Any]) -> Iterator[str]:
    from datetime import UTC, datetime

    covered = [(row.fire_time, row.until or row.fire_time) for row in rows]
    for (_, end), (begin, _) in pairwise(covered):
        if begin <= end:
            yield f"the fires from {begin} to {end} of schedule {planned.id} were dealt with twice"
    first = next(from_dict(json.loads(planned.spec)).fires(datetime.fromtimestamp(planned.since, UTC))).timestamp()
    if covered[0][0] != first:
        yield f"the first fire of schedule {planned.id} was {first}, the first that was dealt with {covered[0][0]}"
    for fire_time in from_dict(json.loads(planned.spec)).fires(datetime.fromtimestamp(planned.since, UTC)):
        time = fire_time.timestamp()
        if time > covered[-1][1]:
            return
        if not any(begin <= time <= end for begin, end in covered):
            yield f"nobody dealt with the fire at {time} of schedule {planned.id}"


def _events(events: list[Any], runs: dict[str, Any], tasks: dict[str, Any]) -> Iterator[str]:
    """States follow one another as they may, task runs end once, and the rows are what the events add up to."""
    last: dict[tuple[str | None, str | None], Any] = {}
    for row in events:
        if row.kind != "state":
            continue
        data = json.loads(row.data)
        subject = (row.flow_run_id, row.task_run_id)
        before = last.get(subject)
        if before is not None and data["type"] not in TRANSITIONS[StateType(before["type"])]:
            yield f"{subject} became {data['name']} after {before['name']}"
        if row.task_run_id is not None and before is not None and before["type"] in FINAL_TYPES:
            yield f"task run {row.task_run_id} ended as {before['name']}, and became {data['name']}"
        last[subject] = data
    for (run_id, task_id), data in last.items():
        row = runs.get(run_id or "") if task_id is None else tasks.get(task_id)
        if row is not None and row.state_type != data["type"]:
            yield f"the row of {run_id} {task_id or ''} says {row.state_type}, its last event {data['type']}"
