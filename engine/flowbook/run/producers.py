"""Which task run made which object: edges of the run graph from plain results that are passed on.

An object is known by identity, so a result is recognised however it is handed over. The index must neither keep
results alive nor mistake a new object at an old address for the old one. Objects that can be weakly referenced are;
of the others (lists, dicts, strings) a reference is held, and dropped as soon as nobody else has one.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_UNTRACKED = (type(None), bool, type, ModuleType, FunctionType, BuiltinFunctionType, type(Ellipsis))
_CONSTANTS = (int, float, complex, str, bytes, tuple, frozenset)
_SHARED = ""  # stands for the run that returned a value which several return
_SMALL_CONTAINER = 16
_OWN_REFERENCES = 3  # the table's, the loop variable's and getrefcount's own argument


def _is_shared_by_python(value: Any) -> bool:
    """Small numbers, interned strings and empty tuples: equal values are one object, so identity says nothing."""
    if isinstance(value, _UNTRACKED):
        return True
    if isinstance(value, int):
        return -6 < value < 257
    if isinstance(value, str):
        return len(value) < 2 or value.isidentifier()
    return isinstance(value, tuple | bytes | frozenset) and len(value) < 1


def _parts(value: Any) -> Iterator[Any]:
    """The value itself, and the members of a small container, which people unpack."""
    yield value
    if isinstance(value, tuple | list) and len(value) <= _SMALL_CONTAINER:
        yield from value
    elif isinstance(value, dict) and len(value) <= _SMALL_CONTAINER:
        yield from value.values()


class Producers:
    """The index of one flow run."""

    def __init__(self) -> None:
        self._weak: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._held: dict[int, tuple[Any, str]] = {}
        self._sweep_at = _SMALL_CONTAINER
        self._lock = threading.Lock()

    def register(self, value: Any, run_id: str, upstream: Sequence[str] = ()) -> None:
        """`value`, or a member of it, is what the run `run_id` returned, which took results of the runs `upstream`."""
        for part in _parts(value):
            if not _is_shared_by_python(part):
                self._register_one(part, _SHARED if self._is_constant(part, run_id, upstream) else run_id)

    def release(self) -> None:
        """Let go of results that nobody else refers to any more, if it takes little time to look."""
        if self._held and len(self._held) <= _SMALL_CONTAINER:
            with self._lock:
                self._sweep()

    def of(self, value: Any) -> str | None:
        """The run that returned this very object, or None."""
        key = id(value)
        weak = self._weak.get(key)
        if weak is not None and weak[0]() is value:
            return weak[1]
        held = self._held.get(key)
        return (held[1] or None) if held is not None and held[0] is value else None

    def of_parts(self, value: Any) -> Iterator[str]:
        """The runs that returned `value` or a member of it, if it is a small container."""
        if self._weak or self._held:
            for part in _parts(value):
                run_id = self.of(part)
                if run_id is not None:
                    yield run_id

    def _is_constant(self, part: Any, run_id: str, upstream: Sequence[str]) -> bool:
        """Whether another run returned this very value, and did not hand it to this one: then it stands in the code."""
        if not isinstance(part, _CONSTANTS):
            return False
        held = self._held.get(id(part))
        return held is not None and held[0] is part and held[1] != run_id and held[1] not in upstream

    def _register_one(self, part: Any, run_id: str) -> None:
        key = id(part)
        try:
            self._weak[key] = (weakref.ref(part, functools.partial(self._forget, key)), run_id)
        except TypeError:
            with self._lock:
                self._held[key] = (part, run_id)
                if len(self._held) >= self._sweep_at:
                    self._sweep()

    def _forget(self, key: int, _: weakref.ref[Any]) -> None:
        self._weak.pop(key, None)

    def _sweep(self) -> None:
        """Let go of what only this table still refers to; doubling the threshold keeps the cost per result flat."""
        for key, (value, _run) in list(self._held.items()):
            if sys.getrefcount(value) <= _OWN_REFERENCES:
                del self._held[key]
        self._sweep_at = max(_SMALL_CONTAINER, 2 * len(self._held))
