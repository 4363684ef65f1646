"""The reader of values: it puts what they consist of into a hash."""

from __future__ import annotations

import hashlib
import marshal
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_PLAIN = frozenset({int, float, str, bytes, bool, complex, type(None), type(...)})
_FIXED = (str, bytes, int, float, complex, tuple, frozenset, FunctionType, BuiltinFunctionType, type, ModuleType)
_DEEPEST = 200
_MOST_FIRST_SEEN = 5000

#: The values that code changes in place, and their digests as they were at first, by id and by what was read of them;
#: with the value, so that its id stays its own.
_seen_first: OrderedDict[tuple[int, str], tuple[Any, bytes]] = OrderedDict()


class Incomparable(Exception):
    """A value, or something in it, of which it cannot be said whether it is the same as another one."""


class Reader:
    """Reads values into a hash. Everything is preceded by its kind and its length, so that no two can be confused.

    `readers` say how a value of exactly that type is read, `read_other` all others.
    """

    __slots__ = ("_depth", "_hash", "_inside", "_read_other", "_readers", "_seen", "lenient")

    def __init__(
        self, readers: Mapping[type, ReadsInto], read_other: ReadsInto, *, lenient: bool, depth: int = 0
    ) -> None:
        self.lenient = lenient
        self._readers = readers
        self._read_other = read_other
        self._hash = hashlib.sha256()
        self._depth = depth
        self._seen: dict[int, int] = {}  # functions and classes, by id, in their order
        self._inside: frozenset[int] = frozenset()  # ids of what is being seen for the first time

    def digest(self) -> bytes:
        """32 bytes for everything that was read."""
        return self._hash.digest()

    def read(self, value: Any) -> None:
        """Read `value`. Raises Incomparable, or RecursionError if it contains itself."""
        kind = type(value)
        if kind in _PLAIN:
            self.put("plain", marshal.dumps(value, 0))  # version 0 depends on nothing but the value
            return
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError
        self._readers.get(kind, self._read_other)(self, value)
        self._depth -= 1

    def put(self, kind: str, content: bytes | bytearray | memoryview = b"") -> None:
        """Put bytes into the hash."""
        self._hash.update(f"{kind} {len(content)}:".encode())
        self._hash.update(content)

    def read_many(self, kind: str, values: list[Any] | tuple[Any, ...]) -> None:
        """Read values in their order."""
        if _PLAIN.issuperset(map(type, values)):
            self.put(kind, marshal.dumps(list(values), 0))
            return
        self.put(f"{kind} of {len(values)}")
        for value in values:
            self.read(value)

    def read_unordered(self, kind: str, values: Iterable[Any]) -> None:
        """Read values of which the order does not count."""
        listed = list(values)
        types = set(map(type, listed))
        if types <= {str} or types <= {int}:
            self.put(kind, marshal.dumps(sorted(listed), 0))
        else:
            self.put(f"{kind} of {len(listed)}", b"".join(sorted(map(self._digest_of, listed))))

    def read_mapping(self, kind: str, items: Mapping[Any, Any]) -> None:
        """Read keys with their values, of which the order does not count."""
        if all(type(key) is str for key in items):
            keys = sorted(items)
            self.read_many(kind, keys)
            self.read_many("values", [items[key] for key in keys])
        else:
            pairs = sorted(self._digest_of(key) + self._digest_of(value) for key, value in list(items.items()))
            self.put(f"{kind} of {len(pairs)}", b"".join(pairs))

    def read_used(self, name: str, value: Any, *, changed: bool) -> None:
        """Read something that code uses by `name`, and seems to have `changed` in place."""
        self.put("name", name.encode())
        if (changed or (id(value), "value") in _seen_first) and may_change(value):
            self.put("used", self.first_seen(value, "value", lambda reader: reader.read(value)))
            return
        reader = self._inner(lenient=True)
        reader._seen, reader._inside = self._seen, self._inside
        self.put("used", reader._attempt(value, lambda: reader.read(value)))

    def first_seen(self, value: Any, what: str, read: Callable[[Reader], None]) -> bytes:
        """The digest of what `read` reads of `value`, as it was when it was first seen in this process."""
        found = _seen_first.get((id(value), what))
        if found is not None:
            return found[1]
        if id(value) in self._inside:
            return b"itself"
        reader = self._inner(lenient=True)
        reader._inside = self._inside | {id(value)}
        digest = reader._attempt(value, lambda: read(reader))
        _seen_first[id(value), what] = (value, digest)
        if len(_seen_first) > _MOST_FIRST_SEEN:
            _seen_first.popitem(last=False)
        return digest

    def is_known(self, value: object) -> bool:
        """Whether a function or class was read before, which is put into the hash then; so recursion ends."""
        number = self._seen.get(id(value))
        if number is not None:
            self.put("seen", str(number).encode())
            return True
        self._seen[id(value)] = len(self._seen)
        return False

    def _digest_of(self, value: Any) -> bytes:
        """The digest of one part by itself, whatever is read before it, so that parts can be sorted."""
        reader = self._inner(lenient=self.lenient)
        reader._seen, reader._inside = dict(self._seen), self._inside
        reader.read(value)
        return reader.digest()

    def _attempt(self, value: Any, read: Callable[[], None]) -> bytes:
        """The digest after `read`; of a value that cannot be compared the type counts."""
        try:
            read()
        except (Incomparable, RuntimeError):  # RecursionError among them
            return name_of(type(value)).encode()
        return self.digest()

    def _inner(self, *, lenient: bool) -> Reader:
        return Reader(self._readers, self._read_other, lenient=lenient, depth=self._depth)


ReadsInto = Callable[[Reader, Any], None]


def may_change(value: Any) -> bool:
    """Whether there is something in `value` that may change in place."""
    return value is not None and not issubclass(type(value), _FIXED)


def name_of(thing: Any) -> str:
    """``module.name`` of a class or function."""
    if issubclass(type(thing), type):
        return f"{of_class(thing, '__module__')}.{of_class(thing, '__qualname__')}"
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', None)}.{name}"


def of_class(cls: type, name: str) -> Any:
    """An attribute that every class has, whatever its metaclass says."""
    return type.__getattribute__(cls, name)
