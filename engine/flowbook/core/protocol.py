"""The life of a task run, and the life of a flow run: one page each.

A life is a generator. It *yields effects*, is sent their outcomes and returns the final state. It never touches a
clock, a thread or the store; the drivers in :mod:`flowbook.run` do that, each in its own way (in the calling thread,
on a running event loop, in a pool of threads), so that the rules stand here once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from flowbook.core.backoff import jittered
from flowbook.core.states import (
    PENDING,
    State,
    awaiting_retry,
    cancelled,
    completed,
    crashed,
    failed,
    running,
)


@dataclass(frozen=True, slots=True)
class Enter:
    """Record that the run enters `state`. Outcome: the state with its time."""

    state: State


@dataclass(frozen=True, slots=True)
class Call:
    """Call the user's function. Outcome: Returned or Raised."""

    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let `seconds` pass. Outcome: None, or Raised when interrupted meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look for a stored result of the same work. Outcome: Returned with it, or None."""


@dataclass(frozen=True, slots=True)
class Save:
    """Store the result for later runs. Outcome: None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait for what the flow has submitted, and for futures in what it returned. Outcome: the flow's final state."""

    value: Any


Effect = Enter | Call | Sleep | LookUp | Save | Settle


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned `value`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The function, or the wait, ended with `error`."""

    error: BaseException


Life = Generator[Effect, Any, State]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What decides the course of a run. `delays` are the seconds before each retry, so their number is `retries`."""

    delays: tuple[float, ...] = ()
    jitter: float | None = None
    retry_if: Callable[[BaseException], bool] | None = None
    timeout: float | None = None
    cached: bool = False
    uniform: Callable[[], float] = lambda: 0.0


def task_life(rules: Rules) -> Life:
    """One task run: from the cache if it can, else attempts until one returns or the retries are used up."""
    if rules.cached:
        found = yield LookUp()
        if found is not None:
            return (yield from _end(completed(found.value, name="Cached", message="Reused a stored result.")))
    attempt = 1
    while True:
        yield Enter(running(attempt))
        outcome = yield Call(rules.timeout)
        if isinstance(outcome, Returned):
            if rules.cached:
                yield Save(outcome.value)
            return (yield from _end(completed(outcome.value, attempt=attempt)))
        ending = yield from _after_failure(rules, attempt, outcome.error)
        if ending is not None:
            return ending
        attempt += 1


def flow_life(rules: Rules) -> Life:
    """One flow run: like a task run, but its final state follows from what it submitted and returned."""
    yield Enter(PENDING)
    attempt = 1
    while True:
        yield Enter(running(attempt))
        outcome = yield Call(rules.timeout)
        if isinstance(outcome, Returned):
            settled: State = yield Settle(outcome.value)
            if not settled.is_failed() or attempt > len(rules.delays):
                return (yield from _end(settled))
            outcome = Raised(settled.result(raise_on_failure=False))
        ending = yield from _after_failure(rules, attempt, outcome.error)
        if ending is not None:
            return ending
        attempt += 1


def _end(state: State) -> Generator[Effect, Any, State]:
    """Enter the final state `state`."""
    entered: State = yield Enter(state)
    return entered


def _after_failure(rules: Rules, attempt: int, error: BaseException) -> Generator[Effect, Any, State | None]:
    """Enter the final state that `error` leads to; or wait for the retry and return None."""
    if not isinstance(error, Exception):
        return (yield from _end(_ended_by(error)))
    if attempt > len(rules.delays) or not (rules.retry_if is None or rules.retry_if(error)):
        return (yield from _end(failed(error, attempt=attempt)))
    delay = jittered(rules.delays[attempt - 1], rules.jitter, rules.uniform())
    yield Enter(awaiting_retry(delay, attempt, error))
    if delay > 0:
        interrupted = yield Sleep(delay)
        if interrupted is not None:
            return (yield from _end(_ended_by(interrupted.error)))
    return None


def _ended_by(error: BaseException) -> State:
    """The state after something that is no ordinary failure: an interrupt, a cancelled coroutine, an exit."""
    if isinstance(error, SystemExit | GeneratorExit):
        return crashed(f"The run was ended by {type(error).__name__}({error}).", data=error)
    return cancelled(data=error)
