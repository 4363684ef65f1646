"""Tasks and flows in class bodies: methods, class methods and static methods."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

from flowbook.errors import UsageError


def unwrap_method(fn: Any, decorator: str) -> tuple[type | None, Callable[..., Any]]:
    """The function under ``@classmethod`` or ``@staticmethod``, and which of them it was. Raises UsageError."""
    binding = type(fn) if isinstance(fn, classmethod | staticmethod) else None
    function = fn.__func__ if binding is not None else fn
    if not callable(function):
        raise UsageError(f"{decorator} needs a function, not {function!r}.")
    return binding, function


def receiver_of(fn: Callable[..., Any], binding: type | None, instance: object, owner: type | None) -> tuple[Any, ...]:
    """What Python puts before the arguments of `fn` when it is taken from an instance or a class; empty for nothing."""
    if binding is classmethod:
        return (owner if owner is not None else type(instance),)
    is_method = binding is None and instance is not None and hasattr(type(fn), "__get__")
    return (instance,) if is_method and not isinstance(fn, _BOUND) else ()


def wrap_method(fn: Callable[..., Any], binding: type | None) -> Any:
    """The inverse of `unwrap_method`."""
    return fn if binding is None else binding(fn)


_BOUND = (MethodType, partial)
"""Callables whose first argument is settled, also in a class body."""
