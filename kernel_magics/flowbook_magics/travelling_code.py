"""Pickles of what goes with a cell to another process, and of what it has made there.

Arrays that lie in one memory do so there as well, and functions find their names there as they did here: in what stands
for the notebook, or for the namespace of the cell that has defined them. On the way back, functions and classes that
have come from the notebook go as themselves, not as copies; those that the cell has defined are at home in the notebook
from then on, as if it had run here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextvars import ContextVar
from functools import _lru_cache_wrapper, partial
from pickle import PickleBuffer
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from cloudpickle.cloudpickle import _function_setstate

from flowbook.run.pickles import Pickler, pack, unpack
from flowbook_magics.array_views import Views, arrays_among
from flowbook_magics.functions import global_reads
from flowbook_magics.kinds import ATOMS
from flowbook_magics.namespace import CellNamespace
from flowbook_magics.taken_over import Number, Numbered, numbered_here, object_here, reached

_CODE = (FunctionType, type, _lru_cache_wrapper)
_NOTEBOOK, _CELL = 0, -1
"""Keys of namespaces: of the notebook, and of the cell that runs in the other process. Others are known by an id."""


class Place:
    """The notebook, or what stands for it in another process, with the namespaces of cells that have run."""

    def __init__(self, notebook: dict[str, Any]) -> None:
        self.notebook = notebook
        self._namespaces: dict[int, CellNamespace] = {}

    def __reduce__(self) -> Any:
        return _arrived, ()

    def names(self, key: int) -> dict[str, Any]:
        """The globals of functions with this key."""
        if key == _NOTEBOOK:
            return self.notebook
        if key not in self._namespaces:
            self._namespaces[key] = namespace = CellNamespace({}, self.notebook)
            namespace.close()
        return self._namespaces[key].names

    def used_by_functions(self, objects: Iterable[Any], known: Set[str]) -> dict[str, Any]:
        """What the functions of the notebook among `objects` use beside the names that are `known`, by its names."""
        used: dict[str, Any] = {}
        while functions := [each for each in objects if isinstance(each, FunctionType)]:
            read = {name for each in functions if self.key_of(each) is not None for name in global_reads(each.__code__)}
            more = self.in_notebook(read - known - used.keys())
            new = {name: value for name, value in more.items() if type(value) not in ATOMS}
            used.update(new)
            objects = reached(new.values())
        return used

    def in_notebook(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of these names that the notebook has now: other cells bind and unbind some meanwhile."""
        found = ((name, self.notebook.get(name, self)) for name in names)
        return {name: value for name, value in found if value is not self}

    def key_of(self, function: FunctionType) -> int | None:
        """The key of the globals of a function; None if they are none of the notebook's."""
        if function.__globals__ is self.notebook:
            return _NOTEBOOK
        if (namespace := CellNamespace.of(function)) is None:
            return None
        known = next((key for key, each in self._namespaces.items() if each is namespace), id(namespace))
        self._namespaces[known] = namespace
        return known


_arriving: ContextVar[Place | None] = ContextVar("flowbook_arriving", default=None)
"""Where what is being unpickled arrives, if that is the notebook."""


def _arrived() -> Place:
    return _arriving.get() or Place({"__name__": "__main__"})


class _Traveller(Pickler):
    """Pickles functions of the notebook so that they are at home in another place."""

    place: Place
    views: Views

    def reducer_override(self, obj: Any) -> Any:
        if arrays_among([obj]) and (view := self.views.reduced(obj)) is not None:
            return view
        reduced = super().reducer_override(obj)
        if type(obj) is not FunctionType or not isinstance(reduced, tuple) or reduced[-1] is not _function_setstate:
            return reduced  # it goes by its name
        key = self.key_of(obj)
        if key is None:
            return reduced
        state, slots = reduced[2]
        slots["__globals__"] = {}
        code, *_, closure = reduced[1]
        names = self.names_for(obj, key)
        return _function_at, (self.place, key, code, closure), (self.place, *names, state, slots), None, None, _complete

    def key_of(self, function: FunctionType) -> int | None:
        """The key of the namespace in which the function is to be at home."""
        return self.place.key_of(function)

    def names_for(self, function: FunctionType, key: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What has to be in its namespace, and in the notebook, for the function to find its names."""
        raise NotImplementedError  # pragma: no cover


def outward(place: Place, views: Views) -> type[Pickler]:
    """What pickles a cell of this place, and its inputs, for another process."""

    class Outward(_Traveller):
        def names_for(self, function: FunctionType, key: int) -> tuple[dict[str, Any], dict[str, Any]]:
            read = global_reads(function.__code__)
            own = {name: value for name in read if (value := dict.get(function.__globals__, name, place)) is not place}
            if key == _NOTEBOOK:
                return {}, own
            return own, place.in_notebook(read - own.keys())

    Outward.place, Outward.views = place, views
    return Outward


class Origin(NamedTuple):
    """Where what is pickled on the way back has come from."""

    place: Place
    numbers: Mapping[int, Number]
    """The numbers of what came from the notebook, by their ids."""
    names: dict[str, Any]
    """The names of the cell."""
    inside: Collection[str]
    """Those of them that stay inside of the cell."""
    views: Views
    moved: Collection[int]
    """The ids of functions that belong to the notebook from now on. Others that the cell has made belong to it."""


class _Homeward(_Traveller):
    def __init__(self, origin: Origin, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place, self.views, self._origin = origin.place, origin.views, origin

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, _CODE) and (number := self._origin.numbers.get(id(obj))) is not None:
            return object_here, (number,)
        return super().reducer_override(obj)

    def key_of(self, function: FunctionType) -> int | None:
        if function.__globals__ is not self._origin.names:
            return super().key_of(function)
        return _NOTEBOOK if id(function) in self._origin.moved else _CELL

    def names_for(self, function: FunctionType, key: int) -> tuple[dict[str, Any], dict[str, Any]]:
        inside = self._origin.inside if key == _CELL else ()
        return {name: function.__globals__[name] for name in inside if name in global_reads(function.__code__)}, {}


def _function_at(place: Place, key: int, code: CodeType, closure: Any) -> FunctionType:
    return FunctionType(code, place.names(key), closure=closure)


def _complete(function: FunctionType, state: Any) -> None:
    place, own, beyond, *rest = state
    names = function.__globals__
    builtins = names.get("__builtins__")
    _function_setstate(function, rest)
    if builtins is not None:
        names["__builtins__"] = builtins  # cloudpickle has put others there
    names.update(own)
    for name, value in beyond.items():
        place.notebook.setdefault(name, value)


def pack_homeward(value: Any, origin: Origin) -> list[PickleBuffer]:
    """`value` for `unpack_here`; raises whatever keeps it from being pickled."""
    return [PickleBuffer(part) for part in pack(value, partial(_Homeward, origin))]


def unpack_here(parts: Sequence[PickleBuffer], place: Place, numbered: Numbered) -> Any:
    """The value that `pack_homeward` was given in the process to which `place` and what is `numbered` were sent."""
    here, objects = _arriving.set(place), numbered_here.set(numbered)
    try:
        return unpack([memoryview(part) for part in parts])
    finally:
        _arriving.reset(here)
        numbered_here.reset(objects)
