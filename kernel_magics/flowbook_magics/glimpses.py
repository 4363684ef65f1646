"""What containers, arrays and objects of the user hold, whole, so that every change of them is found.

A survey looks at samples, as it is made for each run of each cell. In another process all inputs have been copied
anyway, and there what is not found is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from operator import is_
from typing import Any
from zlib import crc32

from flowbook.core.fingerprints.ownership import is_own_class
from flowbook_magics.surveys import Blocks, own_attributes
from flowbook_magics.taken_over import reached

_CONTAINERS = (list, dict, set, deque)


class Glimpses:
    """All of it that can be reached from some values, but not what objects of libraries hold, which fill caches."""

    def __init__(self, values: Iterable[Any]) -> None:
        seen = ((each, _look(each)) for each in reached(values, into=_is_transparent))
        self._looks = [(each, look) for each, look in seen if look is not None]

    def changed(self) -> frozenset[int]:
        """The ids of what holds something else now."""
        return frozenset(id(each) for each, before in self._looks if not _is_same(before, _look(each)))


def _is_transparent(kind: type) -> bool:
    return kind in (tuple, frozenset, *_CONTAINERS) or is_own_class(kind)


def _look(value: Any) -> list[Any] | None:
    kind = type(value)
    if kind is dict:
        return [*value, *value.values()]
    if kind in _CONTAINERS:
        return list(value)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return _of_array(value)
    if hasattr(kind, "_update_inplace") and kind.__module__.partition(".")[0] == "pandas":
        arrays = [block.values for block in value._mgr.blocks]
        return [*value._mgr.axes, Blocks(tuple(map(_token, _of_array(each))) for each in arrays)]
    if is_own_class(kind) and not isinstance(value, type | tuple):
        items = list(kind.__iter__(value)) if isinstance(value, list | set | deque) else []
        items += dict.items(value) if isinstance(value, dict) else ()
        return [*own_attributes(value, kind).values(), *items]
    return None


def _of_array(array: Any) -> list[Any]:
    """A checksum of its content; of one of objects these."""
    if not hasattr(array, "flat"):
        return []  # an extension of pandas'
    if array.dtype.hasobject:
        return array.ravel().tolist()  # type: ignore[no-any-return]
    contiguous = array if array.flags.c_contiguous else array.copy(order="C")
    return [array.shape, crc32(contiguous.reshape(-1).view("u1"))]


def _token(part: Any) -> Any:
    return part if type(part) in _COMPARED else id(part)


_COMPARED = (int, str, tuple, Blocks)


def _is_same(before: list[Any], now: list[Any] | None) -> bool:
    if now is None or len(before) != len(now):
        return False
    return all(map(is_, before, now)) or all(map(_is_equal, before, now))


def _is_equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _COMPARED and one == other)
