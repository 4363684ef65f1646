"""What a cell does in its place in the notebook: its own text, and the functions of other cells that it uses.

A function's names are looked up when it is called, so a cell that uses ``f`` reads what ``f`` reads, at the versions
that are current where the cell stands, and changes what ``f`` changes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace

from flowbook.cells.analysis import Analysis
from flowbook.cells.definitions import MAPPED, Argument, Definition, Told
from flowbook.cells.effects import PROCESSES
from flowbook.cells.scopes import is_global

__all__ = ["Usage", "usage_of"]

Definitions = Callable[[str], Iterable[Definition]]
"""What a name may run, where the cell stands."""


@dataclass(kw_only=True, slots=True)
class Usage:
    """The sum of a cell and of the helpers that it uses."""

    reads: dict[str, str] = field(default_factory=dict)
    """Name -> the helper that looks it up ('' for the cell itself)."""
    mutates: set[str] = field(default_factory=set)
    mutates_parts: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    """Names that helpers may bind (``global x``)."""
    changes: set[str] = field(default_factory=set)
    looks: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    helpers: list[str] = field(default_factory=list)
    """Names whose definitions may run."""
    looks_up: set[str] = field(default_factory=set)
    """Names that methods, and functions that an object keeps, look up in the notebook: those cannot look elsewhere."""


def usage_of(analysis: Analysis, definitions: Definitions, at_home: Container[str]) -> Usage:
    """What a cell does, given what the names that it reads may run.

    `at_home`: the names of the functions and classes whose code looks names up in the notebook.
    """
    own_reads = (analysis.reads | analysis.builtins) - analysis.late_reads
    usage = Usage(
        reads=dict.fromkeys(sorted(own_reads), ""),
        mutates=set(analysis.mutates),
        mutates_parts=set(analysis.mutates_parts),
        changes=set(analysis.resources - analysis.resource_reads),
        looks=set(analysis.resource_reads),
        flags=set(analysis.flags),
    )
    arguments, method_calls = set(analysis.arguments), set(analysis.method_calls)
    pending = list(usage.reads)
    while pending:
        name = pending.pop()
        for definition in definitions(name):
            if name not in usage.helpers:
                usage.helpers.append(name)
            new = sorted(definition.reads - usage.reads.keys())
            usage.reads.update(dict.fromkeys(new, usage.reads[name] or name))
            pending.extend(new)
            _include(usage, definition)
            if name in usage.looks_up or (definition.name in at_home and not definition.is_called(name)):
                usage.looks_up |= definition.reads
            if definition.moves_on:
                usage.mutates.add(name)
                usage.mutates_parts.add(name)
            arguments |= {argument for argument in definition.arguments if not argument.is_parameter}
            method_calls |= definition.method_calls
    for argument in arguments:
        if argument.name in usage.reads and _changes_argument(argument, definitions, set()):
            usage.mutates.add(argument.name)
            usage.mutates_parts.add(argument.name)
    for name, method in method_calls:
        if is_global(name) and _changes_itself(name, method, definitions, set()):
            usage.mutates.add(name)
            usage.mutates_parts.add(name)  # it may be an item of what the name holds, or change what it was given
    if PROCESSES in usage.looks:
        called = (definition for name in usage.helpers for definition in definitions(name))
        usage.looks_up = usage.looks_up.union(usage.helpers, *(definition.reads for definition in called))
    if any(MAPPED in definitions(name) for name in usage.mutates):
        usage.changes |= MAPPED.looks
    return usage


def _include(usage: Usage, definition: Definition) -> None:
    usage.mutates |= definition.mutates
    usage.mutates_parts |= definition.mutates_parts
    usage.writes |= definition.writes
    usage.changes |= definition.changes
    usage.looks |= definition.looks
    usage.flags |= definition.flags


def _changes_itself(name: str, method: str, definitions: Definitions, seen: set[tuple[str, str]]) -> bool:
    """Whether the method, perhaps inherited from a class of another cell, or one that it calls changes the object.

    One that is called for what it does, of an object of which nothing is known, is taken as one that changes it.
    """
    seen.add((name, method))
    known = tuple(definitions(name))
    if method == Told.AS_STATEMENT and not known:
        return True
    for definition in known:
        if (
            definition.name == name
            and isinstance(method, Told)
            and (definition.kind != "class" or method == Told.SOME_METHOD)
        ):
            continue  # the call of a function or class is not that of its object
        if definition.is_changed_by(method):
            return True
        called = (part for part in definition.methods if part.name == method)
        further = {(name, each) for part in called for each in part.calls_of_itself()}
        further |= {(base, method) for base in definition.bases}
        if any(_changes_itself(*each, definitions, seen) for each in further - seen):
            return True
    return False


def _changes_argument(argument: Argument, definitions: Definitions, seen: set[tuple[str, int | str]]) -> bool:
    """Whether the function changes what it gets at this slot, itself or by passing it on."""
    if (argument.function, argument.slot) in seen:
        return False
    seen.add((argument.function, argument.slot))
    for definition in definitions(argument.function):
        for part in definition.parts_for_call():
            parameter = part.parameter_at(argument.place_in(definition))
            if parameter in part.mutates_parameters:
                return True
            methods = {method for owner, method in part.method_calls if owner == f":{parameter}"}
            if any(_changes_itself(argument.name, method, definitions, set()) for method in methods):
                return True
            passed_on = (each for each in part.arguments if each.is_parameter and each.name == parameter)
            if any(_changes_argument(replace(each, name=argument.name), definitions, seen) for each in passed_on):
                return True
    return False
