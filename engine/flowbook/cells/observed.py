"""What a cell was seen to do when it ran, beyond what its text says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowbook.cells.analysis import Analysis

__all__ = ["Observed"]

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What a cell did although its text does not show it: the names that it read, changed in place or bound."""

    reads: frozenset[str] = _NONE
    mutates: frozenset[str] = _NONE
    writes: frozenset[str] = _NONE
    resources: frozenset[str] = _NONE
    """The shared resources that it changed."""

    def __or__(self, other: Observed) -> Observed:
        """All that the two say."""
        return Observed(
            reads=self.reads | other.reads,
            mutates=self.mutates | other.mutates,
            writes=self.writes | other.writes,
            resources=self.resources | other.resources,
        )

    def added_to(self, analysis: Analysis) -> Analysis:
        """The analysis of a cell that does this as well; what it bound once it may bind again."""
        return replace(
            analysis,
            reads=analysis.reads | self.reads | self.mutates,
            mutates=analysis.mutates | self.mutates,
            mutates_parts=analysis.mutates_parts | self.mutates,
            writes=analysis.writes | self.writes,
            conditional_writes=analysis.conditional_writes | (self.writes - analysis.writes),
            resources=analysis.resources | self.resources,
            resource_reads=analysis.resource_reads - self.resources,
        )
