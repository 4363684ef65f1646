"""Objects that a cell has changed in another process, where they were copies: the ones here become like them.

So all that shares them here sees the change: other names, containers that hold them, views of arrays. That is known of
the objects that were passed to the cell by a name. Those that they hold come back as new ones, unless they were passed
by a name, too: which old one each of them was nobody can tell.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from typing import Any

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that is written in Python


class Takeover:
    """Makes the old ones of `pairs` of objects, old and new, like the new ones in place, where that can be."""

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self._old: dict[int, Any] = {}
        self._seen: dict[int, Any] = {}
        """What has been looked at; it is kept alive, so that no other object has its id."""
        changes = []
        for old, new in pairs:
            become = _how(old) if old is not new and type(old) is type(new) else None
            if become is not None:
                self._old[id(new)] = old
                changes.append((become, old, new))
        for become, old, new in changes:
            self._join(new)
            try:
                become(old, new)
            except Exception:  # an array that cannot be written to, a container of the user's that refuses
                del self._old[id(new)]

    def of(self, new: Any) -> Any:
        """The object that stands for `new` here: the old one, or itself, which holds old ones then."""
        return self._old[id(new)] if id(new) in self._old else self._joined(new)

    def _joined(self, new: Any) -> Any:
        if type(new) is tuple:
            parts = tuple(map(self.of, new))
            return new if all(one is other for one, other in zip(parts, new, strict=True)) else parts
        self._join(new)
        return new

    def _join(self, new: Any) -> None:
        """Have a new object hold the old ones in the place of the new ones."""
        if id(new) in self._seen:
            return
        kind = type(new)
        if kind is list or kind is deque:
            self._seen[id(new)] = new
            for index, part in enumerate(new):
                new[index] = self.of(part)
        elif kind is dict or _is_plain(new):
            self._seen[id(new)] = new
            parts = new if kind is dict else vars(new)
            for name, part in list(parts.items()):
                parts[name] = self.of(part)


def _how(value: Any) -> Any:
    """What makes such an object like another one; None if it is to be replaced."""
    kind = type(value)
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]
    if hasattr(value, "_update_inplace") and kind.__module__.partition(".")[0] == "pandas":
        return lambda old, new: old._update_inplace(new)
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.ndarray:
        return _copy_array
    return _copy_attributes if _is_plain(value) else None


def _is_plain(value: Any) -> bool:
    """Whether it is an object that is nothing but its attributes."""
    kind = type(value)
    return (
        hasattr(value, "__dict__")
        and not isinstance(value, type)
        and all(each is object or each.__flags__ & _HEAP_TYPE for each in kind.__mro__)
    )


def _copy_items(old: Any, new: Any) -> None:
    old.clear()
    (old.update if isinstance(old, dict | set) else old.extend)(new)


def _copy_attributes(old: Any, new: Any) -> None:
    _copy_items(vars(old), vars(new))


def _copy_array(old: Any, new: Any) -> None:
    """The content, so that views of it see the change; raises ValueError for another shape or a fixed content."""
    if old.dtype != new.dtype or old.shape != new.shape:
        raise ValueError("it has another shape")
    old[...] = new


_CONTAINERS: dict[type, Any] = dict.fromkeys((list, dict, set, deque, bytearray), _copy_items)
