"""Environments built from locks, in ``FLOWBOOK_HOME/environments``: one folder for each lock and flowbook.

A virtual environment cannot be renamed, as its scripts name its path. So one is whole once it has the file ``whole``,
which is written last, and what has none is built again. Who builds or removes one holds the file lock beside it; who
runs in one holds the lock of ``whole`` with others. Both go with a process that dies.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.store.file_locks import try_lock
from flowbook.store.kept_files import Pruned, folder_size

if TYPE_CHECKING:
    from flowbook.store.database import Database

_LOOK_EVERY = 0.2  # seconds
_LOCK_DIGITS = 32


def environment_folder(home: Path, lock: str, flowbook: str) -> Path:
    """Where the environment of this lock is, with the flowbook whose origin has the hash `flowbook`."""
    return home / "environments" / f"{lock[:_LOCK_DIGITS]}-{flowbook[:8]}"


def is_whole(folder: Path) -> bool:
    """Whether the environment was built to its end, and the Python that it links to is still there."""
    return (folder / "whole").is_file() and (folder / "bin" / "python").exists()


@contextmanager
def alone(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Build the environment inside, with nobody else who does; `waiting` is called again and again until then."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not try_lock(descriptor):
            waiting()
            time.sleep(_LOOK_EVERY)
        yield
    finally:
        os.close(descriptor)


def use(folder: Path) -> None:
    """This process, and what takes its place by ``exec``, is in the environment to its end: nobody removes it."""
    import fcntl

    os.utime(folder / "whole")
    descriptor = os.open(folder / "whole", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)


def remove_unused(database: Database, home: Path, before: float, *, dry_run: bool) -> Pruned:
    """Remove the environments whose lock no version names any more, and that no run has used since `before`."""
    pruned = Pruned()
    found = [each for each in (home / "environments").glob(f"{'?' * _LOCK_DIGITS}-*") if each.is_dir()]
    old = [each for each in sorted(found) if _last_use(each) < before]
    named = _named_locks(database) if old else set()
    for folder in old:
        if folder.name[:_LOCK_DIGITS] in named:
            continue
        size = folder_size(folder)
        if dry_run or _remove(folder):
            pruned.environments += 1
            pruned.bytes += size
    return pruned


def _named_locks(database: Database) -> set[str]:
    """The beginnings of the locks that versions name."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment_version

    with database.read() as connection:
        manifests = [json.loads(each) for each in connection.scalars(select(deployment_version.c.manifest))]
    return {(manifest.get("lock") or "")[:_LOCK_DIGITS] for manifest in manifests}


def _last_use(folder: Path) -> float:
    marker = folder / "whole"
    return (marker if marker.is_file() else folder).stat().st_mtime


def _remove(folder: Path) -> bool:
    """Remove an environment, unless somebody builds it or runs in it."""
    descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if not try_lock(descriptor) or _is_in_use(folder):
            return False
        (folder / "whole").unlink(missing_ok=True)  # first of all: what is left, if this is killed, is not whole
        shutil.rmtree(folder, ignore_errors=True)
        return True
    finally:
        os.close(descriptor)


def _is_in_use(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        descriptor = os.open(folder / "whole", os.O_RDONLY)
        try:
            return not try_lock(descriptor)
        finally:
            os.close(descriptor)
    return False
