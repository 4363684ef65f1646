"""What a task and a flow have in common: a decorated function, which may be a method, and which may be pickled."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, TypeVar

from flowbook.core.methods import receiver_of, unwrap_method
from flowbook.run.work import Work

H = TypeVar("H", bound=Callable[..., Any])


class Decorated:
    """A function under options, from which its work is made. A task or a flow."""

    receiver: tuple[Any, ...] = ()
    """The instance or class that a method was taken from."""
    options: Any
    work: Work

    def __init__(self, fn: Callable[..., Any], options: Any, decorator: str) -> None:
        self.binding, fn = unwrap_method(fn, decorator)
        wrapper: Any = self  # which its subclasses make callable
        functools.update_wrapper(wrapper, fn)
        self.fn = self._function = fn
        self.options = options
        self.isasync = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
        self.isgenerator = inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)

    def _work(self) -> Work:
        raise NotImplementedError  # pragma: no cover - a task and a flow have their own

    def _add(self, option: str, hook: H) -> H:
        changed: dict[str, Any] = {option: (*getattr(self.options, option), hook)}
        self.options = replace(self.options, **changed)
        self.work = self._work()
        return hook

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """In a class body this is a method: the instance, or the class, is its first argument."""
        receiver = () if self.receiver else receiver_of(self._function, self.binding, instance, owner)
        return self._taken_from(receiver) if receiver else self

    def _taken_from(self, receiver: tuple[Any, ...]) -> Self:
        """The same with the first argument filled in. It shares all else, since methods are taken all the time."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.receiver = receiver
        bound.fn = bound.__dict__["__wrapped__"] = types.MethodType(self._function, receiver[0])
        return bound

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled by name where its module has it under its name, as functions are; else by its parts."""
        from flowbook.run.pickles import name_elsewhere

        return name_elsewhere(self) or super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "work"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.work = self._work()
