"""What a task cell with ``--map`` does: it runs once per element, and gives others the lists of what was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from flowbook.cells.analysis import Analysis
from flowbook.cells.definitions import Definition
from flowbook.cells.resources import ANY_FILE
from flowbook.errors import CellError

__all__ = ["is_in_turn", "map_over"]


def map_over(
    analysis: Analysis, label: str, pairs: Sequence[tuple[str, str]], *, writes: Iterable[str] | None = None
) -> Analysis:
    """The analysis of the cell called `label` that runs once per element, by `pairs` of the names of one and of all.

    The elements' names are the cell's own, and those of all elements are read. Modules, functions and classes that the
    cell binds stay inside, unless it declares them among its `writes`: nobody wants a list of them.
    Raises CellError if the cell binds the name of an element itself, or two pairs do.
    """
    over, title = dict(pairs), label[:1].upper() + label[1:]
    own = frozenset(over)
    if twice := [name for name in own if [item for item, _ in pairs].count(name) > 1]:
        raise CellError(f"{title} binds {twice[0]!r} twice by --map: give each element a name of its own.")
    if bound := sorted(own & (analysis.writes | analysis.deletes)):
        raise CellError(
            f"{title} binds {bound[0]!r} itself, which --map binds to an element of "
            f"{over[bound[0]]!r}: give one of the two another name."
        )
    inside = _tools(analysis) - frozenset(writes or ())
    given = analysis.writes - inside
    return replace(
        analysis,
        reads=(analysis.reads - own) | frozenset(over.values()),
        late_reads=analysis.late_reads - own - frozenset(over.values()),
        builtins=analysis.builtins - own - frozenset(over.values()),
        writes=given,
        late_writes=analysis.late_writes & given,
        conditional_writes=frozenset(),
        mutates=_of_all(analysis.mutates, over),
        mutates_parts=_of_all(analysis.mutates_parts, over) | (_of_all(analysis.mutates, over) - analysis.mutates),
        arguments=frozenset(replace(each, name=over.get(each.name, each.name)) for each in analysis.arguments),
        method_calls=frozenset((over.get(name, name), method) for name, method in analysis.method_calls),
        aliases={},
        holds={name: held for name in given if (held := _held(analysis, name, over))},
        private=analysis.private | inside,
        imports={name: path for name, path in analysis.imports.items() if name in given},
    )


def is_in_turn(analysis: Analysis, names: Iterable[str], helpers: Sequence[Definition]) -> bool:
    """Whether the elements of a cell run one after the other: they change something that they share.

    `names` are those of the variables that hold all elements, `helpers` the functions and classes of other cells that
    the cell uses. Each element is taken to write files of its own, unless their names are the same for all.
    """
    changed = (analysis.mutates - set(names)).union(*(each.mutates for each in helpers))
    touched = (analysis.resources - analysis.resource_reads).union(*(each.changes for each in helpers))
    return bool(changed) or not touched <= {ANY_FILE}


def _tools(analysis: Analysis) -> frozenset[str]:
    """The modules, functions and classes that the cell binds."""
    return analysis.writes & (analysis.defined | analysis.imports.keys())


def _of_all(names: Iterable[str], over: Mapping[str, str]) -> frozenset[str]:
    """Whoever changes an element changes what all of them are in."""
    return frozenset(over.get(name, name) for name in names)


def _held(analysis: Analysis, name: str, over: Mapping[str, str]) -> frozenset[str]:
    """What the list of results refers to: what each of them is, and what it holds."""
    shared = analysis.aliases.get(name, frozenset()) | analysis.holds.get(name, frozenset())
    return _of_all(shared, over) - {name}
