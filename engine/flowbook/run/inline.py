"""The driver that performs a life in the calling thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flowbook.core.protocol import Call, Effect, Life, Raised, Sleep
from flowbook.core.states import State
from flowbook.run.execution import Execution
from flowbook.run.future import Future
from flowbook.run.later import Later
from flowbook.run.runner import Runner
from flowbook.run.task_execution import TaskExecution


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
    with run.recorder.clock.at_work():
        return _drive(run)


def drive_task(run: TaskExecution) -> State:
    """Like `drive`, after waiting for the inputs of the task run; without them it does not begin."""
    with run.recorder.clock.at_work():
        try:
            end = run.prepare()
        except BaseException as error:
            run.break_off(error)
            raise
        return _drive(run) if end is None else run.enter(end)


def _drive(run: Execution) -> State:
    life = run.life()
    outcome: Any = None
    try:
        while True:
            outcome = _passed(run, step(run, life, outcome))
    except StopIteration as end:
        state: State = end.value
        return state
    except BaseException as error:
        run.break_off(error)
        raise


class Sequential:
    """The runner that executes each task run as it is submitted."""

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        state = drive_task(run)
        if isinstance(state.data, BaseException) and not isinstance(state.data, Exception):
            raise state.data  # an interrupt ends the flow as well

    def close(self, error: BaseException | None = None) -> None:
        """Nothing is left to wait for."""


_everything_inline = False


@contextmanager
def everything_inline(yes: bool = True) -> Iterator[None]:
    """Inside, runners that are started are sequential, whatever they were meant to be, in all threads."""
    global _everything_inline
    before, _everything_inline = _everything_inline, yes
    try:
        yield
    finally:
        _everything_inline = before


def started(start: Callable[[], Runner]) -> Runner:
    """The runner that `start` gives, unless everything is to be executed inline."""
    return Sequential() if _everything_inline else start()


def performed(run: Execution, effect: Effect) -> Any:
    """The outcome of an effect that is no call, waited for in this thread if it takes its time."""
    outcome = effect if type(effect) is Sleep else run.perform(effect)
    return _passed(run, outcome) if isinstance(outcome, Sleep | Later) else outcome


def _passed(run: Execution, effect: Sleep | Later) -> Any:
    """The outcome of what takes its time, waited for in this thread."""
    try:
        if isinstance(effect, Later):
            return effect.wait()
        run.recorder.clock.pause(effect.seconds)
    except BaseException as error:
        return Raised(error)
    return None
