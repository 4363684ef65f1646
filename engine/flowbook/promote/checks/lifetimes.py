"""Code that asks whether an object still lives. What tasks make lives on, so that other tasks can be run again from it.

A plain cell lets an object go when its last name is gone; of that object a weak reference is dead then, and
``__del__`` has run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from flowbook.promote.cells import KnownCell, Role, parsed, with_imports
from flowbook.promote.checks.certainty import dotted_path
from flowbook.promote.checks.finding import Finding, Severity, in_cell

_ASKING = ("gc.get_objects", "gc.get_referrers", "sys.getrefcount")
_FIX = "Let go of it by a method of its own, such as close(), or keep making, deleting and asking in one cell."


def lifetime_findings(cells: Sequence[KnownCell]) -> Iterator[Finding]:
    """In a notebook with tasks, the first such line of each cell."""
    if all(known.role is not Role.TASK for known in cells):
        return
    for known, imports in with_imports(cells):
        nodes = (node for node in ast.walk(parsed(known.cell.source)) if isinstance(node, ast.Call | ast.FunctionDef))
        if lines := sorted((node.lineno, what) for node in nodes if (what := _what(node, imports))):
            line, what = lines[0]
            why = f"It uses {what}, but what tasks make lives as long as others can be run again from it."
            yield in_cell(Severity.WARNING, known.cell, line, why, _FIX)


def _what(node: ast.Call | ast.FunctionDef, imports: Mapping[str, str]) -> str:
    """What it asks, if it does."""
    if isinstance(node, ast.FunctionDef):
        return "__del__()" if node.name == "__del__" else ""
    path = dotted_path(node.func, imports)
    return f"{path}()" if path in _ASKING or path.startswith("weakref.") else ""
