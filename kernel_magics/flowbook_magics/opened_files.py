"""Which files the code of a cell opens, as Python itself tells (PEP 578, the "open" event of `sys.addaudithook`).

So a file is known that a library or an own module opens by a path which no cell shows. Threads that the cell begins by
itself are not seen.
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flowbook.core.fingerprints.ownership import is_own_file

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_MOST = 1000  # a cell that opens more is not about single files


@dataclass(slots=True)
class OpenedFiles:
    """The files that a cell has opened: those of the working directory by their paths in it, others by whole ones."""

    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    """Opened for writing, removed or renamed."""

    def add(self, path: object, *, writes: bool) -> None:
        """A file is opened, or is to be written, by this path."""
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a file that is open already
        here = os.getcwd() + os.sep  # noqa: PTH109 - called for every file that is opened
        whole = os.path.join(here, os.fsdecode(path))  # noqa: PTH118
        name = os.path.normpath(whole.removeprefix(here))
        is_hidden = f"{os.sep}." in os.sep + name or "__pycache__" in name  # what is hidden are caches
        if not (is_hidden or whole.startswith(_NO_FILES)) and is_own_file(whole):
            (self.written if writes else self.read).add(name)


_watched: ContextVar[OpenedFiles | None] = ContextVar("flowbook_opened_files", default=None)


def watch_files() -> OpenedFiles:
    """Note from now on what the calling code opens."""
    _install()
    found = OpenedFiles()
    _watched.set(found)
    return found


def end_watch() -> None:
    """Note no more of it."""
    _watched.set(None)


@cache
def _install() -> None:
    """Once per process: such a hook cannot be taken away."""
    sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    found = _watched.get()
    if found is None or len(found.read) + len(found.written) >= _MOST:
        return
    if event == "open":
        found.add(args[0], writes=bool(args[2] & _WRITES))
    else:
        for path in args[: _EVENTS[event]]:
            found.add(path, writes=True)


_EVENTS = {"open": 1, "os.remove": 1, "os.rename": 2, "os.truncate": 1}
"""The events of which the first arguments are paths."""
