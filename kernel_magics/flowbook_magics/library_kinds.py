"""Arrays, tables, errors, trees and generators of numbers: how one becomes like another one in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowbook_magics.kinds import Kind, Of, Whole


class _Array(Kind):
    """An array of NumPy's. It is its memory that becomes like another one, so views of it see the change."""

    def parts(self, value: Any) -> Iterable[Any]:
        return value.ravel().tolist() if value.dtype.hasobject else ()

    def replace(self, value: Any, of: Of) -> None:
        if value.dtype.char == "O":
            flat = value.flat
            for index, part in enumerate(value.ravel().tolist()):
                if (other := of(part)) is not part:
                    flat[index] = other

    def fits(self, old: Any, new: Any) -> bool:
        return bool(old.dtype == new.dtype and old.shape == new.shape and old.flags.writeable)

    def become(self, old: Any, new: Any) -> None:
        old[...] = new


class _Table(Kind):
    """A table or column of pandas."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [part for each in self._arrays(value) for part in each.ravel().tolist()]

    def replace(self, value: Any, of: Of) -> None:
        for each in self._arrays(value):
            ARRAY.replace(each, of)

    def _arrays(self, value: Any) -> list[Any]:
        """Those of its columns that hold objects."""
        arrays = (block.values for block in value._mgr.blocks)
        return [each for each in arrays if hasattr(each, "flat") and each.dtype.hasobject]

    def become(self, old: Any, new: Any) -> None:
        old._update_inplace(new)
        for name in ("_name", "_attrs", "_flags"):
            if hasattr(new, name):
                object.__setattr__(old, name, getattr(new, name))


class _Error(Kind):
    """An exception: its arguments, and attributes."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), value.args]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        if (args := of(value.args)) is not value.args:
            value.args = args

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        old.args = new.args


class _Element(Kind):
    """An element of a tree of XML."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [value.attrib, *value]

    def replace(self, value: Any, of: Of) -> None:
        value[:] = map(of, value)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        old.tag, old.text, old.tail, old[:] = new.tag, new.text, new.tail, list(new)
        old.attrib.clear()
        old.attrib.update(new.attrib)


def _generator_of(value: Any) -> Any:
    """What has the state of NumPy's generators."""
    return getattr(value, "bit_generator", None) or getattr(value, "_bit_generator", value)


ARRAY, TABLE, ERROR, ELEMENT = _Array(), _Table(), _Error(), _Element()
RANDOM_OF_NUMPY = Whole(lambda old, new: _generator_of(old).__setstate__(_generator_of(new).__getstate__()))
