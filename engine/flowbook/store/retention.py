"""How long history is kept: runs that ended long ago go, with all that was kept of them.

A run is deleted with its sub-flows, task runs, events, artifacts, requests, and the results that only it could reuse;
then its folder and the files of those results are removed. Rows go first: should a process die between the two, what is
left is a folder that no run has, which the next time finds. Runs that have not ended are never touched, nor is what a
run belongs to that has an unfinished sub-flow.

Everything is done in transactions of about `ROWS` rows, so that nobody waits long for the lock.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.states import FINAL_TYPES, StateType

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from flowbook.store.database import Database

#: So many rows of one table one transaction deletes at most.
ROWS = 2_000
_RUNS = 50  # runs that are deleted together; one that has more sub-flows is deleted in parts
_PAGE = 500  # runs, or files, that are looked at together
_RESULT_FILE = re.compile(r"([0-9a-f]{64})-[0-9a-f]{8}\b")  # what `flowbook.store.results` calls them
_BAD = (StateType.FAILED, StateType.CRASHED)


@dataclass(kw_only=True, slots=True)
class Pruned:
    """How much was deleted, or would be: numbers of rows, of folders of runs, and bytes of files."""

    flow_runs: int = 0
    task_runs: int = 0
    events: int = 0
    artifacts: int = 0
    results: int = 0
    fires: int = 0
    folders: int = 0
    bytes: int = 0

    def add(self, other: Pruned) -> None:
        """Count what was deleted in another step as well."""
        for each in fields(Pruned):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def is_nothing(self) -> bool:
        """Whether nothing was deleted."""
        return self == Pruned()


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


def orphaned_folders(home: Path, known: set[str], before: float) -> list[Path]:
    """The folders of runs that are not `known` any more and that nobody has written to since `before`."""
    found = []
    with suppress(OSError):
        for folder in (home / "runs").iterdir():
            with suppress(OSError):
                if folder.name not in known and folder.is_dir() and folder.lstat().st_mtime < before:
                    found.append(folder)
    return sorted(found)


def known_runs(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these ids that flow runs have."""
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    known: set[str] = set()
    for first in range(0, len(ids), _PAGE):
        known.update(connection.scalars(select(flow_run.c.id).where(flow_run.c.id.in_(ids[first : first + _PAGE]))))
    return known


def _steps(database: Database, home: Path, rule: Rule, now: float) -> Iterator[Pruned]:
    """Do it in small steps, one for each turn of the iterator."""
    for trees in _chunks_of_trees(database, rule):
        yield _counted(database, home, trees) if rule.dry_run else _delete_trees(database, home, trees)
    for step in (_flowless(database, rule), _fires(database, rule), _expired(database, home, rule, now)):
        yield from step
    yield _orphans(database, home, rule)


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
        _remove_files(home, files, pruned)
        if is_last:
            break
    for run_id in ids:
        _remove_folder(home / "runs" / run_id, pruned)
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


# Files


def _remove_folder(folder: Path, pruned: Pruned, *, dry_run: bool = False) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    pruned.folders += 1
    pruned.bytes += folder_size(folder)
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_files(
    home: Path, files: Sequence[tuple[str, str | None]], pruned: Pruned, *, dry_run: bool = False
) -> None:
    """Remove files of results. Those that a task named itself (``result_storage_key``) stay: they are its user's."""
    for key, file in files:
        path = home / (file or "")
        if not path.name.startswith(key):
            continue
        with suppress(OSError):
            size = path.lstat().st_size
            if not dry_run:
                path.unlink()
            pruned.bytes += size


def folder_size(folder: Path) -> int:
    """The bytes of all files in a folder."""
    total = 0
    with suppress(OSError):
        for path in folder.rglob("*"):
            with suppress(OSError):
                total += path.lstat().st_size if path.is_file() or path.is_symlink() else 0
    return total


def _orphans(database: Database, home: Path, rule: Rule) -> Pruned:
    """What is left of runs and results that were deleted: by a process that died, or on another machine."""
    from sqlalchemy import select

    from flowbook.store.schema import result

    pruned = Pruned()
    old = orphaned_folders(home, set(), rule.before)
    with database.read() as connection:
        known = known_runs(connection, [folder.name for folder in old])
    for folder in old:
        if folder.name not in known:
            _remove_folder(folder, pruned, dry_run=rule.dry_run)
    files = [(found[1], str(path.relative_to(home))) for path, found in _old_results(home, rule.before)]
    for first in range(0, len(files), _PAGE):
        page = files[first : first + _PAGE]
        with database.read() as connection:
            named = select(result.c.key, result.c.file).where(result.c.key.in_([key for key, _ in page]))
            kept = {(row.key, row.file) for row in connection.execute(named)}
        _remove_files(home, [file for file in page if file not in kept], pruned, dry_run=rule.dry_run)
    return pruned


def _old_results(home: Path, before: float) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files of results written before a time, with what their names say. A new one may have no row yet."""
    for path in (home / "results").glob("*/*"):
        found = _RESULT_FILE.match(path.name)
        with suppress(OSError):
            if found is not None and path.lstat().st_mtime < before:
                yield path, found


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
        _remove_files(home, files, pruned)
        yield pruned
        if pruned.results < ROWS:
            return


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
        _remove_folder(home / "runs" / run_id, pruned, dry_run=True)
    _remove_files(home, files, pruned, dry_run=True)
    return pruned


def _number_of(database: Database, *, where: Sequence[Any], **column: Any) -> Pruned:
    """How many rows there are, counted under the name of the one `column`."""
    from sqlalchemy import func, select

    ((name, key),) = column.items()
    with database.read() as connection:
        found: int = connection.scalar(select(func.count(key)).where(*where)) or 0
    return Pruned(**{name: found})
