"""Sketches of objects: two of the same object differ if it was changed in place meanwhile, as far as a glance tells.

A sketch is a length, a shape, and a sample of the content by reference, so it costs microseconds whatever the size. It
keeps what it has sampled alive, and is for the time of one task run.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from operator import length_hint
from types import BuiltinFunctionType, FunctionType, GeneratorType, ModuleType
from typing import Any

from flowbook.core.fingerprints.ownership import is_own_class

_SAMPLE = 32
_DEPTH = 2
_OUR_DICTS = frozenset({"builtins", "collections"})
_FIXED = (bool, int, float, complex, str, bytes, type(None), type, FunctionType, BuiltinFunctionType, ModuleType, range)

Sketch = tuple[Any, ...]


def sketches(values: Mapping[str, Any]) -> dict[str, Sketch]:
    """The sketches of those of the values that can be changed in place."""
    return {name: sketch(value) for name, value in values.items() if not isinstance(value, _FIXED)}


def differs(one: Sketch, other: Sketch) -> bool:
    """Whether two sketches of the same object tell that it was changed."""
    return len(one) != len(other) or any(map(_part_differs, one, other))


def _part_differs(one: Any, other: Any) -> bool:
    if one is other:
        return False
    if type(one) is tuple and type(other) is tuple:
        return differs(one, other)
    if type(one) is _Blocks and type(other) is _Blocks:
        return len(one) == len(other) and differs(one, other)
    if type(one) is not type(other) or not isinstance(one, _FIXED):
        return True
    return bool(one != other) and not (one != one and other != other)  # nan is as it was


def sketch(value: Any, depth: int = _DEPTH) -> Sketch:
    """A glance at an object: of what it holds, the first and the last are looked at to some depth."""
    if isinstance(value, _FIXED):
        return (value,)
    try:
        return _glance(value, depth)
    except Exception:  # an object of the user's that cannot be looked at, or that another thread changes meanwhile
        return ()


def _glance(value: Any, depth: int) -> Sketch:
    kind = type(value)
    if kind is list or kind is tuple or kind is deque:
        return (len(value), *_inner(_ends(value), depth))
    if isinstance(value, dict) and kind.__module__ in _OUR_DICTS:
        items = _ends(value.items())
        return (len(value), *(key for key, _ in items), *_inner((item for _, item in items), depth))
    if kind is set:
        return (len(value), *islice(value, _SAMPLE))
    if kind is bytearray:
        return (len(value), bytes(value[:_SAMPLE]), bytes(value[-_SAMPLE:]))
    if kind is GeneratorType:
        frame = value.gi_frame
        return () if frame is None else (frame.f_lasti, *islice(frame.f_locals.values(), _SAMPLE))
    if (numpy := sys.modules.get("numpy")) is not None and isinstance(value, numpy.ndarray):
        return (*value.shape, value.dtype.str, _content(value))
    if kind.__module__.partition(".")[0] == "pandas" and hasattr(value, "_mgr"):
        return _of_table(value._mgr)
    if hasattr(kind, "__next__"):
        return (length_hint(value, -1),)
    if not is_own_class(kind):
        return ()  # what a library keeps in its objects (locks, caches) changes when they are only used
    state = {name: part for name, part in vars(value).items() if not _is_cached(kind, name)}
    return _glance(state, depth)


def _ends(values: Any) -> list[Any]:
    if len(values) <= _SAMPLE:
        return list(values)
    return [*islice(values, _SAMPLE // 2), *islice(reversed(values), _SAMPLE // 2)]


def _inner(values: Iterable[Any], depth: int) -> list[Any]:
    if not depth:
        return list(values)
    return [value if isinstance(value, _FIXED) else (id(value), sketch(value, depth - 1)) for value in values]


def _is_cached(kind: type, name: str) -> bool:
    """Whether an attribute is one that a mere look at the object stores (``functools.cached_property``)."""
    return name.startswith("__") or "cache" in name or hasattr(type(getattr(kind, name, None)), "__get__")


class _Blocks(tuple[Any, ...]):
    """What lies together in the memory of a table. Another number of blocks is none that differ: pandas joins them
    when a table is only read, and what adds or replaces columns changes the axes or the content."""

    __slots__ = ()


def _of_table(manager: Any) -> Sketch:
    blocks = (_content(block.values) if hasattr(block.values, "flat") else block.values for block in manager.blocks)
    return (*manager.axes, _Blocks(blocks))


def _content(array: Any) -> Any:
    """A sample of the content of an array."""
    step = max(1, array.size // _SAMPLE)
    flat = array.flags.c_contiguous and type(array).__name__ == "ndarray"
    sample = (array.reshape(-1) if flat else array.flat)[::step]
    return tuple(sample.tolist()) if sample.dtype.hasobject else sample.tobytes()
