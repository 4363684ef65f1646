"""What a function, class or lambda does when it is called: its names are looked up then, not where it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from flowbook.cells.scopes import is_global

__all__ = [
    "ARTIST",
    "BOUND_MUTATOR",
    "BOUND_WRITER",
    "CLIENT",
    "CONSTRUCTORS",
    "DATABASE",
    "DRAWS_NUMBERS",
    "ITERATOR",
    "LOGGER",
    "MAPPED",
    "OF_LIBRARY",
    "OWN_MODULE",
    "PATCHER",
    "RECORDER",
    "SETTINGS",
    "Argument",
    "Definition",
    "Told",
    "merged",
    "seen_outside",
]

CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__call__"})
"""The methods that may run when a class of the cell (or one of its instances) is called."""

_NONE: frozenset[str] = frozenset()


class Told(StrEnum):
    """What is said to an object besides the name of the method, where what it is may be known elsewhere."""

    AS_STATEMENT = "<as a statement>"
    """Nothing is done with what the method gives: it is there for what it does."""
    PERHAPS = "<perhaps>"
    """What the method gives is used, but it is called as one that does something; or it is the cell's last word."""
    SOME_METHOD = "<some method>"
    """A method that was kept in a variable, or handed on: one of those that it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """``name`` is passed to ``function`` at ``slot``; the function may change it, or what it holds."""

    function: str
    slot: int | str
    """Position from 0, or keyword."""
    name: str
    is_parameter: bool = False
    """``name`` is a parameter of the function that makes the call."""

    def place_in(self, definition: Definition) -> int | str:
        """Where it arrives in the definition of the function, or in the constructor of the class: after ``self``."""
        is_after = isinstance(self.slot, int) and (definition.kind == "class" or "." in self.function)
        return int(self.slot) + 1 if is_after else self.slot


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A function, class, lambda or generator expression of a cell, as a caller sees it."""

    name: str
    kind: str = "function"
    parameters: tuple[str, ...] = ()
    reads: frozenset[str] = _NONE
    """Global names that it looks up when it is called."""
    writes: frozenset[str] = _NONE
    """Global names that it may bind (``global x``)."""
    always_writes: frozenset[str] = _NONE
    mutates: frozenset[str] = _NONE
    """Global names whose objects it changes in place."""
    mutates_parts: frozenset[str] = _NONE
    """Those of ``mutates`` of which it changes a part: an item, an attribute's object."""
    mutates_parameters: frozenset[str] = _NONE
    returns_parameters: frozenset[str] = _NONE
    """Parameters that its result may be, be a view of, or hold."""
    arguments: frozenset[Argument] = frozenset()
    """What it passes on to functions that are known only when it is called."""
    stores: frozenset[tuple[str, str]] = frozenset()
    """``(owner, parameter)``: the owner holds the argument from then on. It is a global name, or ``":name"`` for the
    parameter ``name``; ``"*"`` is a parameter of a function inside, as a decorator with arguments returns it."""
    method_calls: frozenset[tuple[str, str]] = frozenset()
    """``(owner, method)`` that it calls, `Told` among the methods. The owner is a global name or ``":name"`` for the
    parameter ``name``."""
    changes: frozenset[str] = _NONE
    """Shared resources that it changes."""
    looks: frozenset[str] = _NONE
    """Shared resources that it only looks at."""
    flags: frozenset[str] = _NONE
    mutating_methods: frozenset[str] = _NONE
    """For a class: the methods that change ``self``."""
    methods: tuple[Definition, ...] = field(default=(), repr=False)
    bases: frozenset[str] = _NONE
    """For a class: the classes of other cells that it inherits from."""
    returns: frozenset[str] = _NONE
    """Global names whose objects its result may be, be a part of, or hold."""
    keeps_state: bool = False
    """What it returns changes when that is used: a generator, or a closure over what it changes."""
    moves_on: bool = False
    """Using it changes it: an iterator, a function that changes its own default, a closure over what it changes."""
    iterates: bool = False
    """It is an iterator, or returns one: the items that it gives do not move on."""
    gives_code: bool = False
    """What it returns runs code of its own later: a closure, or a generator."""
    is_decorated: bool = False
    """Its name stands for what decorators have made of it."""
    of_library: bool = False
    """It is of a library whose methods are not known here, or returns such an object, or inherits from such a class."""

    def parameter_at(self, slot: int | str) -> str:
        """The parameter that an argument at this position, or with this keyword, arrives in ('' if none)."""
        if isinstance(slot, str):
            return slot if slot in self.parameters else ""
        return self.parameters[slot] if slot < len(self.parameters) else ""

    def is_called(self, name: str) -> bool:
        """Whether it is the function that has this name, rather than a part of what the name holds."""
        return self.kind == "function" and self.name == name and not self.is_decorated

    def calls_of_others(self) -> set[tuple[str, str]]:
        """Those of `method_calls` that are not of its own parameters."""
        return {(owner, method) for owner, method in self.method_calls if owner[:1] != ":"}

    def calls_of_itself(self) -> Iterator[str]:
        """For a method: those that it calls of its own object."""
        return (method for owner, method in self.method_calls if owner[:1] == ":" and owner[1:] in self.parameters[:1])

    def result(self) -> Definition:
        """What its call gives, where that is code that runs later."""
        return replace(self, moves_on=True) if self.keeps_state else self

    @property
    def gives_itself(self) -> bool:
        """For a class: whether what its call gives may be kept by it, and be given again."""
        return self.kind == "class" and any(
            method.name == "__new__" and not method.returns_parameters.isdisjoint(method.parameters[:1])
            for method in self.methods
        )

    def is_changed_by(self, method: str) -> bool:
        """For a class: whether a method, or what else is `Told`, changes its object."""
        if method == Told.SOME_METHOD:
            names = {part.name for part in self.methods}
            return not self.mutating_methods.isdisjoint({"__call__"} if "__call__" in names else names)
        return method in self.mutating_methods or (self.of_library and method in _TOLD_TO_A_LIBRARY)

    @property
    def is_closure(self) -> bool:
        """Whether using it changes it, and using what was unpacked from it, too."""
        return self.moves_on and not self.iterates

    def parts_for_call(self) -> tuple[Definition, ...]:
        """What runs when it is called: itself, or the constructors of a class."""
        if self.kind != "class":
            return (self,)
        return tuple(method for method in self.methods if method.name in CONSTRUCTORS)


_TOLD_TO_A_LIBRARY = (Told.AS_STATEMENT, Told.PERHAPS, "__init_subclass__")  # classes are registered with their base

ITERATOR = Definition(name="<iterator>", moves_on=True, iterates=True)
"""An iterator that is not made by code of the user."""

ARTIST = Definition(name="<artist>", changes=frozenset({"pyplot"}))
"""A figure, its axes and what is drawn on them: whatever they are called, the current figure may show it."""

DATABASE = Definition(name="<database>", changes=frozenset({"databases"}))
"""A connection: another one may be to the same database."""

DRAWS_NUMBERS = Definition(name="<draws numbers>", changes=frozenset({"numpy.random"}))
"""What takes its random numbers from NumPy's global state when it is used, as a model without ``random_state``."""

LOGGER = Definition(name="<logger>", looks=frozenset({"logging"}))
"""A logger: whoever asks for it by its name may have changed it."""

SETTINGS = Definition(name="<settings>", flags=frozenset({"settings"}))
"""What holds settings for the cells behind, as a context of `decimal`."""

CLIENT = Definition(name="<client>", looks=frozenset({"network"}))
"""What talks to servers, of which the notebook may have one of its own."""

MAPPED = Definition(name="<mapped file>", looks=frozenset({"files:?"}))
"""An array that lies in a file: who changes it changes the file."""

OWN_MODULE = Definition(name="<module of cells>", changes=frozenset({"modules"}))
"""A module that a cell has written, or what is imported from it: its functions may change what it keeps."""

OF_LIBRARY = Definition(name="<object of a library>", of_library=True)
"""An object of a library that is in no table: what its methods are called is all that is known of them."""

PATCHER = Definition(name="<patcher>", flags=frozenset({"module"}))
"""What puts something else in the place of a part of a module, until it is stopped."""

RECORDER = Definition(name="<recorder>", moves_on=True)
"""An object that keeps what it is told to show."""

BOUND_MUTATOR = Definition(name="<bound method>", moves_on=True)
"""A method that changes its object, kept in a variable or passed on: ``add = items.append``."""

BOUND_WRITER = Definition(name="<bound writer>", moves_on=True, changes=frozenset({"files:?"}))
"""One that writes to an open file: ``tell = log.write``."""


def merged(
    name: str, methods: Iterable[Definition], bases: Sequence[Definition], *, of_library: bool = False
) -> Definition:
    """A class as the sum of its methods and of those of its bases in the same cell, or of a library."""
    own = tuple(methods)
    everything = own + tuple(method for base in bases for method in base.methods)

    of_library = of_library or any(base.of_library for base in bases)
    mutating = _mutating(everything, _TOLD_TO_A_LIBRARY if of_library else ())
    together = _together(everything)
    if "__new__" in mutating:  # it keeps its instances, or counts them
        together["mutates"] |= {name}
    return Definition(
        name=name,
        kind="class",
        **together,
        stores=frozenset(each for method in everything for each in method.stores if is_global(each[0])),
        mutating_methods=mutating,
        keeps_state="__next__" in mutating,
        iterates="__next__" in mutating,
        of_library=of_library,
        methods=everything,
        method_calls=frozenset(each for method in everything for each in method.method_calls if is_global(each[0])),
        bases=frozenset().union(*(base.bases for base in bases)),
    )


def _mutating(methods: Sequence[Definition], known: Iterable[str]) -> frozenset[str]:
    """The methods that change ``self``: themselves, or by one that they call. `known` are others that do."""
    found = {each.name for each in methods if not each.mutates_parameters.isdisjoint(each.parameters[:1])}.union(known)
    calls = [(each.name, called) for each in methods for called in each.calls_of_itself()]
    while more := {name for name, called in calls if called in found} - found:
        found |= more
    return frozenset(found)


def seen_outside(definition: Definition, inside: Mapping[str, Iterable[Definition]]) -> Definition:
    """The definition for other cells, which have no names `inside` its cell: what these do is part of what it does.

    ``inside``: name -> what it may run.
    """
    parts, seen, pending = [definition], set(inside.keys() & definition.reads), list(inside.keys() & definition.reads)
    while pending:
        for part in inside[pending.pop()]:
            parts.append(part)
            new = (inside.keys() & part.reads) - seen
            seen |= new
            pending.extend(new)

    return replace(definition, **{field: names.difference(inside) for field, names in _together(parts).items()})


def _together(parts: Iterable[Definition]) -> dict[str, Any]:
    """What several definitions do together, by the name of the field."""
    fields = ("reads", "writes", "mutates", "mutates_parts", "changes", "looks", "flags")
    return {field: frozenset().union(*(getattr(part, field) for part in parts)) for field in fields}
