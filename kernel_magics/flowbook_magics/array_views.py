"""Arrays that lie in one memory, and stay so on the way to another process and back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from flowbook_magics.taken_over import Number, object_here

_MUCH = 1 << 20  # bytes that are sent along although no array uses them


def arrays_among(values: Iterable[Any]) -> list[Any]:
    """Those of NumPy's arrays among some objects that can be views of others."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return []
    return [value for value in values if type(value) is numpy.ndarray and not value.dtype.hasobject]


def owner_of(array: Any) -> Any:
    """The array that has the memory in which this one lies."""
    while isinstance(array.base, type(array)):
        array = array.base
    return array


class Views:
    """Which arrays to pickle as views, and of what."""

    def __init__(self, arrays: Iterable[Any], known: Iterable[tuple[Any, Number]] = ()) -> None:
        """`arrays` are to be pickled. `known` ones have come from the notebook, and have numbers there."""
        known = list(known)
        self._numbered = {id(each) for each, _ in known}
        self._known = {id(owner_of(each)): (each, number) for each, number in known if _is_whole(each)}
        together: dict[int, list[Any]] = {}
        for each in arrays:
            together.setdefault(id(owner_of(each)), []).append(each)
        shared = (some for some in together.values() if len(some) > 1)
        self._owners = {id(owner_of(some[0])) for some in shared if _is_worth_it(owner_of(some[0]), some)}

    def reduced(self, array: Any) -> Any:
        """How to make such an array again; None if it is to be an array of its own."""
        if id(array) in self._numbered:
            return None  # its content is what the one there takes over
        owner = owner_of(array)
        known, number = self._known.get(id(owner), (None, None))
        if known is not None:
            return _view_of_number, (number, known.strides, array.copy(), *_place(array, known))
        if id(owner) in self._owners and array is not owner:
            return _view_of, (owner, *_place(array, owner))
        return None

    def lost(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The pairs of names whose arrays lie in one memory, but will not."""
        first: dict[int, str] = {}
        pairs = []
        for name in values:
            for each in arrays_among([values[name]]):
                owner = id(owner_of(each))
                other = first.setdefault(owner, name)
                if owner not in self._owners and owner not in self._known and values[other] is not each:
                    pairs.append((other, name))
        return pairs


def _is_whole(array: Any) -> bool:
    return bool(array.flags.forc and array.nbytes == owner_of(array).nbytes)


def _is_worth_it(owner: Any, arrays: list[Any]) -> bool:
    return bool(owner.flags.forc and owner.nbytes <= _MUCH + sum(each.nbytes for each in arrays))


def _place(array: Any, owner: Any) -> tuple[Any, ...]:
    offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return offset, array.shape, array.strides, array.dtype, array.flags.writeable


def _view_of(owner: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool) -> Any:
    """An array in the memory of `owner`, which lies there without gaps."""
    import numpy

    view = numpy.ndarray(shape, dtype, owner.ravel(order="A"), offset, strides)
    view.flags.writeable = writeable and owner.flags.writeable
    return view


def _view_of_number(number: Number, strides: Any, copy: Any, *place: Any) -> Any:
    """An array in the memory of a numbered one; `copy`, if that lies there otherwise than in the other process."""
    owner = object_here(number)
    return _view_of(owner, *place) if owner.strides == strides and owner.flags.forc else copy
