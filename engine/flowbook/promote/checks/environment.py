"""Environment variables that a notebook reads and that are not set where it is checked."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Container, Iterator, Sequence

from flowbook.promote.cells import KnownCell, parsed
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.checks.magic_lines import magic_lines
from flowbook.promote.local_code import environment_variable

_SETS = re.compile(r"%(?:env|set_env)\s+(\w+)(?:=|\s)")
_DOTENV = re.compile(r"%dotenv\b")


def environment_findings(cells: Sequence[KnownCell], variables: Container[str]) -> Iterator[Finding]:
    """Unset variables, once each. Those that the notebook sets itself are fine, as all are that read a ``.env``."""
    trees = [parsed(known.cell.source) for known in cells]
    lines = [text for known in cells for _, text in magic_lines(known)]
    if any(map(_DOTENV.match, lines)) or any(_loads_dotenv(node) for tree in trees for node in ast.walk(tree)):
        return
    seen = {match[1] for text in lines if (match := _SETS.match(text))}
    seen |= {name for tree in trees for node in ast.walk(tree) if (name := _set_by(node))}
    for known, tree in zip(cells, trees, strict=True):
        for node in ast.walk(tree):
            name = environment_variable(node)
            if name is None or name in seen or name in os.environ or name in variables:
                continue
            seen.add(name)
            line = node.lineno if isinstance(node, ast.expr) else None
            why = f"The environment variable {name} is read, and is not set here."
            fix = "Set it where the worker runs, or in its work pool."
            yield in_cell(Severity.WARNING, known.cell, line, why, fix)


def _set_by(node: ast.AST) -> str | None:
    """The variable that ``os.environ["X"] = …`` or ``os.environ.setdefault("X", …)`` sets."""
    sets = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    sets |= isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault"
    return environment_variable(node) if sets else None


def _loads_dotenv(node: ast.AST) -> bool:
    return "load_dotenv" in (getattr(node, "id", ""), getattr(node, "attr", ""))
