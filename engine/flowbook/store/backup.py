"""Backups: one file with the database, as it was at one moment, and everything else in the home folder.

What can be made again is left out (the folders ``cache`` and ``environments``, temporary files), and so are symbolic
links and archives that lie in the home folder itself, such as earlier backups.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flowbook.errors import StoreError
from flowbook.store.files import whole_file
from flowbook.store.temporary import is_temporary
from flowbook.store.urls import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import URL

_REPEATABLE = ("cache", "environments")  # folders of what is made again when it is needed
_NAME = "flowbook.db"  # where a home folder has its database
_BESIDE = ("", "-wal", "-shm", "-journal", "-checkpoint")  # what ends the names of a database's files
_COMPRESSION = 6  # of 9: the last levels take several times as long for a hundredth of the size


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A backup that was made: its file, that file's size in bytes, how many files are in it, and whether a database."""

    path: Path
    size: int
    files: int
    has_database: bool


def back_up(home: Path, url: URL, path: Path, *, replace: bool = False) -> Backup:
    """Write a gzipped tar archive of `home`, and of its database if that is one of SQLite, to `path` (mode 0600).

    Others may go on working with both. The archive is there whole or not at all. Its names are relative to the home
    folder, so unpacking it into an empty folder restores that. Raises StoreError, also if `path` exists, unless it is
    to be replaced.
    """
    path = path.absolute()
    if path.exists() and not replace:
        raise StoreError(f"The file {path} exists already. Choose another name, or give --force to replace it.")
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent} to write the backup to. Make it first.")
    if not home.is_dir():
        raise StoreError(f"There is nothing to back up: the folder {home} does not exist. Check FLOWBOOK_HOME.")
    database = sqlite_file(url)
    try:
        with tempfile.TemporaryDirectory(prefix=".flowbook-backup-", dir=path.parent) as folder:
            copy = None if database is None else _copy(database, Path(folder, _NAME))
            # after the database: the files that its rows name were there before the rows
            with whole_file(path) as file:
                count = _write(file, home, copy, {path, *_files_of(database)})
    except (OSError, tarfile.TarError) as error:
        raise StoreError(
            f"The backup {path} could not be written: {getattr(error, 'strerror', None) or error}."
        ) from error
    return Backup(path=path, size=path.stat().st_size, files=count, has_database=copy is not None)


def _copy(database: Path, copy: Path) -> Path | None:
    """Copy a database that others may be writing to, as it is at one moment; None if there is none."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=30)) as source, closing(sqlite3.connect(copy)) as target:
            source.execute("PRAGMA wal_autocheckpoint = 0")
            source.backup(target)  # all pages in one step: others may write, and their writes do not begin it anew
            damage = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        damage = error
    if str(damage) != "ok":
        raise StoreError(f"The database {database} cannot be backed up: {damage}. `flowbook doctor` says more.")
    return copy


def _files_of(database: Path | None) -> list[Path]:
    return [] if database is None else [Path(f"{database.absolute()}{end}") for end in _BESIDE]


def _write(file: BinaryIO, home: Path, database: Path | None, leave_out: set[Path]) -> int:
    """Write the archive; returns the number of files in it."""
    count = 0
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=_COMPRESSION) as archive:
        if database is not None:
            archive.add(database, _NAME, recursive=False)
        for path in _entries(home, leave_out):
            count += _add(archive, path, str(path.relative_to(home)))
    return count


def _entries(home: Path, leave_out: set[Path]) -> Iterator[Path]:
    """What is in the home folder, folders before what is in them."""

    def is_kept(path: Path) -> bool:
        is_repeatable = path.parent == home and (path.name in _REPEATABLE or path.name.endswith(".tar.gz"))
        return not (is_repeatable or is_temporary(path.name) or path in leave_out or path.is_symlink())

    for folder, folders, names in os.walk(home):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if is_kept(here / name))
        yield from (here / name for name in folders)
        yield from (here / name for name in sorted(names) if is_kept(here / name))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> bool:
    """Add a folder, or a file as long as it is now; says whether it was a file. What has gone meanwhile is left out."""
    try:
        if path.is_dir():
            archive.add(path, name, recursive=False)
        elif path.is_file():
            with path.open("rb") as file:
                archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
            return True
    except FileNotFoundError:
        pass
    return False
