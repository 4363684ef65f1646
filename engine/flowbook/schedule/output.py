"""What the process of a run prints: kept in a file beside the run, and handed on to its log in the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flowbook import engine
from flowbook.core.jsonable import plain_text

#: So many bytes of one run go to the store; the file has all of it.
MOST = 5_000_000
_AT_ONCE = 1 << 20
_LONGEST_LINE = 10_000


class Output:
    """The output of one run, from where it ends now."""

    def __init__(self, flow_run_id: str, path: Path) -> None:
        self._flow_run_id = flow_run_id
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0
        self._begun = b""
        self._handed_on = 0

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file, to be written to by a process that is started inside."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            yield file

    def hand_on(self) -> None:
        """Hand on the lines that were written since the last time."""
        while self._handed_on < MOST:
            new = self._read(self._at)
            if not new:
                break
            self._at += len(new)
            self._handed_on += len(new)
            *lines, self._begun = (self._begun + new).split(b"\n")
            for line in lines:
                self._say(line)
            if len(self._begun) > _LONGEST_LINE:
                self._say(self._begun)
                self._begun = b""
            if self._handed_on >= MOST:
                self._say(f"The output is longer than is kept here; all of it is in {self._path}.".encode())

    def last_line(self) -> str:
        """What was said last: of a process that failed, the error."""
        try:
            length = self._path.stat().st_size
        except OSError:
            return ""
        lines = self._read(max(0, length - _LONGEST_LINE)).decode("utf-8", "replace").split("\n")
        return plain_text(next((line for line in reversed(lines) if line.strip()), "")).strip()

    def finish(self) -> None:
        """Hand on what is left when the process has ended."""
        self.hand_on()
        if self._begun:
            self._say(self._begun)
            self._begun = b""

    def _read(self, start: int) -> bytes:
        """What there is from `start` on. A cell may have removed the file: then there is nothing."""
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(_AT_ONCE)
        except OSError:
            return b""

    def _say(self, line: bytes) -> None:
        text = plain_text(line.decode("utf-8", "replace").rstrip("\r"))
        if text.strip():
            data = {"level": "INFO", "logger": "flowbook.output", "message": text[:_LONGEST_LINE]}
            engine.engine().recorder.emit("log", self._flow_run_id, None, data)
