"""The first lines of task and flow cells: ``%%task …``, ``#| task …`` and ``%%flow …``.

The magics and promotion read them with the same grammar, so what one accepts the other does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowbook.cells.grammar import Command, Option, Parsed, count, delays, names, one_of, parse, positive_seconds

__all__ = ["FLOW_CELL", "TASK", "CellLine", "cell_line"]

_MARK = re.compile(r"(?:%%|#\|\s*)(task|flow)\b(.*)")

TASK = Command(
    name="%%task",
    summary="Make a task of this cell and run it, unless --define is given.",
    arguments=("NAME",),
    options=(
        Option(
            name="--after", metavar="A,B", read=names, default=(), help="tasks to wait for besides those it reads from"
        ),
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


def cell_line(source: str) -> CellLine | None:
    """The first line of a cell as typed, if it makes a task or a flow of the cell. Raises UsageError for what it
    does not understand; values with ``$`` or ``{}`` are not looked up."""
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    found = _MARK.fullmatch(first)
    if found is None or (found[1] == "flow" and not first.startswith("%%")):
        return None
    said = parse(TASK if found[1] == "task" else FLOW_CELL, found[2])
    return CellLine(kind=found[1], name=said.words[0] if said.words else None, said=said)
