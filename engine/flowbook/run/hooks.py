"""The hooks and tags of a task or flow, as its decorator was given them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowbook.core.states import StateType
from flowbook.errors import UsageError


def check_hooks(decorator: str, option: str, hooks: Iterable[Any]) -> None:
    """Raise UsageError unless all `hooks` can be called."""
    for hook in hooks:
        if not callable(hook):
            raise UsageError(f"{decorator}({option}=...) needs a list of functions, but {hook!r} is none.")


def hooks_by_state(**hooks: tuple[Callable[..., Any], ...]) -> Mapping[StateType, tuple[Callable[..., Any], ...]]:
    """The hooks by the type of the state that they are for, without those types that have none."""
    return {StateType[name]: functions for name, functions in hooks.items() if functions}


def tags_of(given: Iterable[str] | None) -> frozenset[str]:
    """The tags as a set; raises UsageError for a single string, whose letters would be taken for tags."""
    if isinstance(given, str):
        raise UsageError(f"tags is {given!r}; give a list of strings, such as [{given!r}].")
    return frozenset(str(tag) for tag in given or ())
