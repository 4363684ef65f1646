"""Objects that are nothing but their attributes: what they hold, and how one becomes like another one in place."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import is_
from types import ModuleType
from typing import Any

from flowbook.core.fingerprints.ownership import is_own_class

Of = Callable[[Any], Any]
"""Gives what is to stand in the place of an object."""

ATOMS: frozenset[type] = frozenset((bool, int, float, complex, str, bytes, type(None), range, ModuleType))
"""Types of objects that hold nothing and that nobody can change."""
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that is written in Python


class Kind:
    """Objects that are nothing but their attributes, and what others have in common with them."""

    is_ordered = True
    """Whether a copy of such an object in another process has its parts in the same order."""
    can_change = True

    def parts(self, value: Any) -> Iterable[Any]:
        """What it holds, and its class."""
        return [*attributes(value).values(), *_class_of(value)]

    def replace(self, value: Any, of: Of) -> None:
        """Have it hold ``of(part)`` in the place of each part."""
        for name, part in attributes(value).items():
            if (other := of(part)) is not part:
                _set(value, name, other)

    def fits(self, old: Any, new: Any) -> bool:
        """Whether `old` can become like `new`, which is of the same type."""
        # One of a library frees something when it goes, which the other one would go on with.
        return not hasattr(type(old), "__del__") or is_own_class(type(old))

    def become(self, old: Any, new: Any) -> None:
        """Make `old` like `new`. What is alike already is left alone: others may be looking at it."""
        before, now = attributes(old), attributes(new)
        for name in before.keys() - now.keys():
            _delete(old, name)
        if list(before) != list(now) and hasattr(old, "__dict__"):
            vars(old).clear()  # their order counts, too
            before = {}
        for name, value in now.items():
            if name not in before or not are_alike(before[name], value):
                _set(old, name, value)


class Whole(Kind):
    """Objects in C that can be set to the state of another one."""

    def __init__(self, become: Callable[[Any, Any], None]) -> None:
        self._become = become

    def parts(self, value: Any) -> Iterable[Any]:
        return ()

    def replace(self, value: Any, of: Of) -> None:
        pass

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        self._become(old, new)


class Fixed(Kind):
    """Objects that cannot be changed, but hold some that can: another one is made that holds others."""

    can_change = False

    def __init__(self, parts: Callable[[Any], Iterable[Any]], make: Callable[[Any, list[Any]], Any]) -> None:
        self._parts, self._make = parts, make

    def parts(self, value: Any) -> Iterable[Any]:
        return self._parts(value)

    def replace(self, value: Any, of: Of) -> None:
        pass

    def fits(self, old: Any, new: Any) -> bool:
        return False

    def with_parts(self, value: Any, of: Of) -> Any:
        """The same with ``of(part)`` in the place of each part; itself if that makes no difference."""
        before = list(self._parts(value))
        now = list(map(of, before))
        return value if all(map(is_, before, now)) else self._make(value, now)


class Inner(Kind):
    """Objects of which a copy in another process need not hold the same."""

    is_ordered = False


def attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object, in its dict and its slots."""
    found = dict(getattr(value, "__dict__", ()))
    for name in _slots_of(type(value)):
        with suppress(AttributeError):
            found[name] = object.__getattribute__(value, name)
    return found


def _slots_of(kind: type) -> list[str]:
    return copyreg._slotnames(kind)  # type: ignore[attr-defined,no-any-return]  # as pickling finds them, and keeps them


def _set(value: Any, name: str, part: Any) -> None:
    if name in _slots_of(type(value)):
        object.__setattr__(value, name, part)  # also of a frozen dataclass
    else:
        value.__dict__[name] = part


def _delete(value: Any, name: str) -> None:
    if name in _slots_of(type(value)):
        object.__delattr__(value, name)
    else:
        del value.__dict__[name]


def _class_of(value: Any) -> tuple[type, ...]:
    return (type(value),) if type(value).__flags__ & HEAP_TYPE else ()


def are_alike(one: Any, other: Any) -> bool:
    """Whether one is the other, or equals it and is an atom."""
    return one is other or (type(one) is type(other) and type(one) in _EXACT and one == other)


_EXACT = ATOMS - {float, complex}  # 0.0 equals -0.0


def all_alike(some: list[Any], others: list[Any]) -> bool:
    """Whether they are alike one by one."""
    return len(some) == len(others) and all(map(are_alike, some, others))
