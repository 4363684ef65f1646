"""What can be wrong with the cells of a notebook, seen as a graph.

::

    CellError                   (flowbook.errors)
    └── NotebookGraphError      the cells do not make a graph
        ├── CycleError          cells wait for each other
        ├── DuplicateTaskError  two living cells have one task name
        ├── UnknownCellError    a name that no cell has
        └── UnknownVariableError   a variable that no cell binds
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowbook.errors import CellError, did_you_mean

__all__ = ["CycleError", "DuplicateTaskError", "NotebookGraphError", "UnknownCellError", "UnknownVariableError"]


class NotebookGraphError(CellError):
    """The cells of a notebook do not make a graph."""


class CycleError(NotebookGraphError):
    """Cells wait for each other; ``path`` is ``(cell, why, cell, why, …, first cell)``."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        story = path[0]
        for why, cell in zip(path[1::2], path[2::2], strict=True):
            story += f" →({why}) {cell}"
        super().__init__(
            f"The cells wait for each other: {story}. "
            "Remove one --after, or move a cell so that it stands after what it needs."
        )


class DuplicateTaskError(NotebookGraphError):
    """Two living cells have one task name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name, self.first, self.second = name, first, second
        super().__init__(
            f"Two cells are the task '{name}': cell {first} and cell {second}. "
            "Give one of them another name (%%task NAME), or delete it."
        )


class UnknownCellError(NotebookGraphError):
    """A name was given that no cell has."""

    def __init__(self, name: str, known: Iterable[str], *, asked_by: str = "") -> None:
        self.name, self.asked_by = name, asked_by
        where = f" (asked for by --after of '{asked_by}')" if asked_by else ""
        way_out = did_you_mean(name, known) or " %tasks lists the names."
        super().__init__(f"No cell is named '{name}'{where}.{way_out}")


class UnknownVariableError(NotebookGraphError):
    """A variable was asked for that no cell binds."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        way_out = did_you_mean(name, known) or " Bind it in a cell, or import it."
        super().__init__(f"No cell of the notebook binds the variable '{name}'.{way_out}")
