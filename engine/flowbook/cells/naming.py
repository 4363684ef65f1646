"""The names of task cells that were given none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowbook.cells.analysis import Analysis

__all__ = ["free_name"]


def free_name(analysis: Analysis, source: str, taken: Iterable[str], number: int) -> str:
    """A name for a task cell that has none: that of the last variable it binds, made unique."""
    public = [name for name in analysis.writes if not name.startswith("_")]
    base = max(public, key=lambda name: _last_binding(source, name), default=f"cell-{number}")
    used, name, n = set(taken), base, 1
    while name in used:
        n += 1
        name = f"{base}-{n}"
    return name


def _last_binding(source: str, name: str) -> int:
    return max((found.start() for found in re.finditer(rf"(?m)^\s*{re.escape(name)}\b", source)), default=-1)
