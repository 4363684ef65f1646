"""Cells as tasks: the IPython magics of flowbook.

``%load_ext flowbook`` calls `load`. From then on ``%%task`` (or ``#| task``) makes a task of a cell, ``%flow run`` runs
the graph of them, and ``%deploy`` promotes the notebook.
"""

from __future__ import annotations

from typing import Any

__all__ = ["load", "unload"]


def load(shell: Any) -> None:
    """Register the magics with an IPython shell; doing so again changes nothing."""
    from flowbook_magics.magics import register

    register(shell)


def unload(shell: Any) -> None:
    """Take the magics away from an IPython shell, and forget the cells it has seen."""
    from flowbook_magics.magics import unregister

    unregister(shell)
