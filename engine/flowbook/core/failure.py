"""Why a flow run failed, as every view says it: the first task that failed, where, with what, and what it kept from
running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowbook.core.boxes import look_in
from flowbook.core.plain import one_line, shorten, without_ansi
from flowbook.core.view import WORDS, LogLine, NodeView, RunView

#: So many of the last lines of the task's log are shown, and so many names of tasks that were not run.
_MOST_LINES, _MOST_NAMES = 20, 12
#: Columns of a message, and of a line of the log.
_MOST_MESSAGE, _MOST_COLUMNS = 2000, 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One line of a traceback: where it is, what stands there, and whether the user wrote it."""

    where: str
    code: str
    own: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What is known of the task run that failed first. Times are in seconds since the epoch."""

    task: str
    look: str
    message: str = ""
    attempt: int = 1
    attempts: int | None = None
    """How many attempts it may take, where that is known."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Names and short values. Secrets never appear."""
    last_success: str | None = None
    not_run: tuple[str, ...] = ()
    more_not_run: int = 0
    """How many more there are that `not_run` does not name."""
    frames: tuple[Frame, ...] = ()
    """The traceback, the innermost line last."""
    log: tuple[LogLine, ...] = ()

    @property
    def own(self) -> tuple[Frame, ...]:
        """The lines of the traceback that the user wrote; all of them, if none is."""
        return tuple(frame for frame in self.frames if frame.own) or self.frames

    @property
    def title(self) -> str:
        """``Failed · validate · cell In[7], line 1 · attempt 1 of 1``."""
        where = [self.own[-1].where] if self.own else []
        of = f" of {self.attempts}" if self.attempts else ""
        return " · ".join([WORDS[self.look], self.task, *where, f"attempt {self.attempt}{of}"])

    @property
    def source(self) -> str:
        """The user's line that failed; empty where it is not known."""
        return self.own[-1].code if self.own else ""


def failure_of(view: RunView, known: Mapping[str, Any]) -> Failure | None:
    """Why the run failed, or is going to; None if it did not, or if no task did.

    `known` is what the kernel knows of that task beyond its record: ``inputs``, ``frames``, ``attempts``,
    ``last_success``, all of them optional.
    """
    first = failed_first(view)
    if first is None or first.state is None:
        return None
    not_run = [one_line(node.name) for node in view.nodes.values() if look_in(node, view) == "not-run"]
    log = [line for line in view.logs if line.task_run_id == first.id][-_MOST_LINES:]
    return Failure(
        task=shorten(one_line(first.name), 100),
        look=first.look,
        message=shorten(first.state.message or "", _MOST_MESSAGE),
        attempt=max(1, first.attempts),
        attempts=known.get("attempts"),
        inputs=tuple((name, text) for name, text in known.get("inputs", ())),
        last_success=known.get("last_success"),
        not_run=tuple(shorten(name, 60) for name in not_run[:_MOST_NAMES]),
        more_not_run=len(not_run[_MOST_NAMES:]),
        frames=tuple(Frame(**frame) for frame in known.get("frames", ())),
        log=tuple(log),
    )


def failed_first(view: RunView) -> NodeView | None:
    """The task run that a failed run failed at, or one under way is going to; None for a run that ended otherwise."""
    over = view.state is not None and view.state.is_final()
    return view.first_failure() if not over or view.look in ("failed", "crashed") else None


def failure_text(failure: Failure) -> str:
    """The failure on lines of plain text."""
    lines = [f"x {failure.title}", *(f"  {line}" for line in one_line_each(failure.message))]
    if failure.source:
        lines.append(f"  > {failure.source}")
    if failure.inputs:
        lines.append("  Inputs  " + "  ".join(f"{name}={text}" for name, text in failure.inputs))
    if failure.last_success:
        lines.append(f"  Last success: {failure.last_success}")
    if failure.not_run:
        lines.append(f"  Not run: {names_not_run(failure)}")
    if failure.log:
        lines += ["  Log", *(f"    {part}" for line in failure.log for part in log_text(line).splitlines())]
    if failure.own:
        lines += ["  Traceback, the last call last"]
        lines += [f"    {said}" for frame in failure.own for said in (frame.where, f"    {frame.code}")]
    return "\n".join(line.rstrip() for line in lines)


def names_not_run(failure: Failure) -> str:
    """``publish, notify and 3 more``."""
    more = f" and {failure.more_not_run} more" if failure.more_not_run else ""
    return ", ".join(failure.not_run) + more


def log_text(line: LogLine) -> str:
    """``ERROR    the total is too high``."""
    said = "\n".join(one_line_each(shorten(line.message, _MOST_COLUMNS)))
    return f"{line.level:<8} {said}"


def one_line_each(text: str) -> list[str]:
    """The lines of a text, with nothing invisible in them."""
    return [one_line(line) for line in without_ansi(text).splitlines()]
