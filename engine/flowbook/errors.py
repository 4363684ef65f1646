"""Every error that a user of flowbook can meet.

::

    FlowbookError
    ├── UsageError              a call, option, cell or line that cannot be meant
    │   ├── CellError           something is wrong with a cell (syntax, cycle, missing input, duplicate name)
    │   ├── ParameterError      a parameter is unknown, missing or of the wrong type
    │   └── NotebookError       a notebook cannot be read or promoted
    ├── MissingContextError     asked for the current run where nothing runs
    ├── IllegalTransition       a run was asked to go from one state to another that does not follow
    ├── UpstreamTaskError       the result of a task that did not run, because one before it failed
    ├── ElementsFailed          a mapped cell, some elements of which failed
    ├── TaskTimeoutError        a task or flow ran longer than its timeout
    ├── FlowPauseTimeout        a flow run was paused, and nobody resumed it in time
    ├── FailedRun               the result of a run that failed without an exception
    ├── CancelledRun            the result of a run that was cancelled
    ├── CrashedRun              the result of a run whose process went away
    ├── NotebookRunFailed       a notebook that was called did not complete
    ├── WorkerLost              the process that a task was sent to went away before it had ended
    ├── NotPicklable            an argument or result cannot be sent to or from another process
    ├── ConcurrencySlotAcquisitionError      slots that cannot be had: no such limit, or fewer slots
    ├── AcquireConcurrencySlotTimeoutError   slots that were not free in time
    ├── EnvironmentNotBuilt     the environment that a version locked cannot be built where its run is executed
    ├── NotFound                no such run, deployment, task or cell
    └── StoreError              the database or a result file cannot be used
        └── MissingResult       the file of a stored result is gone

``CancelRequested``, raised inside of a run that is cancelled, and ``SuspendRequested``, are ``BaseException``s, as
``KeyboardInterrupt`` is.
``InvalidSchedule`` (:mod:`flowbook.schedules`) is a ``UsageError`` too, and ``UnfitNotebook``
(:mod:`flowbook.promote.checks.finding`) a ``NotebookError``. The messages are whole sentences: what
happened, where, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class FlowbookError(Exception):
    """The root of all errors that flowbook raises itself."""


class UsageError(FlowbookError, ValueError):
    """A call, an option, a cell or a line that cannot be meant as written."""


class CellError(UsageError):
    """Something is wrong with a cell; the message names the cell."""


class ParameterError(UsageError):
    """A parameter is unknown, missing or of the wrong type; `field` names it."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotebookError(UsageError):
    """A notebook cannot be read, promoted or run."""


class MissingContextError(FlowbookError, RuntimeError):
    """The current run was asked for where no run is active."""


class IllegalTransition(FlowbookError, RuntimeError):
    """A run was asked to enter a state that does not follow from the one it is in."""


class UpstreamTaskError(FlowbookError):
    """The task did not run, because a task that it depends on did not complete."""


class ElementsFailed(FlowbookError):
    """A cell ran once per element, and some did not complete. Their tracebacks stand under the cell."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class TaskTimeoutError(FlowbookError, TimeoutError):
    """A task or flow ran longer than its ``timeout_seconds``."""


class FlowPauseTimeout(FlowbookError, TimeoutError):
    """The flow run was paused, and nobody resumed it in time."""


class FailedRun(FlowbookError):
    """The run ended in a state Failed that holds no exception."""


class CancelledRun(FlowbookError):
    """The run was cancelled and has no result."""


class CrashedRun(FlowbookError):
    """The process that executed the run went away, so the run has no result."""


class NotebookRunFailed(FlowbookError):
    """A notebook that was called did not complete. `number` is that of its run, `state` the name of its last state."""

    def __init__(self, message: str, *, number: int, state: str) -> None:
        super().__init__(message)
        self.number = number
        self.state = state


class WorkerLost(FlowbookError):
    """The process that executed a task for another one went away before the task had ended."""


class NotPicklable(FlowbookError, TypeError):
    """An argument, a result or a function cannot be pickled, so it cannot go to another process."""


class CancelRequested(BaseException):
    """Raised inside of a flow run, and in its tasks, when somebody has asked for it to be cancelled."""

    reason = "Cancelled on request."

    @classmethod
    def because(cls, reason: str) -> type[CancelRequested]:
        """The class to raise for one request. It carries the reason, since threads are interrupted with a class."""
        return type(cls.__name__, (cls,), {"reason": reason, "__module__": cls.__module__})

    def __str__(self) -> str:
        return super().__str__() or self.reason


class SuspendRequested(BaseException):
    """Raised inside of a flow run that is to wait without a process; `details` is what its state records."""

    def __init__(self, message: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.details = details


class ConcurrencySlotAcquisitionError(FlowbookError):
    """Slots of a concurrency limit were asked for that does not exist, or does not have as many."""


class AcquireConcurrencySlotTimeoutError(FlowbookError, TimeoutError):
    """The slots of a concurrency limit were not free within ``timeout_seconds``."""


class EnvironmentNotBuilt(FlowbookError):
    """The environment that a version locked cannot be built where its run is executed."""


class NotFound(FlowbookError, LookupError):
    """There is no run, deployment, task or cell of that name."""


class StoreError(FlowbookError):
    """The database, or a file beside it, cannot be used."""


class MissingResult(StoreError):
    """A stored result was asked for, and its file is gone or was changed."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the known word nearest to `word`, or an empty string."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def refuse_unknown(title: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise UsageError for the first of the `given` options that `title` does not have."""
    names = tuple(known)
    for name in given:
        if name not in names:
            raise UsageError(f"{title} has no option {name!r}.{did_you_mean(name, names)}")
