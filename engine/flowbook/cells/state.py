"""What is known at one point of a cell, and how the paths of a cell come together.

The analysis is definite assignment: a name is *definitely* bound where every path that leads there binds it, and
*possibly* bound where some path does. A point that no path leads to has no state: ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowbook.cells.definitions import Definition

__all__ = ["NOTHING", "Jumps", "State", "Value", "join"]

_NONE: frozenset[str] = frozenset()
_NO_DEFINITIONS: frozenset[Definition] = frozenset()


class Value(NamedTuple):
    """What is known about an object that an expression gives."""

    roots: frozenset[str] = _NONE
    """What it may be, or be a part or view of: keys of names from outside, or tokens of objects made here."""
    holds: frozenset[str] = _NONE
    """Objects that it holds a reference to, as a list holds its items."""
    carries: frozenset[Definition] = _NO_DEFINITIONS
    """Functions and classes of this cell that may run when it is used."""
    path: str = ""
    """The dotted path of a module, function or class, if it is imported."""
    is_part: bool = False
    """It is a part of its roots (``d["a"]``), not one of them."""
    made_by: frozenset[str] = _NONE
    """Functions and classes of other cells whose call gave it; ``"x.add"`` is the method of an object."""
    holds_made: frozenset[str] = _NONE
    """The same of what it holds."""

    def __or__(self, other: object) -> Value:
        """Either of the two."""
        if not isinstance(other, Value):
            return NotImplemented
        if other is NOTHING or other == self:
            return self
        if self is NOTHING:
            return other
        return Value(
            self.roots | other.roots,
            self.holds | other.holds,
            self.carries | other.carries,
            self.path if self.path == other.path else "",
            self.is_part or other.is_part,
            self.made_by | other.made_by,
            self.holds_made | other.holds_made,
        )

    def part(self) -> Value:
        """An attribute or item of it."""
        if not (self.roots or self.holds or self.carries or self.made_by or self.holds_made):
            return NOTHING
        carries = self.carries and frozenset(each for each in self.carries if not (each.moves_on and each.iterates))
        made_by = self.made_by | self.holds_made
        return Value(self.roots | self.holds, self.holds, carries, "", True, made_by, self.holds_made)

    def held(self) -> Value:
        """A new container that holds it."""
        if not (self.roots or self.holds or self.carries or self.made_by or self.holds_made):
            return NOTHING
        made_by = self.made_by | self.holds_made
        return Value(_NONE, self.roots | self.holds, self.carries, holds_made=made_by)


NOTHING = Value()


@dataclass(slots=True)
class State:
    """What is bound, surely or perhaps, and to what. Keys are those of :mod:`flowbook.cells.scopes`."""

    definite: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)
    values: dict[str, Value] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Names that every path has deleted."""

    def copy(self) -> State:
        return State(self.definite.copy(), self.possible.copy(), self.values.copy(), self.gone.copy())

    def bind(self, key: str, value: Value) -> None:
        self.definite.add(key)
        self.possible.add(key)
        self.values[key] = value
        self.gone.discard(key)

    def unbind(self, key: str) -> None:
        self.definite.discard(key)
        self.possible.discard(key)
        self.values.pop(key, None)
        self.gone.add(key)

    def absorb(self, other: State) -> None:
        """Take in what another path may have bound, leaving alone what is sure."""
        self.possible |= other.possible
        for key, value in other.values.items():
            mine = self.values.get(key)
            self.values[key] = value if mine is None else mine | value


def join(left: State | None, right: State | None) -> State | None:
    """The state where two paths meet; neither argument is changed."""
    if left is None or right is None:
        known = left or right
        return known.copy() if known else None
    joined = left.copy()
    joined.definite &= right.definite
    joined.gone &= right.gone
    joined.absorb(right)
    return joined


@dataclass(slots=True)
class Jumps:
    """The states in which statements were left other than by their end."""

    breaks: State | None = None
    continues: State | None = None
    returns: State | None = None
    raises: State | None = None
    watches_raises: bool = False
    """Whether an enclosing ``try`` needs to know ``raises``."""

    def add(self, kind: str, state: State | None) -> None:
        if state is not None:
            setattr(self, kind, join(getattr(self, kind), state))

    def add_all(self, inner: Jumps, *kinds: str) -> None:
        for kind in kinds:
            self.add(kind, getattr(inner, kind))

    def unbind(self, key: str) -> None:
        for state in (self.breaks, self.continues, self.returns, self.raises):
            if state is not None:
                state.unbind(key)
