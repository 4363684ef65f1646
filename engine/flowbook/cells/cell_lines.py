"""The first lines of task and flow cells: ``%%task …``, ``#| task …`` and ``%%flow …``.

The magics and promotion read them with the same grammar, so what one accepts the other does.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from flowbook.cells.grammar import Argument, Command, Kind, Option, Parsed, count, delays, parse, positive_seconds
from flowbook.errors import UsageError

__all__ = ["FLOW_CELL", "TASK", "CellLine", "MarkedLine", "cell_line", "marked_line", "place_of", "refuse_second_mark"]

_MARK = re.compile(r"(?:%%|#\|\s*)(task|flow)(\s.*)?")


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("write the names of variables as x,y")
    return text


def _output(text: str) -> str:
    if _variable(text).startswith("_"):
        raise ValueError("a name that begins with an underscore stays inside the task")
    return text


def _over(text: str) -> tuple[str, str]:
    item, sign, iterable = text.partition("=")
    if not sign:
        raise ValueError("write it as item=items, where items is a variable that holds a list")
    try:
        names = _variable(item.strip()), _variable(iterable.strip())
    except ValueError:
        raise ValueError("write it as item=items, both names of variables") from None
    if names[0] == names[1]:
        raise ValueError(f"one element needs another name than all of them, as in one_{names[0]}={names[1]}")
    return names


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError("it must be a number from 0 up, as 0.5 for delays of up to half as much again")
    return value


def _slots(text: str) -> tuple[str, int]:
    name, sign, number = text.rpartition(":")
    if not sign:
        name, number = text, "1"
    if not name or not number.isdigit() or int(number) < 1:
        raise ValueError("write the name of a concurrency limit, and how many slots of it if not 1, as in database:2")
    return name, int(number)


TASK = Command(
    name="%%task",
    summary="Make a task of this cell and run it, unless --define is given.",
    arguments=(Argument(name="NAME"),),
    options=(
        Option(
            name="--after",
            metavar="A,B",
            choices=Kind.TASK,
            listed=True,
            default=(),
            help="tasks to wait for besides those it reads from",
        ),
        Option(
            name="--in",
            metavar="X,Y",
            read=_variable,
            listed=True,
            may_be_empty=True,
            help="variables it reads, instead of those found in its code",
        ),
        Option(
            name="--out",
            metavar="Z",
            read=_output,
            listed=True,
            may_be_empty=True,
            help="variables it gives to other cells; others stay inside",
        ),
        Option(name="--retries", metavar="N", read=count, default=0, help="try again so often after a failure"),
        Option(
            name="--retry-delay",
            metavar="10s|10s,30s,1m|exp",
            read=delays,
            default=0.0,
            needs="--retries N",
            help="wait before each retry; exp is 1, 2, 4, 8… seconds",
        ),
        Option(
            name="--jitter",
            metavar="F",
            read=_factor,
            needs="--retries N",
            help="wait longer before each retry by a random part of F times the delay",
        ),
        Option(name="--timeout", metavar="5m", read=positive_seconds, help="give an attempt up after this time"),
        Option(
            name="--cache",
            choices=("inputs", "source", "off"),
            default="off",
            help="reuse a stored result: of the same code and inputs, or of the same code",
        ),
        Option(
            name="--cache-for",
            metavar="1h",
            read=positive_seconds,
            needs="--cache inputs",
            help="reuse a stored result only for this time",
        ),
        Option(
            name="--map",
            metavar="item=items[,b=bs]",
            read=_over,
            listed=True,
            default=(),
            help="run once per element; what it writes becomes the list of the results",
        ),
        Option(
            name="--isolate",
            choices=("kernel", "process"),
            help="where it runs: among the others, or in a process of its own",
        ),
        Option(
            name="--runner",
            choices=("threads", "processes", "dask"),
            help="what runs it: the kernel's threads, processes, or a Dask cluster",
        ),
        Option(
            name="--limit",
            metavar="NAME[:N]",
            read=_slots,
            help="run only while a slot (N of them) of this concurrency limit is free",
        ),
        Option(name="--tags", metavar="A,B", listed=True, default=(), help="tags of its task runs"),
        Option(name="--log-prints", help="what it prints goes to its log"),
        Option(name="--no-log-prints", excludes="--log-prints", help="what it prints stays out of its log"),
        Option(name="--define", help="only register the task, do not run it now"),
    ),
    example="%%task load --retries 3 --retry-delay 10s",
)

FLOW_CELL = Command(
    name="%%flow",
    summary="Make a flow of this cell: Python that calls tasks. It runs when it is called, by %flow run, or deployed.",
    arguments=(Argument(name="NAME"),),
    options=(
        Option(
            name="--params",
            metavar="day:date,limit:int=10",
            default="",
            may_be_empty=True,
            help="parameters with types and defaults",
        ),
        Option(name="--retries", metavar="N", read=count, default=0, help="try again so often after a failure"),
        Option(name="--timeout", metavar="5m", read=positive_seconds, help="give a run up after this time"),
    ),
    example="%%flow nightly --params day:date,limit:int=10",
)


def place_of(said: Parsed) -> str:
    """Where a ``%%task`` line has its task executed: ``threads``, ``processes`` or ``dask``. Raises UsageError."""
    if said.isolate is None:
        return said.runner or "threads"
    if said.runner is not None and (said.isolate == "kernel") != (said.runner == "threads"):
        raise UsageError(f"%%task: --isolate {said.isolate} and --runner {said.runner} exclude each other; keep one.")
    return said.runner or {"kernel": "threads", "process": "processes"}[said.isolate]


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
    if marked.kind == "task":
        place_of(said)
    refuse_second_mark("\n".join(source.splitlines()[marked.number + 1 :]))
    return CellLine(kind=marked.kind, name=said.words[0] if said.words else None, said=said)


def refuse_second_mark(body: str) -> None:
    """Raise UsageError if the rest of a marked cell is marked as well: it would be a task inside a task."""
    second = marked_line(body)
    if second is not None:
        line = body.splitlines()[second.number].strip()
        raise UsageError(f"A cell is one task or one flow: take the line `{line}` out, or give it a cell of its own.")
