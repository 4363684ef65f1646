"""Objects that were changed in another process, where they were copies: the ones here become like them.

So all that shares them here sees the change: other names, containers that hold them, views of arrays.
"""

from __future__ import annotations

import sys
from collections import deque
from operator import is_
from typing import Any

_NOTHING = object()
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that is written in Python


class Takeover:
    """Makes objects like copies of them that were changed; what a copy holds twice is one object here, too."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}

    def of(self, old: Any, new: Any) -> Any:
        """The object that stands for `new` here: `old`, changed in place, where that can be."""
        if (known := self._done.get(id(new))) is not None:
            return known[0]
        if old is new or type(old) is not type(new):
            return new
        if type(old) is tuple:
            parts = (*map(self.of, old, new), *new[len(old) :])
            return old if len(parts) == len(old) and all(map(is_, parts, old)) else parts
        become = _how(old)
        if become is None:
            return new
        self._done[id(new)] = old, new  # it is kept alive, so that no other one has its id
        try:
            become(self, old, new)
        except Exception:  # an array that cannot be written to, a container of the user's that refuses
            self._done[id(new)] = new, new
        return self._done[id(new)][0]

    def list(self, old: list[Any], new: list[Any]) -> None:
        """Item by item, as far as there are both."""
        old[:] = [*map(self.of, old, new), *new[len(old) :]]

    def deque(self, old: deque[Any], new: deque[Any]) -> None:
        """The same of a deque."""
        items = [*map(self.of, old, new), *list(new)[len(old) :]]
        old.clear()
        old.extend(items)

    def dict(self, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        """Key by key."""
        items = {key: self.of(old.get(key, _NOTHING), value) for key, value in new.items()}
        old.clear()
        old.update(items)

    def set(self, old: set[Any], new: set[Any]) -> None:
        """The items, which cannot be changed themselves."""
        old.clear()
        old |= new

    def array(self, old: Any, new: Any) -> None:
        """The content, so that views of it see the change; raises ValueError for another shape or a fixed content."""
        if old.dtype != new.dtype or old.shape != new.shape:
            raise ValueError("it has another shape")
        old[...] = new

    def table(self, old: Any, new: Any) -> None:
        """The same of a table or a column of pandas, as its own methods do with ``inplace=True``."""
        old._update_inplace(new)

    def object(self, old: Any, new: Any) -> None:
        """Attribute by attribute."""
        self.dict(vars(old), vars(new))


def _how(value: Any) -> Any:
    """The method of `Takeover` that changes such an object; None if it is to be replaced."""
    kind = type(value)
    for known, become in _CONTAINERS.items():
        if kind is known:
            return become
    if hasattr(value, "_update_inplace") and kind.__module__.partition(".")[0] == "pandas":
        return Takeover.table
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.ndarray:
        return Takeover.array
    is_plain = all(each is object or each.__flags__ & _HEAP_TYPE for each in kind.__mro__)
    return Takeover.object if is_plain and hasattr(value, "__dict__") and not isinstance(value, type) else None


_CONTAINERS: dict[type, Any] = {
    list: Takeover.list,
    dict: Takeover.dict,
    set: Takeover.set,
    deque: Takeover.deque,
    bytearray: lambda _self, old, new: old.__setitem__(slice(None), new),
}
