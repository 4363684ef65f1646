"""What cells set in context variables (``np.seterr``, ``ContextVar.set``) or for a thread (``sklearn.set_config``).

Each task runs in a context of its own, so that its output finds its cell, and in any thread; what it sets there is
carried to the cells behind it."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from flowbook_magics.notebook_cells import NotebookCell

_NOTHING = object()


class _Variable(Protocol):
    def set(self, value: Any, /) -> object: ...


class _ScikitLearn:
    """The configuration that scikit-learn keeps for each thread."""

    def get(self) -> Any:
        """What holds in this thread; None where nobody has imported it."""
        get_config = getattr(sys.modules.get("sklearn"), "get_config", None)
        return get_config() if get_config is not None else None

    def set(self, value: Any) -> None:
        """Have it hold in this thread."""
        sys.modules["sklearn"].set_config(**value)


_SCIKIT_LEARN = _ScikitLearn()


def values() -> dict[_Variable, Any]:
    """All that is set where the code runs."""
    return {**dict(contextvars.copy_context().items()), _SCIKIT_LEARN: _SCIKIT_LEARN.get()}


def changed_since(before: Mapping[_Variable, Any]) -> dict[_Variable, Any]:
    """What holds another value than it did when `values` gave `before`."""
    changed = {variable: value for variable, value in values().items() if before.get(variable, _NOTHING) is not value}
    if changed.get(_SCIKIT_LEARN) == before[_SCIKIT_LEARN]:
        changed.pop(_SCIKIT_LEARN, None)  # it gives a copy each time
    return changed


def carry(cells: Iterable[NotebookCell]) -> None:
    """Set here what these cells have set, in their order."""
    for cell in cells:
        for variable, value in cell.context_values.items():
            variable.set(value)
