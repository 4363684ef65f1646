"""Sketches of objects: two of the same object differ if it was changed in place meanwhile, as far as a glance tells.

A sketch is a length, a shape, and a sample of the content by reference, so it costs microseconds whatever the size. It
keeps what it has sampled alive, and is for the time of one task run.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from operator import length_hint
from types import BuiltinFunctionType, CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

from flowbook.core.fingerprints.ownership import is_own, is_own_class

_SAMPLE = 32
_DEPTH = 2
_OUR_DICTS = frozenset({"builtins", "collections"})
_FIXED = (bool, int, float, complex, str, bytes, type(None), range)
_CODE = (type, FunctionType, ModuleType)
_BOUND = (MethodType, BuiltinFunctionType, partial)

Sketch = tuple[Any, ...]


def sketches(values: Mapping[str, Any]) -> dict[str, Sketch]:
    """The sketches of those of the values that can be changed in place."""
    found = {name: sketch(value) for name, value in values.items() if not isinstance(value, _FIXED)}
    return {name: each for name, each in found.items() if each}


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
    if isinstance(value, _CODE):
        return _glance(_kept_by(value), depth)
    if kind in _BOUND:
        return _glance(_held_by(value), depth)
    if not is_own_class(kind):
        return ()  # what a library keeps in its objects (locks, caches) changes when they are only used
    return _of_object(value, kind, depth)


def _of_object(value: Any, kind: type, depth: int) -> Sketch:
    """An object of the user's: its attributes, and what it holds if its class is one of containers."""
    state = {name: part for name, part in getattr(value, "__dict__", {}).items() if not _is_cached(kind, name)}
    slots = (name for each in kind.__mro__ for name in _names(vars(each).get("__slots__", ())))
    state.update((name, getattr(value, name)) for name in slots if not _is_private(name) and hasattr(value, name))
    seen = _glance(state, depth)
    base: Any
    for base in (list, tuple, set, deque):
        if isinstance(value, base):
            return (*seen, base.__len__(value), *_inner(islice(base.__iter__(value), _SAMPLE), depth))
    return (*seen, *_glance(dict(islice(dict.items(value), _SAMPLE)), depth)) if isinstance(value, dict) else seen


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


def _kept_by(code: Any) -> list[Any]:
    """What a function, class or module of the user keeps from one use to the next."""
    if isinstance(code, FunctionType):
        return _kept_by_function(code)
    is_users = is_own_class(code) if isinstance(code, type) else isinstance(code, ModuleType) and _is_imported(code)
    return _variables(vars(code).items()) if is_users else []


def _kept_by_function(function: FunctionType) -> list[Any]:
    kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    kept += map(_content_of, function.__closure__ or ())
    home = sys.modules.get(function.__module__)
    if home is not None and vars(home) is function.__globals__ and _is_imported(home):
        kept += _variables((name, vars(home).get(name)) for name in function.__code__.co_names)
    return kept + _variables(function.__dict__.items())


def _is_imported(module: ModuleType) -> bool:
    """Whether it is a module that the user has written to a file."""
    return module.__name__ != "__main__" and is_own(module)


def _variables(items: Iterable[tuple[str, Any]]) -> list[Any]:
    return [part for name, part in items if not (isinstance(part, _CODE) or _is_private(name))]


def _content_of(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is bound to it yet
        return None


def _held_by(bound: Any) -> list[Any]:
    return [bound.func, bound.args, bound.keywords] if isinstance(bound, partial) else [bound.__self__]


def _is_private(name: str) -> bool:
    return name.startswith("__") or "cache" in name


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
    return _is_private(name) or hasattr(type(getattr(kind, name, None)), "__get__")


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
