"""Hashes of code: a task is stale when its code, or that of a function it uses, means something else than before."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import lru_cache

from flowbook.cells.notebook import NotebookGraph
from flowbook.cells.source import parse_cell

__all__ = ["cell_hash", "code_hash", "definition_source"]


def code_hash(source: str, helpers: Iterable[str] = ()) -> str:
    """A hash (hex SHA-256) of what a cell as typed says, with the sources of the definitions that it uses.

    Formatting, comments, a ``%%task`` line and the order of ``helpers`` do not count; docstrings, shell commands and
    the bodies of foreign cell magics do. The same in every process of one Python version.
    """
    digest = hashlib.sha256(_normalised(source).encode())
    for helper in sorted(map(_normalised, helpers)):
        digest.update(b"\0" + helper.encode())
    return digest.hexdigest()


def cell_hash(graph: NotebookGraph, of: str) -> str:
    """The :func:`code_hash` of a cell of a notebook, with the functions and classes it uses transitively."""
    node = graph[of]
    sources = (definition_source(graph.nodes[id_].cell.source, name) for name, id_ in node.helpers)
    return code_hash(node.cell.source, filter(None, sources))


def definition_source(source: str, name: str) -> str | None:
    """The statement of a cell that defines ``name`` last (function, class, or assignment); None if there is none."""
    tree, typed = parse_cell(source)
    for statement in reversed(tree.body):
        if name in _defined(statement):
            lines = typed.python.split("\n")
            decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
            first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
            return "\n".join(lines[first - 1 : statement.end_lineno])
    return None


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@lru_cache(maxsize=1024)
def _normalised(source: str) -> str:
    tree, typed = parse_cell(source)
    return "\n".join([ast.dump(tree), *typed.foreign])
