"""Data files of a notebook: those that are declared when it is promoted, and those that its code names.

They are not copied: data is expected to be another one tomorrow. What matters is that they are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import UsageError

if TYPE_CHECKING:
    from flowbook.promote.checks.data_reads import DataRead

#: Why a file is recorded: somebody has said that it is needed, or a cell reads it.
DECLARED, READ = "declared", "read"


def declared_files(
    said: Sequence[str] | None, before: Mapping[str, Any] | None, folder: Path, title: str
) -> dict[str, str]:
    """The files that are declared, or that the version before has declared if nothing is `said`.

    Raises UsageError for one that is not there.
    """
    kept = [name for name, why in (before or {}).get("data_files", {}).items() if why == DECLARED]
    names = kept if said is None else said
    for name in names:
        if not is_there(folder / name):
            raise UsageError(_not_there(name, folder, title, kept=said is None))
    return {plain_name(name): DECLARED for name in names}


def read_files(reads: Sequence[DataRead], folder: Path) -> dict[str, str]:
    """The files that cells read and that are there."""
    return {plain_name(each.path): READ for each in reads if is_there(folder / each.path)}


def gone(files: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Those of the recorded files that are not there any more, and why each is recorded."""
    return ((name, why) for name, why in files.items() if not is_there(folder / name))


def plain_name(path: str) -> str:
    """The one way to write a path: ``data/x.csv`` for ``./data//x.csv``."""
    return Path(os.path.normpath(path)).as_posix()


def is_there(path: Path) -> bool:
    """Whether there is a file or a folder; False as well where we may not look."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises an error there


def _not_there(name: str, folder: Path, title: str, *, kept: bool) -> str:
    if kept:
        return (
            f"The data file {name!r}, which the version before of {title} declares, is gone from {folder}: bring it "
            "back, or say with --data which files it needs now, or with --no-data that it needs none."
        )
    hint = "bring it there, or leave it out"
    if is_there(Path(name)):
        hint = f"name it as seen from there, as in --data {os.path.relpath(name, folder)}"
    return f"The data file {name!r} of {title} is not there, seen from the notebook's folder {folder}: {hint}."
