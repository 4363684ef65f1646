"""Checks of the home folder and its files."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from flowbook.core.sizes import size_text
from flowbook.errors import StoreError
from flowbook.store.findings import Finding, Subject, fine, problem, warning
from flowbook.store.mounts import network_file_system
from flowbook.store.signing import signature
from flowbook.store.temporary import is_temporary
from flowbook.store.urls import parse_url, sqlite_file

_SCARCE, _LITTLE = 100 << 20, 1 << 30  # bytes of free space: a problem, a warning
_LEFT_OVER = 3600.0  # seconds after which nobody writes to a temporary file any more


def check_home(subject: Subject) -> Finding:
    """The folder is there, can be written to, and is its owner's only."""
    title, home = "Home folder", subject.home
    if not home.exists():
        return fine(title, f"{home} does not exist yet; it is made when something runs.")
    if not home.is_dir():
        return problem(title, f"{home} is a file.", "Move it away, or set FLOWBOOK_HOME to another folder.")
    if not may(home, os.R_OK | os.W_OK | os.X_OK):
        return problem(
            title,
            f"{home} cannot be written to by this user.",
            f"Run `chmod u+rwx {home}` as its owner, or set FLOWBOOK_HOME to a folder of your own.",
        )
    if _others_may(home):
        return warning(
            title,
            f"{home} is open to other users of this machine (mode {_mode(home):04o}).",
            f"Run `chmod 700 {home}`: what is kept there is nobody else's business.",
        )
    return fine(title, f"{home} can be written to, and by its owner only.")


def check_private_files(subject: Subject) -> Finding:
    """The database and the keys are their owner's only."""
    title = "Private files"
    wide = [path for path in _private_files(subject) if path.is_file() and _others_may(path)]
    if not wide:
        return fine(title, "The database and the keys are their owner's only.")
    names = " ".join(str(path) for path in wide)
    return problem(title, f"Other users of this machine may open {names}.", f"Run `chmod 600 {names}`.")


def check_file_system(subject: Subject) -> Finding:
    """A SQLite database is on a disk of this machine."""
    title = "File system"
    path = _database_file(subject) or subject.home
    kind = network_file_system(path)
    if kind is None:
        return fine(title, f"{path.parent} is on a local file system, as far as this machine says.")
    if _database_file(subject) is None:
        return fine(title, f"{path} is on a network file system ({kind}), and the database is elsewhere.")
    return problem(
        title,
        f"{path} is on a network file system ({kind}), where SQLite can lose data.",
        "Set FLOWBOOK_HOME to a folder on a local disk, or FLOWBOOK_DATABASE_URL=postgresql+psycopg://….",
    )


def check_free_space(subject: Subject) -> Finding:
    """There is room for what will be written."""
    title = "Free space"
    there = next(folder for folder in (subject.home, *subject.home.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{size_text(free)} are free in {there}."
    if free >= _LITTLE:
        return fine(title, found)
    return (problem if free < _SCARCE else warning)(title, found, "Free some space on that disk.")


def check_key(subject: Subject) -> Finding:
    """The key that results are signed with can be read."""
    title, path = "Signing key", subject.home / "key"
    if not path.exists():
        return fine(title, "There is none yet; it is made with the first result that is kept.")
    try:
        signature(subject.home, "doctor")
    except StoreError:
        return problem(
            title,
            f"{path} is damaged.",
            "Put the one of a backup in its place, or remove it: then results kept so far cannot be loaded any more.",
        )
    except OSError as error:
        return problem(title, f"{path} cannot be read: {error.strerror}.", f"Run `chmod 600 {path}` as its owner.")
    return fine(title, f"{path} can be read.")


def check_temporary_files(subject: Subject) -> Finding:
    """No temporary files were left by processes that were killed."""
    title = "Temporary files"
    before = time.time() - _LEFT_OVER
    left = [path for path in _temporary_files(subject.home) if path.lstat().st_mtime < before]
    if not left:
        return fine(title, "None were left behind.")
    size = size_text(sum(path.lstat().st_size for path in left))
    return warning(
        title,
        f"{len(left)} left by processes that were killed as they wrote ({size}), such as {left[0]}.",
        f"Remove them: find {subject.home} -name '.*' -type f -mmin +60 -delete",
    )


def _temporary_files(home: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(home):
        yield from (Path(folder, name) for name in names if is_temporary(name))


def may(path: Path, mode: int) -> bool:
    """Whether this user may do with `path` what `mode`, as of `os.access`, says."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _database_file(subject: Subject) -> Path | None:
    return sqlite_file(parse_url(subject.database_url))


def _private_files(subject: Subject) -> Iterator[Path]:
    yield from subject.home.glob("*key*")
    if (database := _database_file(subject)) is not None:
        yield from (Path(f"{database}{end}") for end in ("", "-wal", "-shm"))


def _others_may(path: Path) -> bool:
    return os.name == "posix" and bool(_mode(path) & 0o077)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
