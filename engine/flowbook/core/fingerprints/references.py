"""What the bytecode of a function refers to outside of itself, without running it."""

from __future__ import annotations

import dis
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

_LOADS_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_LOADS_CELL = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_LOADS_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_ASSIGNS = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF"})
_CHANGES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR"})
#: Methods of Python's containers that change them.
_MUTATORS = frozenset(
    "add append appendleft clear difference_update discard extend extendleft fill insert intersection_update pop "
    "popitem popleft put remove reverse rotate setdefault sort subtract symmetric_difference_update update".split()
)


@dataclass(frozen=True, slots=True)
class References:
    """The names that code refers to."""

    names: tuple[tuple[str, ...], ...]
    """Each global with the attributes asked of it: ``helpers.clean(x)`` is ``("helpers", "clean")``."""
    assigned: frozenset[str]
    """Globals and variables of outer functions that the code assigns to."""
    changed: frozenset[str]
    """Globals and variables of outer functions whose value the code seems to change in place; rather too many."""


@lru_cache(maxsize=4096)
def references_of(code: CodeType) -> References:
    """What `code` refers to, with the functions, lambdas and comprehensions inside of it."""
    names: set[tuple[str, ...]] = set()
    assigned: set[str] = set()
    changed: set[str] = set()
    for part in _nested(code):
        _analyse(part, names, assigned, changed)
    return References(tuple(sorted(names)), frozenset(assigned), frozenset(changed))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _analyse(code: CodeType, names: set[tuple[str, ...]], assigned: set[str], changed: set[str]) -> None:
    loaded: dict[int | None, set[str]] = defaultdict(set)  # by line
    changing: set[int | None] = set()
    chain: tuple[str, ...] = ()
    is_global = False

    def end_chain() -> None:
        if is_global and chain:
            names.add(chain)
        if chain and chain[-1] in _MUTATORS:
            changed.add(chain[0])

    for instruction in dis.get_instructions(code):
        name, line = instruction.opname, instruction.positions.lineno if instruction.positions else None
        if name == "EXTENDED_ARG":
            continue
        if name in _LOADS_ATTRIBUTE and chain:
            chain = (*chain, instruction.argval)
            continue
        end_chain()
        chain = ()
        if name in _LOADS_GLOBAL or name in _LOADS_CELL:
            chain, is_global = (instruction.argval,), name in _LOADS_GLOBAL
            loaded[line].add(instruction.argval)
        elif name in _ASSIGNS and (name.endswith("GLOBAL") or instruction.argval in code.co_freevars):
            assigned.add(instruction.argval)
        elif name in _CHANGES:
            changing.add(line)
    end_chain()
    for line in changing:
        changed |= loaded[line]
