"""How long history is kept: runs that ended long ago go, with all that was kept of them.

A run is deleted with its sub-flows, task runs, events, artifacts, requests, and the results that only it could reuse;
then its folder and the files of those results are removed. Rows go first: should a process die between the two, what is
left is a folder that no run has, which the next time finds. Runs that have not ended are never touched, nor is what a
run belongs to that has an unfinished sub-flow.

Everything is done in transactions of about `ROWS` rows, so that nobody waits long for the lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.states import FINAL_TYPES, StateType
from flowbook.store.environments import remove_unused
from flowbook.store.kept_files import Pruned, remove_files, remove_folder, remove_learned, remove_orphans

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from flowbook.store.database import Database

#: So many rows of one table one transaction deletes at most.
ROWS = 2_000
_RUNS = 50  # runs that are deleted together; one that has more sub-flows is deleted in parts
_PAGE = 500  # runs that are looked at together
_SNAPSHOTS = 20  # that are deleted together: each is a whole notebook
_BAD = (StateType.FAILED, StateType.CRASHED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What is deleted: what ended before `before`, in seconds since the epoch; with `keep_failed`, no failed runs.

    With `dry_run` it is only counted.
    """

    before: float
    keep_failed: bool = False
    dry_run: bool = False


def prune(database: Database, home: Path, rule: Rule, *, now: float | None = None) -> Pruned:
    """Delete everything that the rule says; returns how much that was."""
    total = Pruned()
    for step in _steps(database, home, rule, time.time() if now is None else now):
        total.add(step)
    return total


def prune_some(database: Database, home: Path, rule: Rule, *, now: float) -> bool:
    """Delete a little of what the rule says; returns whether there may be more of it."""
    return any(not step.is_nothing() for step in _steps(database, home, rule, now))


def delete_runs(database: Database, home: Path, flow_run_ids: Sequence[str]) -> Pruned:
    """Delete these runs with their sub-flows, as far as they have ended; returns how much that was."""
    total = Pruned()
    for run_id in flow_run_ids:
        with database.read() as connection:
            tree = _tree(connection, run_id)
        for part in _parts([tree]):
            total.add(_delete_trees(database, home, part))
    return total


def _steps(database: Database, home: Path, rule: Rule, now: float) -> Iterator[Pruned]:
    """Do it in small steps, one for each turn of the iterator."""
    for trees in _chunks_of_trees(database, rule):
        yield _counted(database, home, trees) if rule.dry_run else _delete_trees(database, home, trees)
    yield from _flowless(database, rule)
    yield from _fires(database, rule)
    yield from _expired(database, home, rule, now)
    yield from _snapshots(database, rule)
    yield remove_learned(home, rule.before, dry_run=rule.dry_run)
    yield remove_unused(database, home, rule.before, dry_run=rule.dry_run)
    yield remove_orphans(database, home, rule.before, dry_run=rule.dry_run)


# Which runs


def _chunks_of_trees(database: Database, rule: Rule) -> Iterator[list[Sequence[str]]]:
    """The runs that the rule means, each with its sub-flows, the oldest first and some at a time.

    The numbers of runs ascend with the time of their making, so what is younger than the rule is not looked at.
    """
    last = 0
    while True:
        with database.read() as connection:
            rows = _page(connection, last)
            trees = [_tree(connection, row.id, rule.before) for row in rows if _is_meant(row, rule)]
        yield from _parts(trees)
        if not rows or all(row.created >= rule.before for row in rows):
            return
        last = rows[-1].number


def _page(connection: Connection, last: int) -> list[Any]:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    parent = flow_run.alias("parent")
    has_parent = select(parent.c.id).where(parent.c.id == flow_run.c.parent_id).exists()
    columns = (flow_run.c.number, flow_run.c.id, flow_run.c.created, flow_run.c.ended, flow_run.c.state_type)
    query = select(*columns, has_parent.label("has_parent")).where(flow_run.c.number > last)
    return list(connection.execute(query.order_by(flow_run.c.number).limit(_PAGE)))


def _is_meant(row: Any, rule: Rule) -> bool:
    """Whether the rule means this run. A sub-flow goes with the run that called it, or by itself if that has gone."""
    if row.has_parent or row.state_type not in FINAL_TYPES or row.ended is None or row.ended >= rule.before:
        return False
    return not (rule.keep_failed and row.state_type in _BAD)


def _tree(connection: Connection, run_id: str, before: float | None = None) -> list[str]:
    """A run and its sub-flows at any depth; empty if one of them has not ended, or not `before` a time."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    found = {run_id: None}  # in the order in which they are found
    level = [run_id]
    while level:
        of_these = flow_run.c.parent_id.in_(level[:_PAGE])
        rows = connection.execute(select(flow_run.c.id, flow_run.c.ended).where(of_these)).all()
        if any(row.ended is None or (before is not None and row.ended >= before) for row in rows):
            return []
        new = [row.id for row in rows if row.id not in found]
        found |= dict.fromkeys(new)
        level = [*level[_PAGE:], *new]
    return list(found)


def _parts(trees: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """The trees in groups of a few runs. One that is larger is taken apart, and its root comes last."""
    part: list[Sequence[str]] = []
    for tree in trees:
        upwards = tree[::-1]
        for piece in [upwards[first : first + _RUNS] for first in range(0, len(upwards), _RUNS)]:
            if sum(map(len, part)) + len(piece) > _RUNS:
                yield part
                part = []
            part.append(piece)
    if part:
        yield part


# Deleting runs


def _delete_trees(database: Database, home: Path, trees: Sequence[Sequence[str]]) -> Pruned:
    """Delete runs with their sub-flows: first what there may be much of, the runs themselves with the last of it."""
    from sqlalchemy import delete

    from flowbook.store import schema

    pruned = Pruned()
    while True:
        with database.write() as connection:
            ids = _still_ended(connection, trees)
            if not ids:
                return pruned
            files = _delete_results(connection, pruned, schema.result.c.flow_run_id.in_(ids))
            is_last = len(files) < ROWS and all(
                _delete_some(connection, pruned, table, ids) < ROWS for table in (schema.event, schema.task_run)
            )
            if is_last:
                mine = schema.artifact.c.flow_run_id.in_(ids)
                pruned.artifacts += connection.execute(delete(schema.artifact).where(mine)).rowcount
                connection.execute(delete(schema.run_request).where(schema.run_request.c.flow_run_id.in_(ids)))
                runs = delete(schema.flow_run).where(schema.flow_run.c.id.in_(ids))
                pruned.flow_runs += connection.execute(runs).rowcount
        remove_files(home, files, pruned)
        if is_last:
            break
    for run_id in ids:
        remove_folder(home / "runs" / run_id, pruned)
    return pruned


def _still_ended(connection: Connection, trees: Sequence[Sequence[str]]) -> list[str]:
    """The ids of the trees of which no run has begun anew meanwhile."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    every = [run_id for tree in trees for run_id in tree]
    ended = (flow_run.c.id.in_(every), flow_run.c.state_type.in_(sorted(FINAL_TYPES)), flow_run.c.ended.is_not(None))
    known = set(connection.scalars(select(flow_run.c.id).where(*ended)))
    return [run_id for tree in trees if known.issuperset(tree) for run_id in tree]


def _delete_some(connection: Connection, pruned: Pruned, table: Table, flow_run_ids: Sequence[str]) -> int:
    """Delete at most `ROWS` rows of these runs; returns how many."""
    from sqlalchemy import delete, select

    (key,) = table.primary_key.columns
    some = select(key).where(table.c.flow_run_id.in_(flow_run_ids)).limit(ROWS)
    deleted: int = connection.execute(delete(table).where(key.in_(some))).rowcount
    name = f"{table.name}s"
    setattr(pruned, name, getattr(pruned, name) + deleted)
    return deleted


def _delete_results(connection: Connection, pruned: Pruned, condition: Any) -> list[tuple[str, str | None]]:
    """Delete at most `ROWS` stored results; returns the key and the file, if it has one, of each."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import result

    rows = connection.execute(select(result.c.key, result.c.file).where(condition).limit(ROWS)).all()
    if rows:
        pruned.results += connection.execute(delete(result).where(result.c.key.in_([row.key for row in rows]))).rowcount
    return [(row.key, row.file) for row in rows]


# What belongs to no flow run


def _flowless(database: Database, rule: Rule) -> Iterator[Pruned]:
    """Task runs outside of flows that ended long ago, with their artifacts, and the events of their time."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import artifact, event, task_run

    unfinished = select(task_run.c.id).where(task_run.c.flow_run_id.is_(None), task_run.c.ended.is_(None))
    if rule.dry_run:
        is_old = (task_run.c.flow_run_id.is_(None), task_run.c.ended < rule.before)
        yield _number_of(database, task_runs=task_run.c.id, where=is_old)
        yield _number_of(
            database, events=event.c.seq, where=(event.c.flow_run_id.is_(None), event.c.time < rule.before)
        )
        return
    last = ""
    while True:  # their ids ascend with time, so what is younger than the rule is not looked at
        pruned = Pruned()
        with database.write() as connection:
            page = select(task_run).where(task_run.c.flow_run_id.is_(None), task_run.c.id > last)
            rows = connection.execute(page.order_by(task_run.c.id).limit(_PAGE)).all()
            ids = [row.id for row in rows if row.ended is not None and row.ended < rule.before]
            if ids:
                mine = (artifact.c.flow_run_id.is_(None), artifact.c.task_run_id.in_(ids))
                pruned.artifacts += connection.execute(delete(artifact).where(*mine)).rowcount
                pruned.task_runs += connection.execute(delete(task_run).where(task_run.c.id.in_(ids))).rowcount
        yield pruned
        if not rows or all(row.created >= rule.before for row in rows):
            break
        last = rows[-1].id
    while True:
        with database.write() as connection:
            first = select(event.c.seq, event.c.time, event.c.task_run_id).where(event.c.flow_run_id.is_(None))
            rows = connection.execute(first.order_by(event.c.seq).limit(ROWS)).all()
            living = set(connection.scalars(unfinished))
            old = [row.seq for row in rows if row.time < rule.before and row.task_run_id not in living]
            if old:
                connection.execute(delete(event).where(event.c.seq.in_(old)))
        yield Pruned(events=len(old))
        if not old:
            return


def _fires(database: Database, rule: Rule) -> Iterator[Pruned]:
    """Fires of long ago, unless their run is still there: a backfill must not make it again."""
    from sqlalchemy import and_, delete, exists, func, or_, select

    from flowbook.store.schema import fire, flow_run

    of_schedule: str | None = ""
    while True:
        with database.read() as connection:
            following = select(func.min(fire.c.schedule_id)).where(fire.c.schedule_id > of_schedule)
            of_schedule = connection.scalar(following)
        if of_schedule is None:
            return
        has_run = exists().where(flow_run.c.id == fire.c.flow_run_id)
        last = func.coalesce(fire.c.until, fire.c.fire_time)
        mine = (fire.c.schedule_id == of_schedule, fire.c.fire_time < rule.before, last < rule.before)
        gone = and_(*mine, or_(fire.c.flow_run_id.is_(None), ~has_run))
        if rule.dry_run:
            yield _number_of(database, fires=fire.c.fire_time, where=(gone,))
            continue
        while True:
            with database.write() as connection:
                times = list(connection.scalars(select(fire.c.fire_time).where(gone).limit(ROWS)))
                if times:
                    these = (fire.c.schedule_id == of_schedule, fire.c.fire_time.in_(times))
                    connection.execute(delete(fire).where(*these))
            yield Pruned(fires=len(times))
            if len(times) < ROWS:
                break


def _expired(database: Database, home: Path, rule: Rule, now: float) -> Iterator[Pruned]:
    """Results that nothing can reuse any more."""
    from flowbook.store.schema import result

    is_over = result.c.expires < now
    if rule.dry_run:
        yield _number_of(database, results=result.c.key, where=(is_over,))
        return
    while True:
        pruned = Pruned()
        with database.write() as connection:
            files = _delete_results(connection, pruned, is_over)
        remove_files(home, files, pruned)
        yield pruned
        if pruned.results < ROWS:
            return


def _snapshots(database: Database, rule: Rule) -> Iterator[Pruned]:
    """What versions of deployments ran that are gone."""
    from flowbook.store.snapshots import delete_snapshots, unused_snapshots

    with database.read() as connection:
        unused = unused_snapshots(connection, rule.before)
    if rule.dry_run:
        yield Pruned(snapshots=len(unused))
        return
    for first in range(0, len(unused), _SNAPSHOTS):
        with database.write() as connection:
            deleted = delete_snapshots(connection, unused[first : first + _SNAPSHOTS], rule.before)
        yield Pruned(snapshots=deleted)


# Counting


def _counted(database: Database, home: Path, trees: Sequence[Sequence[str]]) -> Pruned:
    """How much deleting these runs would delete."""
    from sqlalchemy import func, select

    from flowbook.store import schema

    pruned = Pruned()
    ids = [run_id for tree in trees for run_id in tree]
    counted = {
        "task_runs": schema.task_run,
        "events": schema.event,
        "artifacts": schema.artifact,
        "results": schema.result,
    }
    with database.read() as connection:
        for name, table in counted.items():
            query = select(func.count()).select_from(table).where(table.c.flow_run_id.in_(ids))
            setattr(pruned, name, connection.scalar(query) or 0)
        query = select(schema.result.c.key, schema.result.c.file).where(schema.result.c.flow_run_id.in_(ids))
        files = [(row.key, row.file) for row in connection.execute(query)]
    pruned.flow_runs = len(ids)
    for run_id in ids:
        remove_folder(home / "runs" / run_id, pruned, dry_run=True)
    remove_files(home, files, pruned, dry_run=True)
    return pruned


def _number_of(database: Database, *, where: Sequence[Any], **column: Any) -> Pruned:
    """How many rows there are, counted under the name of the one `column`."""
    from sqlalchemy import func, select

    ((name, key),) = column.items()
    with database.read() as connection:
        found: int = connection.scalar(select(func.count(key)).where(*where)) or 0
    return Pruned(**{name: found})
