"""The kind of each object: what it holds, and how one becomes like another one of its kind in place."""

from __future__ import annotations

from array import array
from collections import deque
from enum import Enum
from functools import _lru_cache_wrapper, partial
from io import BytesIO, StringIO
from random import Random
from types import BuiltinMethodType, CellType, FunctionType, MethodType, SimpleNamespace
from weakref import WeakKeyDictionary, WeakSet
from xml.etree.ElementTree import Element

from flowbook.core.fingerprints.ownership import is_own_class
from flowbook_magics.code_kinds import CellKind, ClassKind, FunctionKind
from flowbook_magics.container_kinds import (
    DictKind,
    ExactDictKind,
    ExactListKind,
    IteratorKind,
    ListKind,
    SetKind,
    WeakSetKind,
    tuple_of,
)
from flowbook_magics.kinds import ATOMS, HEAP_TYPE, Fixed, Inner, Kind, Whole
from flowbook_magics.library_kinds import ARRAY, ELEMENT, ERROR, RANDOM_OF_NUMPY, TABLE

_PLAIN, _INNER, _ITERATOR = Kind(), Inner(), IteratorKind()
_MEMBER = Fixed(lambda value: (type(value),), lambda value, _: value)
_FROZEN_SET = Fixed(frozenset.__iter__, lambda value, parts: type(value)(parts))
_FROZEN_SET.is_ordered = False
_BASES: tuple[tuple[type, Kind], ...] = (
    (Enum, _MEMBER),
    (type, ClassKind()),
    (tuple, Fixed(lambda value: (*value, type(value)), tuple_of)),
    (dict, DictKind()),
    (list, ListKind()),
    (deque, ListKind()),
    (set, SetKind()),
    (frozenset, _FROZEN_SET),
    (BaseException, ERROR),
)


class _Kinds(dict[type, Kind | None]):
    """Looked up once for each type; classes of the user's come and go."""

    def __init__(self, known: dict[type, Kind | None]) -> None:
        super().__init__(known)
        self._own: WeakKeyDictionary[type, Kind | None] = WeakKeyDictionary()

    def __missing__(self, kind: type) -> Kind | None:
        known: WeakKeyDictionary[type, Kind | None] | _Kinds = self._own if is_own_class(kind) else self
        if kind not in known:
            known[kind] = _find(kind)
        return known[kind]


kinds = _Kinds(
    {
        **dict.fromkeys(ATOMS),
        tuple: Fixed(lambda value: value, lambda _, parts: tuple(parts)),
        list: ExactListKind(),
        dict: ExactDictKind(),
        object: _PLAIN,
        WeakSet: WeakSetKind(),
        SimpleNamespace: _PLAIN,
        Element: ELEMENT,
        FunctionType: FunctionKind(),
        CellType: CellKind(),
        bytearray: Whole(lambda old, new: bytearray.__setitem__(old, slice(None), new)),
        array: Whole(lambda old, new: array.__setitem__(old, slice(None), new)),
        Random: Whole(lambda old, new: old.setstate(new.getstate())),
        BytesIO: Whole(lambda old, new: old.__setstate__(new.__getstate__())),
        StringIO: Whole(lambda old, new: old.__setstate__(new.__getstate__())),
        MethodType: Fixed(lambda each: (each.__self__,), lambda each, parts: MethodType(each.__func__, *parts)),
        BuiltinMethodType: Fixed(lambda each: (each.__self__,), lambda each, parts: getattr(parts[0], each.__name__)),
        property: Fixed(lambda each: (each.fget, each.fset, each.fdel), lambda each, parts: property(*parts)),
        staticmethod: Fixed(lambda each: (each.__func__,), lambda _, parts: staticmethod(*parts)),
        classmethod: Fixed(lambda each: (each.__func__,), lambda _, parts: classmethod(*parts)),
        partial: Fixed(
            lambda each: (each.func, each.args, each.keywords),
            lambda _, parts: partial(parts[0], *parts[1], **parts[2]),
        ),
        _lru_cache_wrapper: Fixed(lambda each: (each.__wrapped__,), lambda each, _: each),
    }
)
"""The kind of each type; None for objects that hold nothing, and for those that nobody can look into."""


def _find(kind: type) -> Kind | None:
    module, name = kind.__module__, kind.__name__
    library = module.partition(".")[0]
    for base, found in _BASES:
        if issubclass(kind, base):
            return found
    if library == "numpy":
        if name == "ndarray":
            return ARRAY
        is_generator = module.startswith("numpy.random") and name != "SeedSequence"
        return RANDOM_OF_NUMPY if is_generator else None
    if library == "pandas":
        return TABLE if hasattr(kind, "_update_inplace") else None
    if library in ("builtins", "itertools"):
        return _ITERATOR if hasattr(kind, "__next__") and "__reduce__" in vars(kind) else None
    if any(each is not object and not each.__flags__ & HEAP_TYPE for each in kind.__mro__):
        return None
    pickled = {name for name in _PICKLING if getattr(kind, name, None) is not getattr(object, name, None)}
    if pickled <= {"__getstate__", "__setstate__"} and (not pickled or library == "sklearn"):
        return _PLAIN
    return _INNER if is_own_class(kind) or pickled <= {"__getstate__", "__setstate__"} else None


_PICKLING = ("__getnewargs__", "__getnewargs_ex__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__")
