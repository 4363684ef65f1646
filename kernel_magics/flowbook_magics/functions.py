"""Functions that look their global names up elsewhere than where they were defined."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Set
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any


def is_defined_in(value: Any, namespace: dict[str, Any]) -> bool:
    """Whether it is a function whose globals are `namespace`."""
    return isinstance(value, FunctionType) and value.__globals__ is namespace


def rehomed(value: Any, old: dict[str, Any], new: dict[str, Any]) -> Any:
    """A function with the globals `old` as the same function with the globals `new`; anything else as it is."""
    if not is_defined_in(value, old):
        return value
    moved = FunctionType(value.__code__, new, value.__name__, value.__defaults__, value.__closure__)
    # Both are one function: what one call notes there (``f.calls += 1``), the next sees.
    moved.__dict__ = value.__dict__
    moved.__kwdefaults__, moved.__annotations__ = value.__kwdefaults__, value.__annotations__
    moved.__doc__, moved.__module__, moved.__qualname__ = value.__doc__, value.__module__, value.__qualname__
    if sys.version_info >= (3, 12):
        moved.__type_params__ = value.__type_params__
    return moved


def is_process_pool(value: Any) -> bool:
    """Whether it has processes of a library that look up by their names the functions which they are sent."""
    return type(value).__module__.startswith(("multiprocessing.pool", "concurrent.futures.process"))


def writes_globals(value: Any) -> bool:
    """Whether it is a function with ``global`` names that it binds."""
    return isinstance(value, FunctionType) and _stores_global(value.__code__)


def uses_any(value: Any, names: Set[str]) -> bool:
    """Whether it is a function that mentions one of `names`."""
    return isinstance(value, FunctionType) and not names.isdisjoint(mentioned(value.__code__))


@lru_cache(maxsize=1024)
def global_reads(code: CodeType) -> frozenset[str]:
    """The names that `code`, and the functions and classes in it, look up as globals."""
    return frozenset(
        instruction.argval
        for part in _codes(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname in _READS
    )


_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")


@lru_cache(maxsize=1024)
def mentioned(code: CodeType) -> frozenset[str]:
    """The names in `code`, and the functions and classes in it: of globals, attributes and modules."""
    return frozenset(name for part in _codes(code) for name in part.co_names)


@lru_cache(maxsize=1024)
def _stores_global(code: CodeType) -> bool:
    return any(
        instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
        for part in _codes(code)
        for instruction in dis.get_instructions(part)
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
