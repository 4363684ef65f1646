"""The records of a notebook's graph: cells, why one waits for another, and what each one gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from flowbook.cells.analysis import Analysis

__all__ = ["Cell", "Edge", "Node", "Reason", "ReasonKind"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of a notebook, in notebook order among its like."""

    id: str
    source: str
    analysis: Analysis
    name: str | None = None
    """The name of the task, or None."""
    is_task: bool = False
    after: tuple[str, ...] = ()
    """Names (or ids) of cells that it waits for by order of the user."""
    behind: tuple[tuple[str, str], ...] = ()
    """Ids of cells before it that it was seen to share something with, and what that is."""

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.name or self.id


class ReasonKind(Enum):
    """Why a cell waits for another one."""

    READS = "reads"
    MUTATES = "mutates"
    """It changes an object that the other one reads or changes: order, not data."""
    RESOURCE = "resource"
    AFTER = "after"
    FLAG = "flag"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a cell waits for another one: ``subject`` is the name or resource, ``text`` says it to the user."""

    kind: ReasonKind
    subject: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """``downstream`` waits for ``upstream`` (ids of cells)."""

    upstream: str
    downstream: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A cell in its place in the graph."""

    cell: Cell
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    """Name -> id of the cell that made the newest version before this cell; None: it comes from outside."""
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> older versions, newest first, that hold when the newer cells did not bind the name after all."""
    changes: frozenset[str] = frozenset()
    """Those of ``inputs`` whose objects, or what they hold, it changes in place: itself, or by a helper or an alias."""
    touches: frozenset[str] = frozenset()
    """Shared resources that it changes: itself, or by a helper."""
    helpers: tuple[tuple[str, str], ...] = ()
    """``(name, id of the cell that defines it)`` of the functions and classes that it uses, transitively."""
    late_binds: frozenset[str] = frozenset()
    """Names that code of other cells may bind when it uses that (``global n``)."""
    looks_up: frozenset[str] = frozenset()
    """Names that code of other cells looks up where it stays: methods, and functions that an object keeps."""
    flags: frozenset[str] = frozenset()
    """Why it keeps its place: its own flags and those of the helpers it uses."""
    sends_functions: bool = False
    """Whether it sends functions to other processes, which look them up by their names."""
    uses_loop: bool = False
    """Whether it needs the running event loop of a notebook, by what it awaits, calls or makes."""
