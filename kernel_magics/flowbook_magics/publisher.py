"""How what cells have written reaches the notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowbook_magics.namespace import MISSING, bind_at_home


class Publisher:
    """Puts what cells wrote into the notebook's namespace so that it ends with the last version of each name."""

    def __init__(self, notebook: dict[str, Any], position: Callable[[str], int | None]) -> None:
        """`position` tells where the cell with a key stands, None if it is gone."""
        self._notebook = notebook
        self._position = position
        self._writers: dict[str, str] = {}
        self._lock = threading.Lock()

    def publish(self, values: Mapping[str, Any], deleted: Iterable[str], key: str, *, always: bool = False) -> None:
        """The cell with this key wrote `values` and has unbound `deleted`; versions of later cells stay.

        `always` is for a cell that the user runs by itself: its names are bound as by a plain cell.
        """
        with self._lock:
            for name in deleted:
                if (always or self._is_newest(name, key)) and name not in values:
                    bind_at_home(self._notebook, name, MISSING)
                    self._writers[name] = key
            for name, value in values.items():
                if always or self._is_newest(name, key):
                    bind_at_home(self._notebook, name, value)
                    self._writers[name] = key

    def forget(self, names: Iterable[str], key: str) -> list[str]:
        """The cell with this key does not write `names` any more; those whose version in the notebook was its own."""
        with self._lock:
            own = [name for name in names if self._writers.get(name) == key]
            for name in own:
                del self._writers[name]
        return own

    def writer(self, name: str) -> str | None:
        """The key of the cell whose version of a name the notebook has, if that is known."""
        return self._writers.get(name)

    def bound_behind(self, names: Iterable[str], key: str) -> list[str]:
        """Those of `names` whose version in the notebook is that of a cell behind the one with this key."""
        return [name for name in names if name in self._writers and not self._is_newest(name, key)]

    def wrote(self, names: Iterable[str], key: str) -> None:
        """The plain cell with this key has bound `names` in the notebook itself."""
        with self._lock:
            self._writers.update(dict.fromkeys(names, key))

    def _is_newest(self, name: str, key: str) -> bool:
        before = self._position(self._writers[name]) if name in self._writers else None
        return before is None or before <= (self._position(key) or before)
