"""Flow runs that wait for a person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbook.core.states import State, StateType, running
from flowbook.errors import FlowPauseTimeout, ParameterError, SuspendRequested, UsageError
from flowbook.run.blocking import may_block, release

if TYPE_CHECKING:
    from concurrent.futures import Future as Promise

    from flowbook.run.asked import Asked
    from flowbook.run.flow_execution import FlowExecution

Shown = Callable[["Pause"], AbstractContextManager[Any]]
"""How a person is told of a pause for as long as it lasts."""


class Pauses:
    """The pauses of one flow run: the one that goes on, and the answers to those before."""

    def __init__(self, run: FlowExecution) -> None:
        self._run = run
        self._answers: dict[str, Any] = {}
        self._count = 0
        self._attempt = 0
        self.current: Pause | None = None

    def begin(self, asked: Asked | None, timeout: float | None, key: str | None) -> Pause | None:
        """A pause of the run; None if the one with that key was answered before.

        Without a key it is the number of the pause within the attempt, so that a retried flow does not ask twice.
        """
        run = self._run
        if self.current is not None:
            raise UsageError(f"{run.title} is paused already, by another thread of it; let that one resume first.")
        attempt = run.state.attempt if run.state else 0
        if attempt != self._attempt:
            self._attempt, self._count = attempt, 0
        self._count += 1
        key = str(self._count) if key is None else key
        return None if key in self._answers else Pause(run, asked, timeout, key)

    def answer_to(self, key: str | None) -> Any:
        """What the pause with that key was answered, some time before."""
        return self._answers[str(self._count) if key is None else key]

    def suspend(self, pause: Pause, answers: Sequence[Mapping[str, Any]]) -> Any:
        """What the run was answered while it was suspended by this pause. If it was not, it is suspended now.

        Raises SuspendRequested, which ends the run's code; whoever executes the run anew comes here again.
        """
        said = pause.message()
        for answer in answers:
            if answer["key"] == pause.key:
                try:
                    value = pause.checked(answer.get("input"), texts=bool(answer.get("texts")))
                except (ParameterError, UsageError) as error:
                    said = f"{error} {pause.message()}"
                else:
                    self.keep(pause, value)
                    return value
        raise SuspendRequested(said, {**pause.details(), "key": pause.key})

    def keep(self, pause: Pause, answer: Any) -> None:
        """The pause was answered."""
        self._answers[pause.key] = answer

    def resume(self, data: Mapping[str, Any]) -> None:
        """Have the run go on as a request says: with its ``input``, on the word of ``by``.

        Raises UsageError if it is not paused.
        """
        pause = self.current
        if pause is None:
            raise not_paused(self._run.title, self._run.state)
        pause.answer(data.get("input"), by=data["by"], texts=bool(data.get("texts")))


class Pause:
    """One pause of a flow run. `title` is the run's, `asked` the input that it waits for, if any."""

    def __init__(self, run: FlowExecution, asked: Asked | None, timeout: float | None, key: str) -> None:
        from concurrent.futures import Future as Promise

        self.title = f"{run.kind.lower()} {run.name!r}"
        self.flow_run_id = run.id
        self.asked = asked
        self.timeout = timeout
        self.key = key
        self._run = run
        self._promise: Promise[tuple[Any, str]] = Promise()

    def answer(self, given: Mapping[str, Any] | None, *, by: str, texts: bool = False) -> None:
        """End the pause. Raises ParameterError for an input that does not fit, and UsageError if it is over."""
        from concurrent.futures import InvalidStateError

        value = self.checked(given, texts=texts)
        try:
            self._promise.set_result((value, by))
        except InvalidStateError:
            raise not_paused(self._run.title, self._run.state) from None

    def when_over(self, call: Callable[[], None]) -> None:
        """Have `call` called, in whatever thread, when the pause was answered or given up."""
        self._promise.add_done_callback(lambda _: call())

    def wait(self, shown: Shown) -> Any:
        """Return the answer; the calling thread waits for it. Raises FlowPauseTimeout."""
        answered = threading.Lock()
        answered.acquire()
        self._promise.add_done_callback(lambda _: release(answered))
        wake, timeout = (lambda: release(answered)), -1 if self.timeout is None else self.timeout
        with self._entered(), shown(self):
            with may_block(wake, self._promise.done):
                answered.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))
            return self._outcome()

    async def awaited(self, shown: Shown) -> Any:
        """`wait`, on a running event loop."""
        import asyncio

        with self._entered(), shown(self):
            await asyncio.wait([asyncio.wrap_future(self._promise)], timeout=self.timeout)
            return self._outcome()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """While inside, the run is paused."""
        attempt = self._run.state.attempt if self._run.state else 0
        paused = State(
            type=StateType.PAUSED, name="Paused", attempt=attempt, message=self.message(), details=self.details()
        )
        self._run.pauses.current = self
        try:
            self._run.enter(paused)
            yield
        finally:
            self._run.pauses.current = None
            self._promise.cancel()  # it may be over without an answer

    def how_to_resume(self) -> str:
        """The command that resumes the run."""
        fields = self.asked.fields() if self.asked is not None else ()
        options = [f" --input {field.name}=..." for field in fields if field.required]
        return f"flowbook runs resume {self.flow_run_id}{''.join(options)}"

    def details(self) -> dict[str, Any]:
        """What the state of the paused run records."""
        said: dict[str, Any] = {"timeout": self.timeout}
        if self.asked is not None:
            said["input"] = {"schema": self.asked.schema(), "description": self.asked.description}
        return said

    def message(self) -> str:
        """What the run waits for."""
        return "Waiting for input." if self.asked is not None else "Waiting to be resumed."

    def checked(self, given: Mapping[str, Any] | None, *, texts: bool) -> Any:
        if self.asked is not None:
            return self.asked.value_of(given or {}, self.title, texts=texts)
        if given:
            raise UsageError(f"{self._run.title} does not wait for an input; resume it without.")
        return None

    def _outcome(self) -> Any:
        """The answer, with which the run goes on."""
        run = self._run
        attempt = run.state.attempt if run.state else 0
        if self._promise.cancel():  # which is too late for one that was answered
            said = f"{run.title} was paused, and nobody resumed it within {self.timeout:g} seconds."
            run.enter(replace(running(attempt), message=said))
            raise FlowPauseTimeout(said)
        value, by = self._promise.result()
        run.enter(replace(running(attempt), message=f"Resumed by {by}."))
        run.pauses.keep(self, value)
        return value


def not_paused(title: str, state: State | None) -> UsageError:
    """The error for a run that was to be resumed and is not paused."""
    return UsageError(f"{title} is not paused: it is {state.name if state else 'not begun'}.")
