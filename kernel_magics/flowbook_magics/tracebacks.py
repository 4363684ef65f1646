"""The traceback of an error in short, each line with whether the user wrote it."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flowbook
from flowbook.core.failure import Frame
from flowbook.core.plain import one_line, shorten
from flowbook.errors import FlowbookError

if TYPE_CHECKING:
    from types import TracebackType

_MOST_FRAMES, _MOST_COLUMNS = 40, 160
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = tuple(str(Path(file).parent) for file in (flowbook.__file__, __file__))


def frames_of(shell: Any, error: BaseException, tb: TracebackType | None) -> tuple[Frame, ...]:
    """The traceback of an error as it happened, the innermost line last.

    There is none of an error of ours that no line of the user's led to: its sentence says all.
    """
    found = tuple(_frame(shell, summary) for summary in traceback.extract_tb(tb, limit=-_MOST_FRAMES))
    return found if not isinstance(error, FlowbookError) or any(frame.own for frame in found) else ()


def _frame(shell: Any, summary: traceback.FrameSummary) -> Frame:
    compiled = getattr(shell.compile, "format_code_name", lambda _: None)(summary.filename)
    where = f"cell {compiled[1]}" if compiled else summary.filename
    name = "" if summary.name == "<module>" else f" in {summary.name}"
    code = linecache.getline(summary.filename, summary.lineno or 0).strip()
    own = bool(compiled) or not summary.filename.startswith((*_LIBRARIES, *_OURS, sys.base_prefix, "<"))
    return Frame(where=f"{where}, line {summary.lineno}{name}", code=shorten(one_line(code), _MOST_COLUMNS), own=own)
