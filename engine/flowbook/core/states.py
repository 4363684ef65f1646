"""States of runs, and which may follow which.

The types and names are Prefect 3's (https://docs.prefect.io/v3/concepts/states). A state has a *type*, which decides
what happens next, and a *name*, which says more to a person (``AwaitingRetry`` is a kind of ``SCHEDULED``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flowbook.core.jsonable import plain_text
from flowbook.errors import (
    CancelledRun,
    CancelRequested,
    CrashedRun,
    FailedRun,
    FlowbookError,
    IllegalTransition,
    SuspendRequested,
    TaskTimeoutError,
    UpstreamTaskError,
    WorkerLost,
)


class StateType(StrEnum):
    """What a state means to the engine."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


FINAL_TYPES = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})

_S = StateType
#: What may follow a state of each type. A final state is left only by a retry of the whole run.
TRANSITIONS: dict[StateType | None, frozenset[StateType]] = {
    None: frozenset({_S.SCHEDULED, _S.PENDING, _S.RUNNING, _S.CANCELLED, _S.CRASHED, _S.COMPLETED, _S.FAILED}),
    _S.SCHEDULED: frozenset({_S.SCHEDULED, _S.PENDING, _S.RUNNING, _S.CANCELLED, _S.CRASHED, _S.FAILED}),
    _S.PENDING: frozenset({_S.SCHEDULED, _S.PENDING, _S.RUNNING, *FINAL_TYPES}),
    _S.RUNNING: frozenset({_S.SCHEDULED, _S.RUNNING, _S.PAUSED, _S.CANCELLING, *FINAL_TYPES}),
    _S.PAUSED: frozenset({_S.SCHEDULED, _S.RUNNING, _S.CANCELLING, _S.CANCELLED, _S.FAILED, _S.CRASHED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.CRASHED, _S.FAILED, _S.COMPLETED}),
    **{final: frozenset({_S.SCHEDULED, _S.RUNNING}) for final in FINAL_TYPES},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One state of a run.

    `data` holds the run's return value (or its exception) in the process that ran it; `time` is in seconds since the
    epoch, and None until the state has been entered.
    """

    type: StateType
    name: str
    message: str | None = None
    time: float | None = None
    attempt: int = 0
    data: Any = field(default=None, compare=False, repr=False)
    details: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """What else its event records: plain JSON values."""

    @property
    def timestamp(self) -> datetime | None:
        """When the state was entered: an aware datetime in UTC."""
        return None if self.time is None else datetime.fromtimestamp(self.time, UTC)

    def at(self, time: float | None, attempt: int | None = None) -> State:
        """This state entered at `time`, by attempt number `attempt`. (`dataclasses.replace` takes thrice as long.)"""
        return State(
            type=self.type,
            name=self.name,
            message=self.message,
            time=time,
            attempt=self.attempt if attempt is None else attempt,
            data=self.data,
            details=self.details,
        )

    def is_scheduled(self) -> bool:
        """The run waits for its time, or for a retry."""
        return self.type is _S.SCHEDULED

    def is_pending(self) -> bool:
        """The run was asked for and has not begun."""
        return self.type is _S.PENDING

    def is_running(self) -> bool:
        """The run is executing."""
        return self.type is _S.RUNNING

    def is_completed(self) -> bool:
        """The run ended well."""
        return self.type is _S.COMPLETED

    def is_failed(self) -> bool:
        """The run's own code failed."""
        return self.type is _S.FAILED

    def is_crashed(self) -> bool:
        """The run's process went away."""
        return self.type is _S.CRASHED

    def is_cancelled(self) -> bool:
        """The run was cancelled, or not run because a task before it failed."""
        return self.type is _S.CANCELLED

    def is_cancelling(self) -> bool:
        """The run was asked to stop and has not stopped yet."""
        return self.type is _S.CANCELLING

    def is_paused(self) -> bool:
        """The run waits for somebody to resume it."""
        return self.type is _S.PAUSED

    def is_final(self) -> bool:
        """Nothing more happens to the run by itself."""
        return self.type in FINAL_TYPES

    def may_be_retried(self) -> bool:
        """The run failed, or crashed for a reason that another attempt may not meet (not that it was told to exit)."""
        return self.is_failed() or (self.is_crashed() and isinstance(self.data, Exception))

    def ended_by_interrupt(self) -> bool:
        """The run ended by something that must not be swallowed, such as Ctrl-C."""
        return isinstance(self.data, BaseException) and not isinstance(self.data, Exception)

    def result(self, raise_on_failure: bool = True) -> Any:
        """The return value of a completed run; of any other the exception, raised unless told not to."""
        if self.type is _S.COMPLETED:
            return self.data.get() if getattr(type(self.data), "is_stored_result", False) else self.data
        error = self.data if isinstance(self.data, BaseException) else self._error()
        if raise_on_failure:
            raise error
        return error

    def _error(self) -> FlowbookError:
        said = self.message or f"The run is in state {self.name}, so it has no result yet."
        if self.name == "NotReady":
            return UpstreamTaskError(said)
        if self.type is _S.CANCELLED:
            return CancelledRun(said)
        if self.type is _S.FAILED:
            return FailedRun(said)
        return CrashedRun(said) if self.type is _S.CRASHED else FlowbookError(said)

    def __str__(self) -> str:
        return f"{self.name}({self.message!r})" if self.message else f"{self.name}()"


def check_transition(run: str, before: State | None, after: State) -> None:
    """Raise IllegalTransition, which tells the run's story, unless `after` may follow `before`."""
    allowed = TRANSITIONS[before.type if before else None]
    if after.type not in allowed:
        was = before.name if before else "not begun"
        raise IllegalTransition(
            f"{run} is {was} and cannot become {after.name}; from there it can become "
            f"{', '.join(sorted(t.capitalize() for t in allowed))}."
        )


def scheduled(message: str | None = None) -> State:
    """The run waits for its time."""
    return State(type=_S.SCHEDULED, name="Scheduled", message=message)


def late() -> State:
    """The run's time has come, and nobody has begun it."""
    return State(type=_S.SCHEDULED, name="Late", message="Its time has come, and no worker has begun it yet.")


PENDING = State(type=_S.PENDING, name="Pending")


def running(attempt: int = 1) -> State:
    """The run executes; from the second attempt on it is called Retrying."""
    return State(type=_S.RUNNING, name="Running" if attempt == 1 else "Retrying", attempt=attempt)


def awaiting_retry(delay: float, attempt: int, after: State) -> State:
    """An attempt ended in the state `after`, and the next begins in `delay` seconds."""
    why = (after.message or after.name).removesuffix(".")
    said = f"Attempt {attempt} failed with {why}. Retrying in {delay:.1f} seconds..."
    return State(type=_S.SCHEDULED, name="AwaitingRetry", message=said, attempt=attempt)


def awaiting_restart(message: str) -> State:
    """The run has ended and is going to be begun anew, by whatever worker is free."""
    return State(type=_S.SCHEDULED, name="AwaitingRetry", message=message)


def completed(data: Any = None, *, attempt: int = 0, name: str = "Completed", message: str | None = None) -> State:
    """The run ended well with the value `data`."""
    return State(type=_S.COMPLETED, name=name, message=message, attempt=attempt, data=data)


def reused(data: Any, details: Mapping[str, Any] | None = None) -> State:
    """The run ended well before it began: with a stored result."""
    return State(type=_S.COMPLETED, name="Cached", message="Reused a stored result.", data=data, details=details)


def failed(error: BaseException, *, attempt: int = 0, message: str | None = None) -> State:
    """The run's code raised `error`; a timeout is a failure named TimedOut."""
    name = "TimedOut" if isinstance(error, TaskTimeoutError) else "Failed"
    return State(type=_S.FAILED, name=name, message=message or describe_error(error), attempt=attempt, data=error)


def crashed(message: str, *, data: BaseException | None = None) -> State:
    """The run's process went away or was told to exit."""
    return State(type=_S.CRASHED, name="Crashed", message=message, data=data)


def cancelled(message: str = "Cancelled by an interrupt.", *, data: BaseException | None = None) -> State:
    """The run was stopped on request."""
    return State(type=_S.CANCELLED, name="Cancelled", message=message, data=data)


def not_ready(message: str) -> State:
    """The run never began, because a run that it needs did not complete."""
    return State(type=_S.CANCELLED, name="NotReady", message=message)


def ended_by(error: BaseException, attempt: int) -> State:
    """The state after `error` in an attempt: a failure, a lost process, an exit, an interrupt, a suspension."""
    if isinstance(error, SuspendRequested):
        return State(type=_S.PAUSED, name="Suspended", message=str(error), attempt=attempt, details=dict(error.details))
    if isinstance(error, WorkerLost):
        return crashed(str(error), data=error)
    if isinstance(error, Exception):
        return failed(error, attempt=attempt)
    if isinstance(error, SystemExit | GeneratorExit):
        return crashed(f"The run was ended by {type(error).__name__}({error}).", data=error)
    return _interrupted(error)


def broken_off(error: BaseException) -> State:
    """The run's execution was broken into between two steps: by an interrupt, else by a fault of flowbook's own."""
    if isinstance(error, Exception):
        return crashed(f"The engine failed while executing the run: {describe_error(error)}", data=error)
    return _interrupted(error)


def _interrupted(error: BaseException) -> State:
    """Cancelled for the reason that the interrupt gives: a request to cancel has one, a cancelled coroutine may."""
    said = str(error) if isinstance(error, CancelRequested) else error.args[0] if error.args else None
    return cancelled(said if isinstance(said, str) and said else "Cancelled by an interrupt.", data=error)


def describe_error(error: BaseException) -> str:
    """``ValueError: no such file`` — the exception's type and first line, at most 500 characters."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # an exception whose own __str__ fails must not hide the failure
        lines = ["(its message could not be shown)"]
    said = plain_text(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)
    return said if len(said) <= 500 else said[:497] + "..."
