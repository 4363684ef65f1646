"""Which parts of a cell are certainly executed when it runs, as far as its text says."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from flowbook.promote.cells import KnownCell, Role, parsed

if TYPE_CHECKING:
    from flowbook.promote.kinds import DefinedFlow

T = TypeVar("T")


def used_in(cells: Sequence[KnownCell], flow: DefinedFlow | None) -> frozenset[str]:
    """Names and attributes that cells look up somewhere: a function among them is taken to be called.

    The `flow` that a run calls in the end is one.
    """
    found = set() if flow is None else {flow.variable}
    for node in chain.from_iterable(ast.walk(parsed(known.cell.source)) for known in cells):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return frozenset(found)


def cell_with_certainty(known: KnownCell, used: Collection[str]) -> Iterator[tuple[ast.AST, bool]]:
    """As `with_certainty`, of a cell. The body of a ``%%flow`` cell is a function."""
    is_called = known.role is not Role.FLOW or (known.name or "").replace("-", "_") in used
    yield from with_certainty(parsed(known.cell.source), used, is_called)


def with_certainty(node: ast.AST, used: Collection[str], certain: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes of a tree, each with whether it is certainly executed.

    What stands in a branch, behind a ``try`` or in a function that nobody of `used` calls may never be. Loops are taken
    to have something to do.
    """
    yield node, certain
    for name, child in _children(node):
        yield from with_certainty(child, used, certain and not _is_optional(node, name, child, used))


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _is_optional(node: ast.AST, name: str, child: ast.AST, used: Collection[str]) -> bool:
    """Whether `node`, when executed, may leave out the `child` in its field `name`."""
    match node:
        case ast.If() | ast.IfExp():
            return name != "test"
        case ast.Match():
            return name != "subject"
        case ast.Try() | ast.TryStar():
            return name in ("handlers", "orelse") or (name == "body" and bool(node.handlers))
        case ast.BoolOp():
            return child is not node.values[0]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return name == "body" and node.name not in used and not node.name.startswith("__")
        case ast.Lambda():
            return name == "body"
        case ast.AnnAssign() | ast.arg():
            return name == "annotation"  # Python 3.14 does not evaluate them
    return name == "returns"


def names_made(known: KnownCell, what: Callable[[ast.expr], T | None]) -> dict[str, tuple[int, T]]:
    """The names that a cell certainly binds to something of which `what` says something: the line, and what."""
    tree = parsed(known.cell.source)
    bound = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    return {
        target.id: (statement.lineno, said)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1
        for target in statement.targets
        if isinstance(target, ast.Name) and bound.count(target.id) == 1
        if (said := what(statement.value)) is not None
    }


def dotted_path(node: ast.expr, imports: Mapping[str, str]) -> str:
    """``pdb.set_trace`` for what ``st()`` calls after ``from pdb import set_trace as st``; empty if it is no path."""
    if isinstance(node, ast.Attribute):
        before = dotted_path(node.value, imports)
        return f"{before}.{node.attr}" if before else ""
    return imports.get(node.id, node.id) if isinstance(node, ast.Name) else ""
