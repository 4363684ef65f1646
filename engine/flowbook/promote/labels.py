"""What a cell is called in a run: ``cell 3 · load``."""

from __future__ import annotations

import ast

from flowbook.cells import Analysis
from flowbook.core.plain import one_line, shorten
from flowbook.promote.cells import parsed
from flowbook.promote.notebook import CodeCell

_WIDTH = 32


def cell_name(cell: CodeCell, analysis: Analysis | None) -> str:
    """The number of the cell, and in a few words what it is about: its first comment, or what it binds, or does."""
    lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
    code = [line for line in lines if not line.startswith("#")]
    telling = [line for line in code if not line.startswith(("import ", "from ", "library("))]
    about = _comment(lines[0]) or (_bound(cell, analysis) if analysis else "") or (telling or code or lines)[0]
    return f"{cell.title} · {shorten(one_line(about), _WIDTH)}"


def _comment(line: str) -> str:
    if not line.startswith("#") or line.startswith(("#|", "#!", "#%")):
        return ""
    return line.lstrip("#").strip().removeprefix("tag:").strip()


def _bound(cell: CodeCell, analysis: Analysis) -> str:
    """The first name that the cell binds for others."""
    for statement in parsed(cell.source).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        for node in ast.walk(statement):
            name = (
                node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else getattr(node, "name", "")
            )
            if isinstance(name, str) and name in analysis.writes and not name.startswith("_"):
                return name
    return ""
