"""Which names the statements of a cell bind, and which they need at once, when the statement is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_SCOPES = (*DEFINITIONS, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(name that an import binds, dotted path of what it stands for)."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:  # `import a.b` binds `a`
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]


def bound(node: ast.AST) -> set[str]:
    """The names that a statement binds or deletes in the scope that it stands in."""
    found: set[str] = set()
    for each in _in_scope(node):
        match each:
            case ast.Import() | ast.ImportFrom():
                found.update(name for name, _ in imported(each))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
    return found


def needed_at_once(node: ast.stmt, *, lazy_annotations: bool) -> set[str]:
    """The names that executing a statement looks up; what the bodies of functions need is looked up when called."""
    own = (
        {name for each in getattr(node, "body", ()) for name in bound(each)}
        if isinstance(node, ast.ClassDef)
        else set()
    )
    return {name for name in _loads(node, lazy_annotations) if name not in own}


def _in_scope(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _COMPREHENSIONS):
            yield from (each for each in ast.walk(child) if isinstance(each, ast.NamedExpr))
            yield from (each.target for each in ast.walk(child) if isinstance(each, ast.NamedExpr))
        else:
            yield from _in_scope(child)


def _loads(node: ast.AST, lazy: bool) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    for field, value in ast.iter_fields(node):
        if field == "body" and isinstance(node, (*FUNCTIONS, ast.Lambda)):
            continue
        if field in ("annotation", "returns") and lazy:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _loads(child, lazy)
