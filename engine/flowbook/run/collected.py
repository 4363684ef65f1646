"""Generator functions as functions that return the list of their values: what is submitted is not iterated."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any


def collected(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function, or coroutine function, that returns what the generator function `fn` yields; other `fn` as it is."""
    if inspect.isgeneratorfunction(fn):
        return Collected(fn)
    return AsyncCollected(fn) if inspect.isasyncgenfunction(fn) else fn


class Collected:
    """Returns the values of a generator function as a list. A class, so that it can be pickled as its function can."""

    def __init__(self, fn: Callable[..., Generator[Any, Any, Any]]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> list[Any]:
        return list(self.fn(*args, **kwargs))


class AsyncCollected:
    """Returns the values of an async generator function as a list."""

    def __init__(self, fn: Callable[..., AsyncGenerator[Any, Any]]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, list[Any]]:
        return self._collect(args, kwargs)

    async def _collect(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        return [value async for value in self.fn(*args, **kwargs)]
