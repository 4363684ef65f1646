"""The driver that performs a life in the calling thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowbook.core.protocol import Call, Life, Raised, Sleep
from flowbook.core.states import State
from flowbook.run.blocking import pause
from flowbook.run.execution import Execution, TaskExecution
from flowbook.run.future import Future
from flowbook.run.later import Later


def step(run: Execution, life: Life, outcome: Any) -> Sleep | Later:
    """Send `outcome` to the life and perform what follows, up to what takes its time without a thread.

    That is returned: a sleep, or an outcome that comes later.

    Raises StopIteration with the final state at the end of the life.
    """
    while True:
        effect = life.send(outcome)
        if type(effect) is Sleep:
            return effect
        outcome = run.call(effect) if type(effect) is Call else run.perform(effect)
        if type(outcome) is Later:
            return outcome


def drive(run: Execution) -> State:
    """Execute `run` to its end, here and now; returns the final state."""
    life = run.life()
    outcome: Any = None
    try:
        while True:
            outcome = _passed(step(run, life, outcome))
    except StopIteration as end:
        state: State = end.value
        return state
    except BaseException as error:
        run.break_off(error)
        raise


def drive_task(run: TaskExecution) -> State:
    """Like `drive`, after waiting for the inputs of the task run; without them it does not begin."""
    try:
        end = run.prepare()
    except BaseException as error:
        run.break_off(error)
        raise
    return drive(run) if end is None else run.enter(end)


class Sequential:
    """The runner that executes each task run as it is submitted."""

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        state = drive_task(run)
        if isinstance(state.data, BaseException) and not isinstance(state.data, Exception):
            raise state.data  # an interrupt ends the flow as well

    def close(self, error: BaseException | None = None) -> None:
        """Nothing is left to wait for."""


def _passed(effect: Sleep | Later) -> Any:
    """The outcome of what takes its time, waited for in this thread."""
    try:
        if isinstance(effect, Later):
            return effect.wait()
        pause(effect.seconds)
    except BaseException as error:
        return Raised(error)
    return None
