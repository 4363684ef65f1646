"""Functions, classes and their variables: what they keep from one use to the next, and what was changed of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from types import FunctionType
from typing import Any, NamedTuple

from flowbook.run.pickles import is_importable
from flowbook_magics.kinds import Kind, Of

_OF_PYTHON = frozenset(
    "__abstractmethods__ __annotations__ __dict__ __doc__ __module__ __slotnames__ __weakref__ _abc_impl".split()
)
"""What Python keeps in the namespace of a class."""


class FunctionKind(Kind):
    """A function of the user's: what it keeps from one call to the next."""

    def parts(self, value: Any) -> Iterable[Any]:
        if not is_by_value(value):
            return ()
        return [
            value.__dict__,
            *(value.__defaults__ or ()),
            *(value.__kwdefaults__ or {}).values(),
            *(value.__closure__ or ()),
        ]

    def replace(self, value: Any, of: Of) -> None:
        if not is_by_value(value):
            return
        value.__defaults__ = value.__defaults__ and tuple(map(of, value.__defaults__))
        if value.__kwdefaults__:
            value.__kwdefaults__ = {name: of(part) for name, part in value.__kwdefaults__.items()}

    def fits(self, old: Any, new: Any) -> bool:
        return False


class ClassKind(Kind):
    """A class of the user's: what it keeps for all of its objects, and what its methods keep."""

    def parts(self, value: Any) -> Iterable[Any]:
        if not is_by_value(value) or issubclass(value, Enum):
            return ()
        return [*(part for _, part in sorted(class_attributes(value).items())), *value.__mro__[1:], type(value)]

    def replace(self, value: Any, of: Of) -> None:
        for name, part in class_attributes(value).items() if is_by_value(value) else ():
            if (other := of(part)) is not part:
                type.__setattr__(value, name, other)

    def fits(self, old: Any, new: Any) -> bool:
        return False


class CellKind(Kind):
    """A variable of a function that functions in it share."""

    def parts(self, value: Any) -> Iterable[Any]:
        with suppress(ValueError):  # nothing is bound to it yet
            return (value.cell_contents,)
        return ()

    def replace(self, value: Any, of: Of) -> None:
        with suppress(ValueError):
            value.cell_contents = of(value.cell_contents)

    def become(self, old: Any, new: Any) -> None:
        try:
            old.cell_contents = new.cell_contents
        except ValueError:
            del old.cell_contents


class Changes(NamedTuple):
    """What of a class or function has been bound and unbound."""

    bound: Mapping[str, Any]
    unbound: Iterable[str]

    @classmethod
    def since(cls, before: Mapping[str, Any], of: type | FunctionType) -> Changes | None:
        """What has changed since `bound_to` gave `before`; None if nothing has."""
        now = bound_to(of)
        bound = {name: value for name, value in now.items() if name not in before or before[name] is not value}
        unbound = before.keys() - now.keys()
        return cls(bound, tuple(unbound)) if bound or unbound else None

    def apply(self, to: type | FunctionType, of: Of) -> None:
        """Do the same to the class or function here, with ``of(value)`` for each value."""
        for name, value in self.bound.items():
            (type.__setattr__ if isinstance(to, type) else setattr)(to, name, of(value))
        for name in self.unbound:
            with suppress(AttributeError):
                delattr(to, name)


def bound_to(code: type | FunctionType) -> dict[str, Any]:
    """What a class or function consists of."""
    return class_attributes(code) if isinstance(code, type) else {name: getattr(code, name) for name in _OF_FUNCTIONS}


_OF_FUNCTIONS = ("__code__", "__defaults__", "__kwdefaults__", "__doc__", "__name__", "__qualname__")


def class_attributes(value: type) -> dict[str, Any]:
    """What the user has put into the namespace of a class."""
    return {name: part for name, part in vars(value).items() if name not in _OF_PYTHON}


def is_by_value(code: Any) -> bool:
    """Whether such a function or class goes to another process with all that it holds, not by its name."""
    return "<locals>" in code.__qualname__ or not is_importable(code.__module__)
