"""Runs of generator functions: whoever takes the values drives them.

Calling a generator task or flow gives a generator. Its run begins with the first value that is asked for and goes on
as the others are; between two values it stays Running, and nothing of it runs. What the function returns is the result
of the run. A generator that is closed early, or forgotten, completes its run with the result None. When the function
fails and is retried, it is called anew, and its values follow those that were handed on before.

The function has a context of its own (:mod:`contextvars`): the consumer sees neither its current run nor its tags. Its
timeout counts the seconds that its own code takes, not those that the consumer lets pass between two values.
"""

from __future__ import annotations

import _thread
import contextvars
import gc
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

from flowbook.core.protocol import Call, Effect, Life, Raised, Returned
from flowbook.core.states import State, ended_by
from flowbook.errors import IllegalTransition
from flowbook.run.current import current
from flowbook.run.execution import Execution, flowless
from flowbook.run.inline import performed
from flowbook.run.timeouts import OutOfTime

Resume = Callable[[Any], Any]
"""How a suspended generator is made to go on: ``next``, or a call of its ``send``, ``throw`` or ``close``."""

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Yielded:
    """The function handed on `value`, and waits to be resumed."""

    value: Any


def iterate(begin: Callable[[], Execution], answer: Callable[[State], Any]) -> Generator[Any, Any, Any]:
    """The values of the run that `begin` gives as the first of them is asked for; returns the answer to its end."""
    run = begin()
    iteration = Iteration(run)
    advance = run.taking(iteration.advance)
    resume: Resume | None = None
    while advance(resume):
        try:
            sent = yield iteration.take()
        except GeneratorExit:
            _close(iteration)
            raise
        except BaseException as error:
            resume = methodcaller("throw", error)
        else:
            resume = methodcaller("send", sent)
    assert run.state is not None
    return answer(run.state)


class Course:
    """The life of a run, taken from value to value. It says which steps follow; its subclasses perform them."""

    def __init__(self, run: Execution, *, start: Resume, close: Resume) -> None:
        self._run = run
        self._start = start
        self._close = close
        self._steps = self._course()
        self._generator: Any = None
        self._context = contextvars.Context()
        self._timeout: float | None = None
        self._used = 0.0  # seconds of the timeout
        self._value: Any = None
        run.iteration = self

    def take(self) -> Any:
        """The value that it has gone on to, which is not kept."""
        value, self._value = self._value, None
        return value

    def leave(self) -> None:
        """End the run early, as what it belongs to ends; what goes wrong is in its state. Nothing if it goes on now."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    async def aleave(self) -> None:
        """`leave`, on a running event loop."""
        self.leave()

    def _prepare(self) -> Any:
        """Step: get the inputs of the run. Gives the state in which it ends without them, or None."""
        raise NotImplementedError  # pragma: no cover

    def _perform(self, effect: Effect) -> Any:
        """Step: an effect that is no call. Gives its outcome."""
        raise NotImplementedError  # pragma: no cover

    def _go_on(self, how: Resume) -> Any:
        """Step: resume the function. Gives Yielded, Returned or Raised."""
        raise NotImplementedError  # pragma: no cover

    def _conclude(self, outcome: Returned | Raised) -> Any:
        """Step: wait for what the function has begun. Gives the outcome of the call."""
        raise NotImplementedError  # pragma: no cover

    def _course(self) -> Generator[Step | Yielded, Any, None]:
        """Yields steps, and is sent what they give; yields the values, and is sent how the function is to go on."""
        end = yield self._prepare
        if end is not None:
            self._run.enter(end)
            return
        life = self._run.life()
        effect = _next_effect(life)
        while effect is not None:
            if type(effect) is Call:
                outcome = yield from self._call(effect)
            else:
                outcome = yield partial(self._perform, effect)
            effect = None if self._run.has_ended() else _next_effect(life, outcome)

    def _call(self, call: Call) -> Generator[Step | Yielded, Any, Returned | Raised]:
        self._begin_call(call.timeout)
        how: Resume | None = None
        outcome: Yielded | Returned | Raised = yield partial(self._go_on, self._start)
        while isinstance(outcome, Yielded) and how is not self._close:
            self._hand_on(outcome.value)
            how = yield outcome
            if self._run.has_ended():  # its flow run was stopped, say
                how = self._close
            outcome = yield partial(self._go_on, how)
        if isinstance(outcome, Yielded):
            outcome = Returned(None)
        concluded: Returned | Raised = yield partial(self._conclude, outcome)
        if how is self._close and isinstance(concluded, Raised):
            self._fail(concluded.error)
        return concluded

    def _hand_on(self, value: Any) -> None:
        """Make `value` known as one of this run, in the place of those that nobody has kept."""
        if self._run.around is not None:
            self._run.around.producers.release()
        self._run.produced(value)

    def _fail(self, error: BaseException) -> None:
        """End the run with what its function raised as it cleaned up: who closes a generator wants no retry of it."""
        self._run.end_as(ended_by(error, self._run.state.attempt if self._run.state else 0))
        raise error

    def _begin_call(self, timeout: float | None) -> None:
        self._generator = None
        self._context = contextvars.copy_context()
        self._context.run(current.set, self._run)
        self._timeout, self._used = timeout, 0.0

    def _time_left(self) -> float | None:
        return None if self._timeout is None else max(0.0, self._timeout - self._used)

    def _outcome(self, outcome: Returned | Raised, began: float) -> Yielded | Returned | Raised:
        """What the resumed function did, of which `outcome` is what came back; `began` is when, by time.monotonic."""
        self._used += time.monotonic() - began
        if isinstance(outcome, OutOfTime) and self._timeout is not None:
            return OutOfTime(self._run.title, self._timeout)
        if isinstance(outcome, Raised):
            return outcome
        done: Yielded | Returned = outcome.value
        return done

    def _end(self, error: BaseException | None = None) -> None:
        """The run has ended, or is broken off by `error`, which is raised unless the run had ended before."""
        first = self._run.iteration is not None
        self._run.iteration = None
        if error is not None:
            if isinstance(error, IllegalTransition) and self._run.has_ended():
                return
            self._run.break_off(error)
        if first and self._run.siblings is flowless:
            self._run.recorder.flush()
        if error is not None:
            raise error


class Iteration(Course):
    """The life of a run of a generator function, in the threads in which its values are taken."""

    def __init__(self, run: Execution) -> None:
        super().__init__(run, start=next, close=methodcaller("close"))
        self._turn = threading.Lock()
        _watch_collections()

    def advance(self, how: Resume | None) -> bool:
        """Go on to the next value; False when the run has ended."""
        with self._turn:
            return self._advance(how)

    def close(self) -> None:
        """End the run early; raises what its function raises as it cleans up."""
        self.advance(self._close)

    def leave(self) -> None:
        if self._turn.acquire(blocking=False):
            with suppress(Exception):
                self._advance(self._close)
            self._turn.release()

    def _advance(self, sent: Any) -> bool:
        try:
            with self._run.recorder.clock.at_work():
                while type(step := self._steps.send(sent)) is not Yielded:
                    sent = step()  # type: ignore[operator]
        except StopIteration:
            self._end()
            return False
        except BaseException as error:
            self._end(error)
            return False
        self._value = step.value
        return True

    def _prepare(self) -> State | None:
        return self._run.prepare()

    def _perform(self, effect: Effect) -> Any:
        return performed(self._run, effect)

    def _go_on(self, how: Resume) -> Yielded | Returned | Raised:
        began = time.monotonic()
        outcome = self._run.within(self._time_left(), lambda: self._context.run(self._resume, how))
        return self._outcome(outcome, began)

    def _resume(self, how: Resume) -> Yielded | Returned:
        if self._generator is None:
            self._generator = self._run.invoke()
        try:
            return Yielded(how(self._generator))
        except StopIteration as end:
            return Returned(end.value)

    def _conclude(self, outcome: Returned | Raised) -> Returned | Raised:
        return self._run.conclude(outcome)


def _next_effect(life: Life, outcome: Any = None) -> Effect | None:
    """What follows from `outcome`; None at the end."""
    try:
        return life.send(outcome)
    except StopIteration:
        return None


def _close(iteration: Iteration) -> None:
    """End the run of a generator that is closed or forgotten.

    The garbage collector may have come upon it in the middle of anything, also where this thread holds a lock that
    recording needs. Then another thread does it.
    """
    if threading.get_ident() in _collecting:
        _thread.start_new_thread(iteration.leave, ())
    else:
        iteration.close()


_collecting: set[int] = set()
"""The threads that collect garbage at this moment."""


def _watch_collections() -> None:
    if _note_collection not in gc.callbacks:
        gc.callbacks.append(_note_collection)


def _note_collection(phase: str, info: object) -> None:
    (_collecting.add if phase == "start" else _collecting.discard)(threading.get_ident())
