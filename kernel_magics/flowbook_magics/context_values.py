"""What cells set in context variables (``np.seterr``, ``ContextVar.set``). Each task runs in a context of its own, so
that its output finds its cell; what it sets there is carried to the cells behind it."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from typing import Any

from flowbook_magics.notebook_cells import NotebookCell

_NOTHING = object()


def changed_since(before: contextvars.Context) -> dict[contextvars.ContextVar[Any], Any]:
    """The context variables that hold another value in this context than in an earlier copy of it."""
    now = contextvars.copy_context()
    return {variable: value for variable, value in now.items() if before.get(variable, _NOTHING) is not value}


def carry(cells: Iterable[NotebookCell]) -> None:
    """Set in this context what these cells have set, in their order."""
    for cell in cells:
        for variable, value in cell.context_values.items():
            variable.set(value)
