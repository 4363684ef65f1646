"""What follows from what the user's code returned, and what a run takes of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flowbook.core.annotations import allow_failure
from flowbook.core.jsonable import plain_name
from flowbook.core.states import State, completed, failed
from flowbook.errors import UpstreamTaskError, UsageError
from flowbook.run.future import Future, replace_futures


def run_name(template: str | Callable[..., str], parameters: Mapping[str, Any], option: str) -> str:
    """The name that a template or a function gives to a run with these parameters. Raises UsageError."""
    if callable(template):
        import inspect

        takes_them = "parameters" in inspect.signature(template).parameters
        name = template(parameters=dict(parameters)) if takes_them else template()
    else:
        try:
            name = template.format(**parameters)
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise UsageError(
                f"{option} is {template!r}, which cannot be filled in: {error!r}. "
                f"It may name {', '.join(map(repr, parameters)) or 'no parameter'}."
            ) from None
    if not isinstance(name, str) or not name:
        raise UsageError(f"{option} gave {name!r}; it must give a string that is not empty.")
    return plain_name(name)


def answer(state: State, return_state: bool) -> Any:
    """What the caller of a task or flow is given when its run has ended in `state`."""
    return state if return_state and not state.ended_by_interrupt() else state.result()


def settled(value: Any) -> State:
    """The state that follows from what a function returned, by Prefect's rules: a value, a state, futures, lists."""
    if isinstance(value, State):
        if not value.is_final():
            said = f"It returned the state {value}, which is no end; return Completed(...) or Failed(...) instead."
            return failed(UsageError(said), message=said)
        return replace(value, time=None)
    ends: list[State] = []

    def ended(found: Future[Any] | State | allow_failure[Any]) -> Any:
        if isinstance(found, allow_failure):
            return replace_futures(found.value, _end_of)
        if isinstance(found, Future):
            found.wait()
            found = found.state
        ends.append(found)
        return found.result(raise_on_failure=False)

    resolved = replace_futures(value, ended)
    bad = [state for state in ends if not state.is_completed()]
    if not bad:
        return completed(resolved)
    error = bad[0].result(raise_on_failure=False)
    return failed(error, message=f"{len(bad)}/{len(ends)} of the returned runs did not complete: {bad[0].message}")


def result_of(found: Future[Any] | State | allow_failure[Any]) -> Any:
    """What the run returned, waiting for it; raises UpstreamTaskError if it did not complete."""
    if isinstance(found, allow_failure):
        return replace_futures(found.value, _end_of)
    if isinstance(found, Future):
        found.wait()
        name, state = found.name, found.state
    else:
        name, state = "given as a state", found
    if not state.is_completed():
        why = f": {state.message}" if state.message and state.is_failed() else "."
        raise UpstreamTaskError(f"It needs the result of task run {name!r}, which is {state.name}{why}")
    return state.result()


def _end_of(found: Future[Any] | State | allow_failure[Any]) -> Any:
    """What the run returned, or the exception that it ended with."""
    if isinstance(found, allow_failure):
        return replace_futures(found.value, _end_of)
    return found.result(raise_on_failure=False)
