"""What a task cell does as its ``--in``, ``--out`` and ``--map`` say: they count instead of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from flowbook.cells.analysis import Analysis
from flowbook.cells.mapped import map_over
from flowbook.errors import CellError, did_you_mean

__all__ = ["declare"]

Names = Iterable[str]


def declare(
    analysis: Analysis,
    label: str,
    *,
    reads: Names | None,
    writes: Names | None,
    over: Sequence[tuple[str, str]] = (),
    earlier: Iterable[Analysis],
) -> Analysis:
    """The analysis of the cell called `label` with the `reads` and `writes` that it declares (None: those found).

    With `over` it runs once per element, see `map_over`.

    Functions, classes and modules of the `earlier` cells need no declaration, so that a cell is stale when a function
    that it calls has changed; and what a cell changes in place keeps its order, declared or not.
    Raises CellError for a declared output that the cell does not bind, and as `map_over` does.
    """
    if writes is not None:
        analysis = _with_writes(analysis, label, frozenset(writes))
    if reads is not None:
        analysis = _with_reads(analysis, frozenset(reads), earlier)
    return map_over(analysis, label, over, writes=writes) if over else analysis


def _with_writes(analysis: Analysis, label: str, writes: frozenset[str]) -> Analysis:
    unbound = sorted(writes - analysis.writes - analysis.mutates)
    if unbound and not analysis.flags:  # what a flagged cell binds is seen when it runs
        raise CellError(
            f"{label[0].upper()}{label[1:]} declares --out {','.join(unbound)}, which the cell does not bind."
            f"{did_you_mean(unbound[0], analysis.writes)} Bind it there, or leave it out of --out."
        )
    bound = writes - (analysis.mutates - analysis.writes)  # a changed object is no new one
    inside = analysis.writes - bound
    return replace(
        analysis,
        writes=bound,
        conditional_writes=frozenset(),
        late_writes=analysis.late_writes & bound,
        deletes=frozenset(),
        imports={name: path for name, path in analysis.imports.items() if name in bound},
        holds={name: held for name, held in analysis.holds.items() if name not in inside},
        private=analysis.private | inside,
    )


def _with_reads(analysis: Analysis, reads: frozenset[str], earlier: Iterable[Analysis]) -> Analysis:
    helpers = {name for each in earlier for name in (*each.imports, *(each.defined - each.private))}
    kept = reads | (analysis.reads & (helpers | analysis.mutates))
    return replace(
        analysis, reads=kept, late_reads=(analysis.late_reads & kept) - reads, builtins=analysis.builtins - reads
    )
