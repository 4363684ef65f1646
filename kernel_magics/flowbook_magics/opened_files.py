"""Which files the code of a cell opens, and which folders it lists, as Python itself tells (PEP 578, audit events).

So a file is known that a library or an own module opens by a path which no cell shows. Threads that the cell begins by
itself are not seen.
"""

from __future__ import annotations

import os
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import Any

from flowbook.core.fingerprints.ownership import is_own_file
from flowbook.settings import current_settings

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_MOST = 1000  # a cell that opens more is not about single files


@dataclass(slots=True)
class OpenedFiles:
    """The files that a cell has opened: those of the working directory by their paths in it, others by whole ones."""

    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    """Opened for writing, removed or renamed."""
    listed: set[str] = field(default_factory=set)
    """Folders whose files it has asked for."""
    removed: set[str] = field(default_factory=set)
    """Folders that it has removed with all that is in them."""

    def add(self, path: object, among: set[str]) -> None:
        """A file or folder is used by this path: it belongs `among` those of one kind."""
        if not isinstance(path, str | bytes | os.PathLike) or path == ":memory:":
            return  # a file that is open already, or none
        here = os.getcwd() + os.sep  # noqa: PTH109 - called for every file that is opened
        whole = os.path.join(here, os.fsdecode(path))  # noqa: PTH118
        name = os.path.normpath(whole.removeprefix(here))
        is_hidden = f"{os.sep}." in os.sep + name or "__pycache__" in name  # what is hidden are caches
        if not (is_hidden and name != ".") and not whole.startswith(_NO_FILES) and is_own_file(whole):
            among.add("." if name + os.sep == here else name)

    def missed(self, error: BaseException) -> None:
        """The code fails with this error: a file that is not there was asked for all the same."""
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            self.add(error.filename, self.read)

    def update(self, other: OpenedFiles) -> None:
        """Those of another one belong to these."""
        self.read |= other.read
        self.written |= other.written
        self.listed |= other.listed
        self.removed |= other.removed

    def shared_with(self, other: OpenedFiles) -> str:
        """A file that both use and one writes, or a folder that one lists or removes and the other uses; '' if none."""
        files = self.written & (other.read | other.written) | self.read & other.written
        if files:
            return f"the file {min(files)}"
        folders = self.listed & _folders(other.written) | other.listed & _folders(self.written)
        folders = folders or self._removed_under(other) or other._removed_under(self)
        return f"the folder {min(folders)}" if folders else ""

    def _removed_under(self, other: OpenedFiles) -> set[str]:
        """The folders that it has removed and in which the other one has used something, at any depth."""
        if not self.removed:
            return set()
        used = other.read | other.written | other.listed | other.removed
        return self.removed & used.union(str(folder) for path in used for folder in PurePath(path).parents)

    def __bool__(self) -> bool:
        return bool(self.read or self.written or self.listed or self.removed)


def _folders(files: set[str]) -> set[str]:
    return {os.path.dirname(file) or "." for file in files}  # noqa: PTH120


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
    if found is None or len(found.read) + len(found.written) + len(found.listed) >= _MOST:
        return
    if _is_left_out(event, args):
        return
    if event == "shutil.rmtree":
        found.add(args[0], found.removed)
    elif event == "open":
        found.add(args[0], found.written if args[2] & _WRITES else found.read)
    elif event in _LISTS:
        if not _LOOKS_FOR_MODULES.search(sys._getframe(1).f_code.co_filename):
            found.add(args[0] or ".", found.listed)
    else:
        for path in args[: _EVENTS[event]]:
            found.add(path, found.written)


def _is_left_out(event: str, args: tuple[Any, ...]) -> bool:
    if event == "os.remove":
        return bool(args[1] != -1)  # its path begins in a folder that is open
    return event == "sqlite3.connect" and str(args[0]).startswith(str(current_settings().home))  # flowbook's own


_LISTS = ("os.listdir", "os.scandir")
_LOOKS_FOR_MODULES = re.compile(r"^<frozen importlib|\bimportlib\Wmetadata\b|\bimportlib_metadata\b|\bpkg_resources\b")
"""The files of code that lists the working directory because modules might be in it."""
_EVENTS = {
    "open": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.truncate": 1,
    "shutil.rmtree": 1,
    "sqlite3.connect": 1,
    **dict.fromkeys(_LISTS, 1),
}
"""The events of which the first arguments are paths."""
