"""The files of runs and results that go with their rows, and those that have lost them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

_PAGE = 500  # runs, or files, that are looked at together
_RESULT_FILE = re.compile(r"([0-9a-f]{64})-[0-9a-f]{8}\b")  # what `flowbook.store.results` calls them


@dataclass(kw_only=True, slots=True)
class Pruned:
    """How much was deleted, or would be: numbers of rows, of folders of runs, and bytes of files."""

    flow_runs: int = 0
    task_runs: int = 0
    events: int = 0
    artifacts: int = 0
    results: int = 0
    fires: int = 0
    snapshots: int = 0
    environments: int = 0
    folders: int = 0
    bytes: int = 0

    def add(self, other: Pruned) -> None:
        """Count what was deleted in another step as well."""
        for each in fields(Pruned):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def is_nothing(self) -> bool:
        """Whether nothing was deleted."""
        return self == Pruned()


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


def remove_folder(folder: Path, pruned: Pruned, *, dry_run: bool = False) -> None:
    """Remove the folder of a run, and count it."""
    if folder.is_symlink() or not folder.is_dir():
        return
    pruned.folders += 1
    pruned.bytes += folder_size(folder)
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)


def remove_files(home: Path, files: Sequence[tuple[str, str | None]], pruned: Pruned, *, dry_run: bool = False) -> None:
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


def remove_learned(home: Path, before: float, *, dry_run: bool) -> Pruned:
    """What was learned of notebooks that have not run since."""
    pruned = Pruned()
    old = [path for path in (home / "learned").glob("*.json") if path.lstat().st_mtime < before]
    remove_files(home, [(path.name, f"learned/{path.name}") for path in old], pruned, dry_run=dry_run)
    return pruned


def folder_size(folder: Path) -> int:
    """The bytes of all files in a folder."""
    total = 0
    with suppress(OSError):
        for path in folder.rglob("*"):
            with suppress(OSError):
                total += path.lstat().st_size if path.is_file() or path.is_symlink() else 0
    return total


def remove_orphans(database: Database, home: Path, before: float, *, dry_run: bool) -> Pruned:
    """What is left of runs and results that were deleted: by a process that died, or on another machine."""
    from sqlalchemy import select

    from flowbook.store.schema import result

    pruned = Pruned()
    old = orphaned_folders(home, set(), before)
    with database.read() as connection:
        known = known_runs(connection, [folder.name for folder in old])
    for folder in old:
        if folder.name not in known:
            remove_folder(folder, pruned, dry_run=dry_run)
    files = [(found[1], str(path.relative_to(home))) for path, found in _old_results(home, before)]
    for first in range(0, len(files), _PAGE):
        page = files[first : first + _PAGE]
        with database.read() as connection:
            named = select(result.c.key, result.c.file).where(result.c.key.in_([key for key, _ in page]))
            kept = {(row.key, row.file) for row in connection.execute(named)}
        remove_files(home, [file for file in page if file not in kept], pruned, dry_run=dry_run)
    return pruned


def _old_results(home: Path, before: float) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files of results written before a time, with what their names say. A new one may have no row yet."""
    for path in (home / "results").glob("*/*"):
        found = _RESULT_FILE.match(path.name)
        with suppress(OSError):
            if found is not None and path.lstat().st_mtime < before:
                yield path, found
