"""What stands for the result of a task that is only drawn: anything can be made of it, but it has no value."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from opcode import opmap
from typing import Any

from flowbook.core.annotations import allow_failure, unmapped
from flowbook.errors import UsageError

_DEEPEST = 100


class NeedsResult(UsageError, TypeError):
    """A flow that is only drawn depends on what a task returns. A TypeError, so that ``list()`` does without a length."""


class Placeholder:
    """Stands for what the task runs `sources` return, or for something that is made of it.

    Its attributes and items, what a call of it gives and what is computed with it are placeholders of the same runs.
    Where its value is needed it raises UsageError.
    """

    __slots__ = ("__weakref__", "_flow", "_sources", "_task")

    def __init__(self, sources: Mapping[str, None], task: str, flow: str) -> None:
        self._sources = sources  # as an ordered set
        self._task = task
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
        return f"<what task {self._task!r} returns>"

    def __format__(self, spec: str) -> str:
        return repr(self)

    __hash__ = object.__hash__

    def _needed(self, what: str) -> NeedsResult:
        return NeedsResult(
            f"Flow {self._flow!r} cannot be drawn without running it: {_place()} it needs to know {what}, of what task "
            f"{self._task!r} returns. Give the task a value to be drawn with: @task(viz_return_value=...)."
        )


def sources_of(value: Any, depth: int = 0) -> Iterator[str]:
    """The ids of the runs that the placeholders in `value` stand for, also deep in lists, tuples, sets and dicts."""
    if isinstance(value, Placeholder):
        yield from value._sources
    elif isinstance(value, allow_failure | unmapped):
        yield from sources_of(value.value, depth + 1)
    elif isinstance(value, list | tuple | set | dict) and depth < _DEEPEST:
        for part in value.values() if isinstance(value, dict) else value:
            yield from sources_of(part, depth + 1)


def _made_of(placeholder: Placeholder, *others: Any) -> Placeholder:
    found = {source: None for other in others for source in sources_of(other)}
    return Placeholder({**placeholder._sources, **found}, placeholder._task, placeholder._flow)


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
