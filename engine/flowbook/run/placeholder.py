"""What stands for the result of a task that is only drawn: anything can be made of it, but it has no value."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from opcode import opmap
from typing import Any

from flowbook.core.annotations import allow_failure, unmapped
from flowbook.errors import UsageError


class NeedsResult(UsageError, TypeError):
    """A flow that is only drawn depends on what a task returns. A TypeError, so that ``list()`` needs no length."""


class Placeholder:
    """Stands for what the runs `sources` return, or for something that is made of it.

    Its attributes and items, what a call of it gives and what is computed with it are placeholders of the same runs.
    Where its value is needed it raises UsageError, which tells who (``task 'extract'``) would have returned it.
    """

    __slots__ = ("__weakref__", "_flow", "_maker", "_sources")

    def __init__(self, sources: Iterable[str], maker: str, flow: str) -> None:
        self._sources = dict.fromkeys(sources)  # as an ordered set
        self._maker = maker
        self._flow = flow

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("_"):
            raise AttributeError(name)  # what looks for protocols, such as displays and copies, does not find them
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        return _made_of(self, *args, *kwargs.values())

    def __getitem__(self, key: Any) -> Placeholder:
        return _made_of(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._sources = _made_of(self, key, value)._sources

    def __iter__(self) -> Iterator[Placeholder]:
        return iter([_made_of(self) for _ in range(_unpacked_by(sys._getframe(1)))])

    def __next__(self) -> Placeholder:
        return self

    async def __aiter__(self) -> Any:
        yield self

    def __bool__(self) -> bool:
        raise self._needed("whether it is true")

    def __len__(self) -> int:
        raise self._needed("how long it is")

    def __contains__(self, item: object) -> bool:
        raise self._needed("whether it contains something")

    def __index__(self) -> int:
        raise self._needed("a number")

    __int__ = __index__

    def __float__(self) -> float:
        raise self._needed("a number")

    def __repr__(self) -> str:
        return f"<what {self._maker} returns>"

    def __format__(self, spec: str) -> str:
        return repr(self)

    __hash__ = object.__hash__

    def _needed(self, what: str) -> NeedsResult:
        remedy = "Give the task a value to be drawn with: @task(viz_return_value=...)."
        if not self._maker.startswith("task "):
            remedy = "What needs it can be drawn if it happens in a task."
        return NeedsResult(
            f"Flow {self._flow!r} cannot be drawn without running it: {_place()} it needs to know {what}, of what "
            f"{self._maker} returns. {remedy}"
        )


def sources_of(value: Any) -> Iterator[str]:
    """The ids of the runs that the placeholders in `value` stand for, also deep in lists, tuples, sets and dicts."""
    left, seen = [value], set()
    while left:
        part = left.pop()
        if isinstance(part, Placeholder):
            yield from part._sources
        elif isinstance(part, allow_failure | unmapped):
            left.append(part.value)
        elif isinstance(part, list | tuple | set | dict) and id(part) not in seen:
            seen.add(id(part))
            left.extend(part.values() if isinstance(part, dict) else part)


def _made_of(placeholder: Placeholder, *others: Any) -> Placeholder:
    return Placeholder(sources_of((others, placeholder)), placeholder._maker, placeholder._flow)


def _operator(name: str) -> Callable[..., Placeholder]:
    def compute(self: Placeholder, *others: Any) -> Placeholder:
        return _made_of(self, *others)

    compute.__name__ = name
    return compute


_ARITHMETIC = "add sub mul matmul truediv floordiv mod pow lshift rshift and xor or divmod"
for _name in _ARITHMETIC.split():
    setattr(Placeholder, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(Placeholder, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in "lt le eq ne gt ge neg pos abs invert round".split():
    setattr(Placeholder, f"__{_name}__", _operator(f"__{_name}__"))


def _unpacked_by(frame: Any) -> int:
    """How many items the code asks for that unpacks an iterable here (``a, b = x``); else one, which stands for all."""
    code, at = frame.f_code.co_code, frame.f_lasti
    operation, count = code[at], code[at + 1]
    if at >= 2 and code[at - 2] == opmap["EXTENDED_ARG"]:
        count |= code[at - 1] << 8
    if operation == opmap["UNPACK_SEQUENCE"]:
        return int(count)
    return (count & 0xFF) + (count >> 8) + 1 if operation == opmap["UNPACK_EX"] else 1


def _place() -> str:
    """``at report.py, line 12,`` — the line of the user's code that is being executed."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("flowbook."):
        frame = frame.f_back
    return f"at {frame.f_code.co_filename}, line {frame.f_lineno},"
