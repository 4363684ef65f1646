"""Tasks and flows in class bodies: methods, class methods and static methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbook.errors import UsageError


def unwrap_method(fn: Any, decorator: str) -> tuple[type | None, Callable[..., Any]]:
    """The function under ``@classmethod`` or ``@staticmethod``, and which of them it was. Raises UsageError."""
    binding = type(fn) if isinstance(fn, classmethod | staticmethod) else None
    function = fn.__func__ if binding is not None else fn
    if not callable(function):
        raise UsageError(f"{decorator} needs a function, not {function!r}.")
    return binding, function


def bind_method(fn: Callable[..., Any], binding: type | None, instance: object, owner: type | None) -> Any:
    """`fn` with its first argument filled in, as Python does when it is taken from an instance or a class."""
    if binding is staticmethod:
        return fn
    if binding is classmethod:
        return fn.__get__(owner if owner is not None else type(instance))
    return fn if instance is None else fn.__get__(instance, owner)
