"""Containers and iterators: what they hold, and how one becomes like another one in place."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any

from flowbook_magics.kinds import Fixed, Kind, Of, all_alike, are_alike


class ListKind(Kind):
    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), *_base_of(value, _SEQUENCES).__iter__(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        base = _base_of(value, _SEQUENCES)
        for index, part in enumerate(base.__iter__(value)):
            if (other := of(part)) is not part:
                base.__setitem__(value, index, other)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        base = _base_of(old, _SEQUENCES)
        items = list(base.__iter__(new))
        if not all_alike(list(base.__iter__(old)), items):
            if base is list:
                list.__setitem__(old, slice(None), items)
            else:
                base.clear(old)
                base.extend(old, items)


class ExactListKind(Kind):
    """Just a list, without attributes: most are."""

    def parts(self, value: Any) -> Iterable[Any]:
        return value  # type: ignore[no-any-return]

    def replace(self, value: Any, of: Of) -> None:
        value[:] = map(of, value)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        old[:] = new


class DictKind(Kind):
    def parts(self, value: Any) -> Iterable[Any]:
        keys, values = list(_base_of(value, _MAPPINGS).keys(value)), list(_base_of(value, _MAPPINGS).values(value))
        return [*super().parts(value), *keys, *values, *_factory_of(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        _replace_items(value, of)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        if isinstance(old, defaultdict):
            old.default_factory = new.default_factory
        _take_items(old, _items_of(new))


class ExactDictKind(Kind):
    """Just a dict, without attributes: most are."""

    def parts(self, value: Any) -> Iterable[Any]:
        return [*value, *value.values()]

    def replace(self, value: Any, of: Of) -> None:
        _replace_items(value, of)

    def fits(self, old: Any, new: Any) -> bool:
        return True

    def become(self, old: Any, new: Any) -> None:
        if len(old) == len(new) and all(map(_is_same_text, old, new)):
            old.update(new)  # nobody sees it in between
        else:
            _take_items(old, list(new.items()))


def _is_same_text(one: Any, other: Any) -> bool:
    return type(one) is str and type(other) is str and one == other


def _factory_of(value: Any) -> tuple[Any, ...]:
    return (value.default_factory,) if isinstance(value, defaultdict) else ()


def _replace_items(value: Any, of: Of) -> None:
    before = _items_of(value)
    now = [(of(key), of(part)) for key, part in before]
    if any(key is not other for (key, _), (other, _) in zip(before, now, strict=True)):
        _fill(value, now)
    else:
        for (key, part), (_, other) in zip(before, now, strict=True):
            if part is not other:
                dict.__setitem__(value, key, other)


def _take_items(old: Any, now: list[tuple[Any, Any]]) -> None:
    before = _items_of(old)
    if not all_alike([key for key, _ in before], [key for key, _ in now]):
        _fill(old, now)
    else:
        for (key, part), (_, other) in zip(before, now, strict=True):
            if not are_alike(part, other):
                dict.__setitem__(old, key, other)


def _items_of(mapping: Any) -> list[tuple[Any, Any]]:
    return list(_base_of(mapping, _MAPPINGS).items(mapping))


def _fill(mapping: Any, items: list[tuple[Any, Any]]) -> None:
    base = _base_of(mapping, _MAPPINGS)
    base.clear(mapping)
    for key, value in items:
        base.__setitem__(mapping, key, value)


class SetKind(Kind):
    is_ordered = False

    def parts(self, value: Any) -> Iterable[Any]:
        return [*super().parts(value), *set.__iter__(value)]

    def replace(self, value: Any, of: Of) -> None:
        super().replace(value, of)
        before = list(set.__iter__(value))
        now = [of(part) for part in before]
        if any(part is not other for part, other in zip(before, now, strict=True)):
            set.clear(value)
            set.update(value, now)

    def become(self, old: Any, new: Any) -> None:
        super().become(old, new)
        if old != new:
            set.clear(old)
            set.update(old, set.__iter__(new))


class WeakSetKind(Kind):
    is_ordered = False

    def parts(self, value: Any) -> Iterable[Any]:
        return list(value)

    def replace(self, value: Any, of: Of) -> None:
        items = list(map(of, value))
        value.clear()
        value.update(items)

    def become(self, old: Any, new: Any) -> None:
        old.clear()
        old.update(new)


class IteratorKind(Fixed):
    """An iterator in C: what it goes through, and where it is."""

    can_change = True

    def __init__(self) -> None:
        super().__init__(lambda each: each.__reduce__()[1], _iterator_over)


def _iterator_over(value: Any, parts: list[Any]) -> Any:
    make, _, *state = value.__reduce__()
    made = make(*parts)
    if state:
        made.__setstate__(*state)
    return made


def _base_of(value: Any, bases: Iterable[Any]) -> Any:
    return next(base for base in bases if isinstance(value, base))


def tuple_of(value: Any, parts: list[Any]) -> Any:
    """One like `value` of a subclass of tuple, with other parts; the last one is its class."""
    made: Any = tuple.__new__(type(value), parts[:-1])
    if hasattr(value, "__dict__"):
        made.__dict__.update(value.__dict__)
    return made


_SEQUENCES, _MAPPINGS = (list, deque), (OrderedDict, dict)
