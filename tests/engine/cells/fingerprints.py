"""What an object looks like all the way down, so that any change in place shows."""

import inspect
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

__all__ = ["fingerprint"]

_ITERATORS = (type(iter([])), type(iter(())), map, zip, enumerate)


def fingerprint(value: object) -> Any:
    """A value that compares equal as long as nothing in the object has changed."""
    return _look(value, {})


def _look(value: Any, seen: dict[int, int]) -> Any:
    if isinstance(value, int | str | None | ModuleType):
        return repr(value)
    if id(value) in seen:
        return f"#{seen[id(value)]}"
    seen[id(value)] = len(seen)
    return (type(value).__name__, *(_look(part, seen) for part in _parts(value)))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, list):
        return [*value, *_attributes(value)]
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, FunctionType):
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__.co_code.hex(), value.__defaults__, *closure, *_attributes(value)]
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        return [frame and frame.f_lasti, *inspect.getgeneratorlocals(value).values()]
    if isinstance(value, _ITERATORS):
        return list(value.__reduce__()[1:])
    return [*_attributes(value), *(type(value).__mro__ if not isinstance(value, type) else value.__bases__)]


def _attributes(value: Any) -> list[Any]:
    return [
        part
        for name, held in getattr(value, "__dict__", {}).items()
        if not (name.startswith("__") and name.endswith("__")) or isinstance(held, FunctionType)
        for part in (name, held)
    ]
