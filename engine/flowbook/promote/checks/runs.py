"""Cells whose last run does not vouch for them: never run, changed since, or run in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.notebook import CodeCell

_RUN_ALL = "Restart the kernel, run all cells, and save the notebook."


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a kernel knows of a cell that it has executed: the prompt's number, and its source then."""

    count: int
    source: str


def run_findings(cells: Sequence[KnownCell], ran: Mapping[str, Ran]) -> Iterator[Finding]:
    """What `ran` says by a cell's id or source, and else the numbers in the file.

    A notebook without any number says nothing: its outputs were cleared, as they are before a commit.
    """
    code = [known.cell for known in cells if known.role is not Role.MAGIC]
    here = {cell.index: known for cell in code if (known := ran.get(cell.id) or ran.get(cell.source.strip()))}
    if not here and all(cell.count is None for cell in code):
        return
    for cell in code:
        if cell.index in here:
            if here[cell.index].source.strip() != cell.source.strip():
                yield _stale(cell, "It was changed since it ran.")
        elif cell.count is None:
            yield _stale(cell, "It has never run.")
    # Numbers of different sessions cannot be compared.
    counts = [(cell, here[cell.index].count if here else cell.count) for cell in code if not here or cell.index in here]
    numbered = [(cell, count) for cell, count in counts if count is not None]
    for (before, first), (cell, second) in pairwise(numbered):
        if second < first:
            why = f"It ran before {before.title} (as [{second}] and [{first}]), so its outputs are not those of a run."
            yield _stale(cell, why)


def _stale(cell: CodeCell, why: str) -> Finding:
    return in_cell(Severity.WARNING, cell, None, why, _RUN_ALL)
