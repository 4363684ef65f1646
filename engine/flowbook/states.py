"""States of runs, under the names that Prefect 3 gives them."""

from __future__ import annotations

from typing import Any

from flowbook.core.states import State, StateType

__all__ = [
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Late",
    "Paused",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
]


def _constructor(type_: StateType, name: str, meaning: str) -> Any:
    def construct(*, message: str | None = None, data: Any = None) -> State:
        return State(type=type_, name=name, message=message, data=data)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = f"A state {name}: {meaning}"
    return construct


Scheduled = _constructor(StateType.SCHEDULED, "Scheduled", "the run waits for its time.")
Late = _constructor(StateType.SCHEDULED, "Late", "the run's time has come and nothing has begun it.")
AwaitingRetry = _constructor(StateType.SCHEDULED, "AwaitingRetry", "an attempt failed and another follows.")
Pending = _constructor(StateType.PENDING, "Pending", "the run was asked for and has not begun.")
Running = _constructor(StateType.RUNNING, "Running", "the run executes.")
Retrying = _constructor(StateType.RUNNING, "Retrying", "the run executes again after a failure.")
Paused = _constructor(StateType.PAUSED, "Paused", "the run waits for somebody to resume it.")
Cancelling = _constructor(StateType.CANCELLING, "Cancelling", "the run was asked to stop.")
Cancelled = _constructor(StateType.CANCELLED, "Cancelled", "the run was stopped on request.")
Completed = _constructor(StateType.COMPLETED, "Completed", "the run ended well.")
Failed = _constructor(StateType.FAILED, "Failed", "the run's code failed.")
Crashed = _constructor(StateType.CRASHED, "Crashed", "the run's process went away.")
