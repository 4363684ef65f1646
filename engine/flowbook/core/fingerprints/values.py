"""How values are read, each by its type."""

from __future__ import annotations

import copyreg
import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import PurePath
from typing import Any
from uuid import UUID

from flowbook.core.fingerprints.code import read_class
from flowbook.core.fingerprints.frames import parts_of_array
from flowbook.core.fingerprints.ownership import is_own_class
from flowbook.core.fingerprints.reader import Incomparable, Reader, ReadsInto, name_of, of_class


def _read_text(reader: Reader, value: Any) -> None:
    reader.put("text", f"{type(value).__name__} {value!r}".encode())


def _read_datetime(reader: Reader, value: datetime | time) -> None:
    plain = value.replace(tzinfo=None)
    reader.put("datetime", f"{type(value).__name__} {plain.isoformat()} {value.fold}".encode())
    if value.tzinfo is not None:
        key = getattr(value.tzinfo, "key", None)  # the name of a ZoneInfo
        reader.read(key if isinstance(key, str) else value.tzinfo)


def _read_pattern(reader: Reader, value: re.Pattern[Any]) -> None:
    reader.put("pattern", str(value.flags).encode())
    reader.read(value.pattern)


def _read_partial(reader: Reader, value: partial[Any]) -> None:
    reader.put("partial")
    reader.read(value.func)
    reader.read(value.args)
    reader.read(value.keywords)


def _read_named(reader: Reader, value: _Named) -> None:
    reader.put("type", value.name.encode())


class _Named:
    """A class of which only the name counts, for it stands for the type of an object."""

    __slots__ = ("name",)

    def __init__(self, cls: type) -> None:
        self.name = name_of(cls)


READERS: dict[type, ReadsInto] = {
    list: lambda reader, value: reader.read_many("list", value),
    tuple: lambda reader, value: reader.read_many("tuple", value),
    dict: lambda reader, value: reader.read_mapping("dict", value),
    set: lambda reader, value: reader.read_unordered("set", value),
    frozenset: lambda reader, value: reader.read_unordered("frozenset", value),
    bytearray: lambda reader, value: reader.put("bytearray", value),
    slice: lambda reader, value: reader.read_many("slice", (value.start, value.stop, value.step)),
    datetime: _read_datetime,
    time: _read_datetime,
    re.Pattern: _read_pattern,
    partial: _read_partial,
    _Named: _read_named,
    **dict.fromkeys((Decimal, Fraction, UUID, date, timedelta, timezone, range), _read_text),
}


def read_other(reader: Reader, value: Any) -> None:
    """Read a value of a type that has no reader of its own."""
    cls = type(value)
    parts = parts_of_array(value)
    decorated = _decorated(value)
    if parts is not None:
        reader.put(name_of(cls))
        for part in parts:
            reader.put("bytes", part) if isinstance(part, memoryview) else reader.read(part)
    elif issubclass(cls, Enum):
        reader.put("enum", f"{name_of(cls)}.{value._name_}".encode())
        reader.read(value._value_)
    elif issubclass(cls, PurePath) and cls.__module__.startswith("pathlib"):
        reader.put("path", f"{cls.__name__} {value}".encode("utf-8", "surrogateescape"))
    elif decorated is not None:
        reader.put("decorated", name_of(cls).encode())
        reader.read(decorated)
    elif issubclass(cls, type):
        read_class(reader, value)
    elif reader.lenient:
        _read_leniently(reader, value)
    else:
        _read_by_pickling(reader, value)


def _decorated(value: Any) -> Any:
    """The function in what a decorator made of it (a task, ``functools.cache``); None if there is none."""
    try:
        return object.__getattribute__(value, "__dict__").get("__wrapped__")
    except (AttributeError, TypeError):
        return None


def _read_by_pickling(reader: Reader, value: Any) -> None:
    cls = type(value)
    if isinstance(value, set | frozenset):  # which are pickled in their order
        reader.put("set", name_of(cls).encode())
        reader.read_unordered("members", value)
        reader.read(getattr(value, "__dict__", None))
        return
    try:
        reduce = copyreg.dispatch_table.get(cls)
        reduced = reduce(value) if reduce is not None else value.__reduce_ex__(4)
    except RecursionError:
        raise
    except Exception as error:
        raise Incomparable(f"a {name_of(cls)} cannot be compared ({error})") from None
    if isinstance(reduced, str):
        reader.put("global", f"{name_of(cls)} {reduced}".encode())
        return
    made_by, args, state, items, pairs = (*reduced, None, None, None)[:5]
    reader.put("object", name_of(cls).encode())
    reader.put("made by", name_of(made_by).encode())
    reader.read_many("args", [_Named(arg) if isinstance(arg, type) else arg for arg in args])
    reader.read(state)
    reader.read(None if items is None else list(items))
    if pairs is not None:
        listed = list(pairs)
        reader.read_many("pairs", listed) if issubclass(cls, OrderedDict) else reader.read_mapping(
            "pairs", dict(listed)
        )


def _read_leniently(reader: Reader, value: Any) -> None:
    """Read a value without running anything of its class."""
    cls = type(value)
    kind = f"a {name_of(cls)}"
    base: Any = next((base for base in (dict, set, frozenset, list, tuple, deque) if issubclass(cls, base)), None)
    if base is dict:
        reader.read_mapping(kind, dict(dict.items(value)))
    elif base in (set, frozenset):
        reader.read_unordered(kind, base.__iter__(value))
    elif base is not None:
        reader.read_many(kind, list(base.__iter__(value)))
    elif is_own_class(cls):
        read_class(reader, cls)
        reader.put("state", reader.first_seen(value, "state", lambda inner: inner.read(dict(_attributes(value)))))
    else:
        reader.put(kind)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object by name, taken from where they are stored."""
    with suppress(AttributeError):
        yield from object.__getattribute__(value, "__dict__").items()
    for cls in of_class(type(value), "__mro__"):
        for name, member in of_class(cls, "__dict__").items():
            if type(member) is _SLOT:
                with suppress(AttributeError):
                    yield name, member.__get__(value)


_SLOT = type(_Named.__dict__["name"])
