"""Objects that a cell has changed in another process, where they were copies: the ones here become like them.

So all that shares them here sees the change: other names, containers that hold them, views of arrays. Of which object
here something is a copy is known by numbers: both processes number what can be reached from the inputs, in one order.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakSet
from zlib import crc32

from flowbook_magics.code_kinds import Changes
from flowbook_magics.kinds import ATOMS, Fixed, Kind, Of
from flowbook_magics.object_kinds import kinds

Number = tuple[str, int]
"""The name from which an object was reached first, and how many were reached from it before."""


class Part(NamedTuple):
    """What was reached from one name and from none before it: how many objects, and a checksum of what they are."""

    objects: int
    checksum: int


class Numbered:
    """The objects that can be reached from the values of names, each with a number."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.objects: dict[str, list[Any]] = {}
        self.parts: dict[str, Part] = {}
        found: set[int] = set()
        for name in sorted(values):
            reached = list(_reached([values[name]], found, in_order=True))
            self.objects[name] = [each for each, _ in reached]
            types = {type(each): number for number, each in enumerate(self.objects[name])}
            looks = array("q", (held << 32 | types[type(each)] for each, held in reached))
            names = " ".join(of.__qualname__ for of in types)
            self.parts[name] = Part(len(reached), crc32(names.encode(), crc32(looks.tobytes())))

    def __iter__(self) -> Iterator[Any]:
        return (each for objects in self.objects.values() for each in objects)

    def __getitem__(self, number: Number) -> Any:
        name, index = number
        return self.objects[name][index]

    def known_by(self, other: Mapping[str, Part]) -> dict[int, Number]:
        """The numbers by the ids of the objects, as far as another process has numbered the same."""
        numbers: dict[int, Number] = {}
        is_same = True
        for name, objects in self.objects.items():
            is_same = is_same and other.get(name) == self.parts[name]
            # Where they go different ways, what a name stands for is still the same.
            known = objects if is_same else objects[:1] if objects and name in other and other[name].objects else ()
            numbers.update((id(each), (name, index)) for index, each in enumerate(known))
        return numbers


numbered_here: ContextVar[Numbered] = ContextVar("flowbook_numbered")
"""What was numbered for the process from which something is being unpickled."""


def object_here(number: Number) -> Any:
    """The object of this number, for what is being unpickled."""
    return numbered_here.get()[number]


ELEMENTS = "elements of sets"
"""Stands in the place of a name for what sets hold: copies of them have it in another order."""


def elements_of_sets(objects: Iterable[Any]) -> list[list[Any]]:
    """What each set among some objects holds, if it holds more than atoms."""
    sets = (list(each) for each in objects if isinstance(each, set | frozenset | WeakSet))
    return [elements for elements in sets if not ATOMS.issuperset(map(type, elements))]


class Takeover:
    """Makes the old ones of `pairs`, old and new, like the new ones in place, where that can be.

    With a class or function goes what has been changed of it. `values` hold new ones, for `of`; `here` are the ids of
    objects that are no copies.
    """

    def __init__(
        self, pairs: Collection[tuple[Any, Any]], values: Iterable[Any] = (), here: Collection[int] = ()
    ) -> None:
        known: dict[int, tuple[Any, Any]] = {}
        changes: list[tuple[Kind, Any, Any]] = []
        code: list[tuple[Any, Changes]] = []
        apart: list[tuple[Any, Any]] = []
        for old, new in pairs:
            kind = kinds[type(old)] if type(old) is type(new) else None
            if isinstance(new, Changes):
                code.append((old, new))
            elif kind is not None and kind.fits(old, new):
                known[id(new)] = new, old
                changes.append((kind, old, new))
            elif old is not new:
                apart.append((old, new))
        self.of = _substitute(known)
        """Gives the object that stands for a new one here: the old one, or itself, which holds old ones then."""
        news = [*(new for _, new in pairs), *values]
        for each in _holders(news, set(here)):
            kinds[type(each)].replace(each, self.of)  # type: ignore[union-attr]  # it has parts
        for kind, old, new in changes:
            kind.become(old, new)
        for to, changed in code:
            changed.apply(to, self.of)
        self.replaced = {id(old): (old, self.of(new)) for old, new in apart}
        """By their ids, old ones that could not be changed, and what is to take their place."""


def _substitute(known: Mapping[int, tuple[Any, Any]]) -> Of:
    """Gives what stands for an object, as it is `known` by ids: else itself, or a fixed one made anew, once."""
    made = dict(known)

    def of(value: Any) -> Any:
        if id(value) not in made:
            kind = kinds[type(value)]
            if not isinstance(kind, Fixed):
                return value
            made[id(value)] = value, kind.with_parts(value, of)
        return made[id(value)][1]

    return of


def replace_everywhere(
    replaced: Mapping[int, tuple[Any, Any]], made: Collection[dict[str, Any]], notebook: dict[str, Any]
) -> None:
    """Have what cells have `made`, and all that it holds, hold other objects in the place of those that are replaced.

    So do names of the notebook.
    """
    of = _substitute(replaced)
    for each in _holders([value for values in made for value in values.values()], set()):
        kinds[type(each)].replace(each, of)  # type: ignore[union-attr]  # it has parts
    for values in (*made, notebook):
        values.update((name, other) for name, value in list(values.items()) if (other := of(value)) is not value)


def reached(values: Iterable[Any], into: Callable[[type], bool] = lambda _: True) -> Iterator[Any]:
    """All objects that can be reached from these values and that may hold something, through those of types `into`."""
    return (each for each, _ in _reached(values, set(), in_order=False, into=into))


def _holders(values: Iterable[Any], found: set[int]) -> list[Any]:
    """Those that do hold others."""
    return [each for each, held in _reached(values, found, in_order=False) if held < 0]


def _reached(
    values: Iterable[Any], found: set[int], *, in_order: bool, into: Callable[[type], bool] = lambda _: True
) -> Iterator[tuple[Any, int]]:
    """What can be reached and is not `found` yet, and how many parts it has: negative, if not all are atoms.

    `in_order`: only by ways that are the same in every process.
    """
    pending, made = list(values), []
    while pending:
        each = pending.pop()
        of = type(each)
        if of in ATOMS or id(each) in found:
            continue
        parts: Any
        if of is list or of is tuple:  # most are of these kinds
            parts = each
        elif of is dict:
            parts = [*each, *each.values()]
        else:
            kind = kinds[of]
            if kind is None:
                continue
            parts = list(kind.parts(each)) if (kind.is_ordered or not in_order) and into(of) else []
            made.append(parts)  # some are made as they are asked for, and none must get the id of another one
        holds_more = not ATOMS.issuperset(map(type, parts))
        if holds_more or of is not tuple:
            found.add(id(each))
            yield each, -len(parts) if holds_more else len(parts)
            if holds_more:
                pending += parts
