"""The life of a task run, and the life of a flow run: one page each.

A life is a generator. It *yields effects*, is sent their outcomes and returns the final state. It never touches a
clock, a thread or the store; the drivers in :mod:`flowbook.run` do that, each in its own way (in the calling thread,
on a running event loop, in a pool of threads), so that the rules stand here once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from flowbook.core.backoff import jittered
from flowbook.core.states import PENDING, State, awaiting_retry, ended_by, reused, running
from flowbook.core.storage import Found


class Enter(NamedTuple):
    """Record that the run enters `state`, and run the hooks for it. Outcome: the state with its time."""

    state: State


class Call(NamedTuple):
    """Call the user's function. Outcome: Returned or Raised."""

    timeout: float | None = None


class Sleep(NamedTuple):
    """Let `seconds` pass. Outcome: None, or Raised when interrupted meanwhile."""

    seconds: float


class TakeSlots(NamedTuple):
    """Take the slots of the run's limit number `limit`. Outcome: None, or Raised when interrupted meanwhile.

    They are given back as the run leaves the state Running.
    """

    limit: int


class LookUp(NamedTuple):
    """Look for a stored result of the same work. Outcome: Found, or None."""


class Save(NamedTuple):
    """Store the result of a completed run. Outcome: the state to enter, which may refer to what is stored."""

    state: State


class Settle(NamedTuple):
    """Wait for the runs in what the function returned. Outcome: the state that follows from it."""

    value: Any


class MayRetry(NamedTuple):
    """Ask the user's condition whether the run, which is about to be `state`, may be retried. Outcome: a bool."""

    state: State


Effect = Enter | Call | Sleep | TakeSlots | LookUp | Save | Settle | MayRetry


class Returned(NamedTuple):
    """The function returned `value`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The function, or the wait, ended with `error`."""

    error: BaseException


Life = Generator[Effect, Any, State]

_BEGIN = Enter(running())


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What decides the course of a run. `delays` are the seconds before each retry, so their number is `retries`."""

    delays: tuple[float, ...] = ()
    jitter: float | None = None
    conditional: bool = False
    """Whether the user has a condition for retries."""
    timeout: float | None = None
    kept: bool = False
    """Whether the result is stored, and may be there already."""
    uniform: Callable[[], float] = lambda: 0.0


def task_life(rules: Rules, *, limits: int = 0) -> Life:
    """One task run: from the cache if it can, else attempts until one completes or the retries are used up.

    `limits` is the number of concurrency limits that it is under.
    """
    if rules.kept:
        found: Found | None = yield LookUp()
        if found is not None:
            return (yield from _end(reused(found.value, found.details)))
    attempt = 1
    while True:
        for limit in range(limits):
            interrupted = yield TakeSlots(limit)
            if interrupted is not None:
                return (yield from _end(ended_by(interrupted.error, attempt)))
        yield _BEGIN if attempt == 1 else Enter(running(attempt))
        ending = yield from _attempt(rules, attempt)
        if ending is not None:
            return ending
        attempt += 1


def flow_life(rules: Rules) -> Life:
    """One flow run: attempts like those of a task run, after it was recorded as Pending."""
    yield Enter(PENDING)
    attempt = 1
    while True:
        yield _BEGIN if attempt == 1 else Enter(running(attempt))
        ending = yield from _attempt(rules, attempt)
        if ending is not None:
            return ending
        attempt += 1


def _end(state: State) -> Generator[Effect, Any, State]:
    """Enter the final state `state`."""
    entered: State = yield Enter(state)
    return entered


def _attempt(rules: Rules, attempt: int) -> Generator[Effect, Any, State | None]:
    """Call the function once and enter the final state that follows; or wait for the retry and return None."""
    outcome = yield Call(rules.timeout)
    if isinstance(outcome, Returned):
        state: State = yield Settle(outcome.value)
        if not state.is_failed():
            if rules.kept and state.is_completed():
                state = yield Save(state)
            return (yield from _end(state.at(None, attempt)))
    else:
        state = ended_by(outcome.error, attempt)
    return (yield from _after_failure(rules, attempt, state))


def _after_failure(rules: Rules, attempt: int, state: State) -> Generator[Effect, Any, State | None]:
    """Enter `state`, in which the attempt ended; or wait for the retry and return None."""
    has_retries = attempt <= len(rules.delays) and state.may_be_retried()
    if not has_retries or (rules.conditional and not (yield MayRetry(state))):
        return (yield from _end(state))
    delay = jittered(rules.delays[attempt - 1], rules.jitter, rules.uniform())
    yield Enter(awaiting_retry(delay, attempt, state))
    if delay > 0:
        interrupted = yield Sleep(delay)
        if interrupted is not None:
            return (yield from _end(ended_by(interrupted.error, attempt)))
    return None
