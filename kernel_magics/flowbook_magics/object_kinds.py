"""What objects of each kind hold, and how one becomes like another one of its kind in place."""

from __future__ import annotations

import copyreg
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from enum import Enum
from functools import _lru_cache_wrapper, partial
from io import BytesIO, StringIO
from random import Random
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from weakref import WeakSet
from xml.etree.ElementTree import Element

from flowbook.core.fingerprints.ownership import is_own_class
from flowbook.run.pickles import is_importable

Of = Callable[[Any], Any]
"""Gives what is to stand in the place of an object."""

ATOMS: frozenset[type] = frozenset((bool, int, float, complex, str, bytes, type(None), range, ModuleType))
"""Types of objects that hold nothing and that nobody can change."""
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that is written in Python
_OF_PYTHON = frozenset(
    "__abstractmethods__ __annotations__ __dict__ __doc__ __module__ __slotnames__ __weakref__ _abc_impl".split()
)
"""What Python keeps in the namespace of a class."""


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
            if name not in before or not _are_alike(before[name], value):
                _set(old, name, value)


class _List(Kind):
    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), *_base_of(value, _SEQUENCES).__iter__(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        base = _base_of(value, _SEQUENCES)
        for index, part in enumerate(base.__iter__(value)):
            if (other := of(part)) is not part:
                base.__setitem__(value, index, other)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        base = _base_of(old, _SEQUENCES)
        items = list(base.__iter__(new))
        if not _all_alike(list(base.__iter__(old)), items):
            if base is list:
                list.__setitem__(old, slice(None), items)
            else:
                base.clear(old)
                base.extend(old, items)


class _ExactList(Kind):
    """Just a list, without attributes: most are."""

    def parts(self, value: Any) -> Iterable[Any]:
        return value  # type: ignore[no-any-return]

    def replace(self, value: Any, of: Of) -> None:
        value[:] = map(of, value)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        old[:] = new


class _Dict(Kind):
    def parts(self, value: Any) -> Iterable[Any]:
        keys, values = list(_base_of(value, _MAPPINGS).keys(value)), list(_base_of(value, _MAPPINGS).values(value))
        return [*super().parts(value), *keys, *values, *_factory_of(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        _replace_items(value, of)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        if isinstance(old, defaultdict):
            old.default_factory = new.default_factory
        _take_items(old, _items_of(new))


class _ExactDict(Kind):
    """Just a dict, without attributes: most are."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [*value, *value.values()]

    def replace(self, value: Any, of: Of) -> None:
        _replace_items(value, of)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        if len(old) == len(new) and all(map(_is_same_text, old, new)):
            old.update(new)  # nobody sees it in between
        else:
            _take_items(old, list(new.items()))


def _is_same_text(one: Any, other: Any) -> bool:
    return type(one) is str and type(other) is str and one == other


def _factory_of(value: Any) -> tuple[Any, ...]:
    return (value.default_factory,) if isinstance(value, defaultdict) else ()


def _replace_items(value: Any, of: Of) -> None:
    before = _items_of(value)
    now = [(of(key), of(part)) for key, part in before]
    if any(key is not other for (key, _), (other, _) in zip(before, now, strict=True)):
        _fill(value, now)
    else:
        for (key, part), (_, other) in zip(before, now, strict=True):
            if part is not other:
                dict.__setitem__(value, key, other)


def _take_items(old: Any, now: list[tuple[Any, Any]]) -> None:
    before = _items_of(old)
    if not _all_alike([key for key, _ in before], [key for key, _ in now]):
        _fill(old, now)
    else:
        for (key, part), (_, other) in zip(before, now, strict=True):
            if not _are_alike(part, other):
                dict.__setitem__(old, key, other)


def _items_of(mapping: Any) -> list[tuple[Any, Any]]:
    return list(_base_of(mapping, _MAPPINGS).items(mapping))


def _fill(mapping: Any, items: list[tuple[Any, Any]]) -> None:
    base = _base_of(mapping, _MAPPINGS)
    base.clear(mapping)
    for key, value in items:
        base.__setitem__(mapping, key, value)


class _Set(Kind):
    is_ordered = False

    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), *set.__iter__(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        before = list(set.__iter__(value))
        now = [of(part) for part in before]
        if any(part is not other for part, other in zip(before, now, strict=True)):
            set.clear(value)
            set.update(value, now)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        if old != new:
            set.clear(old)
            set.update(old, set.__iter__(new))


class _WeakSet(Kind):
    is_ordered = False

    def parts(self, value: Any) -> Iterable[Any]:
        return list(value)

    def replace(self, value: Any, of: Of) -> None:
        items = list(map(of, value))
        value.clear()
        value.update(items)

    def become(self, old: Any, new: Any) -> None:
        old.clear()
        old.update(new)


class _Function(Kind):
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


class _Class(Kind):
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


class _Cell(Kind):
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


class _Array(Kind):
    """An array of NumPy's. It is its memory that becomes like another one, so views of it see the change."""

    def parts(self, value: Any) -> Iterable[Any]:
        return value.ravel().tolist() if value.dtype.hasobject else ()

    def replace(self, value: Any, of: Of) -> None:
        if value.dtype.char == "O":
            flat = value.flat
            for index, part in enumerate(value.ravel().tolist()):
                if (other := of(part)) is not part:
                    flat[index] = other

    def fits(self, old: Any, new: Any) -> bool:
        return bool(old.dtype == new.dtype and old.shape == new.shape and old.flags.writeable)

    def become(self, old: Any, new: Any) -> None:
        old[...] = new


class _Table(Kind):
    """A table or column of pandas."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [part for each in self._arrays(value) for part in each.ravel().tolist()]

    def replace(self, value: Any, of: Of) -> None:
        for each in self._arrays(value):
            _ARRAY.replace(each, of)

    def _arrays(self, value: Any) -> list[Any]:
        """Those of its columns that hold objects."""
        arrays = (block.values for block in value._mgr.blocks)
        return [each for each in arrays if hasattr(each, "flat") and each.dtype.hasobject]

    def become(self, old: Any, new: Any) -> None:
        old._update_inplace(new)
        for name in ("_name", "_attrs", "_flags"):
            if hasattr(new, name):
                object.__setattr__(old, name, getattr(new, name))


class _Error(Kind):
    """An exception: its arguments, and attributes."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), value.args]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        if (args := of(value.args)) is not value.args:
            value.args = args

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        old.args = new.args


class _Element(Kind):
    """An element of a tree of XML."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [value.attrib, *value]

    def replace(self, value: Any, of: Of) -> None:
        value[:] = map(of, value)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        old.tag, old.text, old.tail, old[:] = new.tag, new.text, new.tail, list(new)
        old.attrib.clear()
        old.attrib.update(new.attrib)


class _Whole(Kind):
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
        return value if all(map(_is, before, now)) else self._make(value, now)


class _Iterator(Fixed):
    """An iterator in C: what it goes through, and where it is."""

    can_change = True

    def __init__(self) -> None:
        super().__init__(lambda each: each.__reduce__()[1], _iterator_over)


def _iterator_over(value: Any, parts: list[Any]) -> Any:
    make, _, *state = value.__reduce__()
    made = make(*parts)
    if state:
        made.__setstate__(*state)
    return made


class _Inner(Kind):
    """Objects of which a copy in another process need not hold the same."""

    is_ordered = False


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
    return (type(value),) if type(value).__flags__ & _HEAP_TYPE else ()


def _are_alike(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _EXACT and one == other)


_EXACT = ATOMS - {float, complex}  # 0.0 equals -0.0


def _all_alike(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(map(_are_alike, some, others))


def _is(one: Any, other: Any) -> bool:
    return one is other


def _base_of(value: Any, bases: Iterable[Any]) -> Any:
    return next(base for base in bases if isinstance(value, base))


def is_by_value(code: Any) -> bool:
    """Whether such a function or class goes to another process with all that it holds, not by its name."""
    return "<locals>" in code.__qualname__ or not is_importable(code.__module__)


def _tuple_of(value: Any, parts: list[Any]) -> Any:
    made: Any = tuple.__new__(type(value), parts[:-1])
    if hasattr(value, "__dict__"):
        made.__dict__.update(value.__dict__)
    return made


_SEQUENCES, _MAPPINGS = (list, deque), (OrderedDict, dict)
_PLAIN, _INNER, _CLASS, _ARRAY, _TABLE, _ITERATOR = Kind(), _Inner(), _Class(), _Array(), _Table(), _Iterator()
_TUPLE = Fixed(lambda value: value, lambda _, parts: tuple(parts))
_NAMED_TUPLE = Fixed(lambda value: (*value, type(value)), _tuple_of)
_FROZEN_SET = Fixed(frozenset.__iter__, lambda value, parts: type(value)(parts))
_FROZEN_SET.is_ordered = False
_ERROR, _ELEMENT = _Error(), _Element()
_MEMBER = Fixed(lambda value: (type(value),), lambda value, _: value)
_RANDOM_NUMPY = _Whole(lambda old, new: _generator_of(old).__setstate__(_generator_of(new).__getstate__()))
_BASES: tuple[tuple[type, Kind], ...] = (
    (type, _CLASS),
    (tuple, _NAMED_TUPLE),
    (dict, _Dict()),
    (list, _List()),
    (deque, _List()),
    (set, _Set()),
    (frozenset, _FROZEN_SET),
    (BaseException, _ERROR),
)


class _Kinds(dict[type, Kind | None]):
    def __missing__(self, kind: type) -> Kind | None:
        self[kind] = found = _find(kind)
        return found


kinds = _Kinds(
    {
        **dict.fromkeys(ATOMS),
        tuple: _TUPLE,
        list: _ExactList(),
        dict: _ExactDict(),
        object: _PLAIN,
        WeakSet: _WeakSet(),
        SimpleNamespace: _PLAIN,
        Element: _ELEMENT,
        FunctionType: _Function(),
        CellType: _Cell(),
        bytearray: _Whole(lambda old, new: bytearray.__setitem__(old, slice(None), new)),
        array: _Whole(lambda old, new: array.__setitem__(old, slice(None), new)),
        Random: _Whole(lambda old, new: old.setstate(new.getstate())),
        BytesIO: _Whole(lambda old, new: old.__setstate__(new.__getstate__())),
        StringIO: _Whole(lambda old, new: old.__setstate__(new.__getstate__())),
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
    if issubclass(kind, Enum):
        return _MEMBER
    for base, found in _BASES:
        if issubclass(kind, base):
            return found
    if library == "numpy":
        if name == "ndarray":
            return _ARRAY
        is_generator = module.startswith("numpy.random") and name != "SeedSequence"
        return _RANDOM_NUMPY if is_generator else None
    if library == "pandas":
        return _TABLE if hasattr(kind, "_update_inplace") else None
    if library in ("builtins", "itertools"):
        return _ITERATOR if hasattr(kind, "__next__") and "__reduce__" in vars(kind) else None
    if any(each is not object and not each.__flags__ & _HEAP_TYPE for each in kind.__mro__):
        return None
    pickled = {name for name in _PICKLING if getattr(kind, name, None) is not getattr(object, name, None)}
    if pickled <= {"__getstate__", "__setstate__"} and (not pickled or library == "sklearn"):
        return _PLAIN
    return _INNER if is_own_class(kind) or pickled <= {"__getstate__", "__setstate__"} else None


_PICKLING = ("__getnewargs__", "__getnewargs_ex__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__")


def _generator_of(value: Any) -> Any:
    """What has the state of NumPy's generators."""
    return getattr(value, "bit_generator", None) or getattr(value, "_bit_generator", value)
