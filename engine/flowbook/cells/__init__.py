"""The cells of a notebook, understood from their text alone.

``analyze`` says what one cell reads, binds and changes in place; ``NotebookGraph`` turns the ordered cells into a graph
in which each binding and each change makes a new *version* of a name, so that redefinition is normal and running the
graph gives what Restart & Run All gives. Nothing here runs the user's code or touches the world.
"""

from __future__ import annotations

from flowbook.cells.analysis import Analysis, analyze
from flowbook.cells.declared import declare
from flowbook.cells.definitions import Argument, Definition
from flowbook.cells.errors import (
    CycleError,
    DuplicateTaskError,
    NotebookGraphError,
    UnknownCellError,
    UnknownVariableError,
)
from flowbook.cells.freshness import cell_hash, code_hash, definition_source
from flowbook.cells.mapped import map_over
from flowbook.cells.notebook import GrowingGraph, NotebookGraph, analyze_cells
from flowbook.cells.observed import Observed
from flowbook.cells.records import Cell, Edge, Node, Reason, ReasonKind
from flowbook.cells.source import to_python

__all__ = [
    "Analysis",
    "Argument",
    "Cell",
    "CycleError",
    "Definition",
    "DuplicateTaskError",
    "Edge",
    "GrowingGraph",
    "Node",
    "NotebookGraph",
    "NotebookGraphError",
    "Observed",
    "Reason",
    "ReasonKind",
    "UnknownCellError",
    "UnknownVariableError",
    "analyze",
    "analyze_cells",
    "cell_hash",
    "code_hash",
    "declare",
    "definition_source",
    "map_over",
    "to_python",
]
