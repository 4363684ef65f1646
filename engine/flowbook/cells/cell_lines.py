"""The first lines of task and flow cells: ``%%task …``, ``#| task …`` and ``%%flow …``.

The magics and promotion read them with the same grammar, so what one accepts the other does.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from flowbook.cells.grammar import Command, Option, Parsed, count, delays, names, one_of, parse, positive_seconds

__all__ = ["FLOW_CELL", "TASK", "CellLine", "MarkedLine", "cell_line", "marked_line"]

_MARK = re.compile(r"(?:%%|#\|\s*)(task|flow)(\s.*)?")


def _variables(text: str) -> tuple[str, ...]:
    found = names(text)
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in found):
        raise ValueError("write the names of variables as x,y")
    return found


def _outputs(text: str) -> tuple[str, ...]:
    found = _variables(text)
    if any(name.startswith("_") for name in found):
        raise ValueError("a name that begins with an underscore stays inside the task")
    return found


TASK = Command(
    name="%%task",
    summary="Make a task of this cell and run it, unless --define is given.",
    arguments=("NAME",),
    options=(
        Option(
            name="--after", metavar="A,B", read=names, default=(), help="tasks to wait for besides those it reads from"
        ),
        Option(
            name="--in",
            metavar="X,Y",
            read=_variables,
            help="variables it reads, instead of those found in its code",
        ),
        Option(name="--out", metavar="Z", read=_outputs, help="variables it gives to other cells; others stay inside"),
        Option(name="--retries", metavar="N", read=count, default=0, help="try again so often after a failure"),
        Option(
            name="--retry-delay",
            metavar="10s|10s,30s,1m|exp",
            read=delays,
            default=0.0,
            help="wait before each retry; exp is 1, 2, 4, 8… seconds",
        ),
        Option(name="--timeout", metavar="5m", read=positive_seconds, help="give an attempt up after this time"),
        Option(
            name="--cache",
            metavar="inputs|source|off",
            read=one_of("inputs", "source", "off"),
            default="off",
            help="reuse a stored result: of the same code and inputs, or of the same code",
        ),
        Option(name="--define", help="only register the task, do not run it now"),
    ),
    example="%%task load --retries 3 --retry-delay 10s",
)

FLOW_CELL = Command(
    name="%%flow",
    summary="Make a flow of this cell: Python that calls tasks. It runs when it is called, by %flow run, or deployed.",
    arguments=("NAME",),
    options=(
        Option(
            name="--params",
            metavar="day:date,limit:int=10",
            default="",
            help="parameters with types and defaults",
        ),
        Option(name="--retries", metavar="N", read=count, default=0, help="try again so often after a failure"),
        Option(name="--timeout", metavar="5m", read=positive_seconds, help="give a run up after this time"),
    ),
    example="%%flow nightly --params day:date,limit:int=10",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CellLine:
    """What the first line of a task or flow cell said."""

    kind: str
    """``task`` or ``flow``."""
    name: str | None
    said: Parsed


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkedLine:
    """The line that makes a task or a flow of a cell, not parsed."""

    number: int
    """0 is the first line of the cell as typed."""
    kind: str
    """``task`` or ``flow``."""
    rest: str
    """What stands behind the mark."""


def marked_line(source: str) -> MarkedLine | None:
    """The line of a cell as typed that makes a task or a flow of it: the first one, below comments and empty lines."""
    for number, line in enumerate(source.splitlines()):
        text = line.strip()
        found = _MARK.fullmatch(text)
        if found is not None and (found[1] == "task" or text.startswith("%%")):
            return MarkedLine(number=number, kind=found[1], rest=found[2] or "")
        if text and not text.startswith("#"):
            return None
    return None


def cell_line(source: str) -> CellLine | None:
    """What the line that makes a task or a flow of a cell as typed says. Raises UsageError for what it does not
    understand; values with ``$`` or ``{}`` are not looked up."""
    marked = marked_line(source)
    if marked is None:
        return None
    said = parse(TASK if marked.kind == "task" else FLOW_CELL, marked.rest)
    return CellLine(kind=marked.kind, name=said.words[0] if said.words else None, said=said)
