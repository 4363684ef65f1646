"""What a cell task sees while it runs, and how what it wrote reaches the notebook."""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableMapping
from types import FunctionType
from typing import Any


class CellNamespace(dict[str, Any]):
    """The globals of one run of a cell task: its inputs, then what it binds.

    Any other name is read through from the notebook's namespace (CPython calls ``__missing__`` of the globals of code
    that it executes), so that helpers, imports and constants are there as they are in a plain cell.
    """

    def __init__(self, inputs: Mapping[str, Any], notebook: Mapping[str, Any]) -> None:
        super().__init__(inputs)
        self._notebook = notebook

    def __missing__(self, name: str) -> Any:
        return self._notebook[name]


class Publisher:
    """Puts what cells wrote into the notebook's namespace so that it ends with the last version of each name."""

    def __init__(self, notebook: MutableMapping[str, Any]) -> None:
        self._notebook = notebook
        self._positions: dict[str, int] = {}
        self._lock = threading.Lock()

    def publish(self, values: Mapping[str, Any], position: int) -> None:
        """The cell at `position` of the notebook wrote `values`; versions of later cells stay."""
        with self._lock:
            for name, value in values.items():
                if self._positions.get(name, 0) <= position:
                    self._notebook[name] = _at_home(value, self._notebook)
                    self._positions[name] = position

    def wrote(self, names: frozenset[str], position: int) -> None:
        """The plain cell at `position` has bound `names` in the notebook itself."""
        with self._lock:
            self._positions.update(dict.fromkeys(names, position))


def _at_home(value: Any, notebook: MutableMapping[str, Any]) -> Any:
    """A function that a task cell defined looks its names up in the notebook, as one of a plain cell does."""
    if not isinstance(value, FunctionType) or not isinstance(value.__globals__, CellNamespace):
        return value
    moved = FunctionType(value.__code__, notebook, value.__name__, value.__defaults__, value.__closure__)  # type: ignore[arg-type]
    moved.__dict__.update(value.__dict__)
    moved.__kwdefaults__, moved.__annotations__ = value.__kwdefaults__, value.__annotations__
    moved.__doc__, moved.__module__, moved.__qualname__ = value.__doc__, value.__module__, value.__qualname__
    return moved
