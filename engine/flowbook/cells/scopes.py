"""Which scope a name belongs to (the language reference, "Naming and binding").

A *key* is how the analysis calls a variable: the plain name for a global one, ``"3:name"`` for one that is local to
scope number 3. No identifier holds a colon, so keys never collide.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count

__all__ = ["Scope", "ScopeKind", "awaits", "bindings", "is_global"]

_numbers = count(1)


class ScopeKind(Enum):
    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    COMPREHENSION = "comprehension"


def is_global(key: str) -> bool:
    """Whether a key means a variable of the notebook."""
    return ":" not in key


@dataclass(kw_only=True, slots=True)
class Scope:
    """One scope and the names that it binds; ``parent`` is None for the cell itself."""

    kind: ScopeKind
    parent: Scope | None = None
    bound: set[str] = field(default_factory=set)
    global_names: set[str] = field(default_factory=set)
    class_name: str = ""
    """The class whose private names (``__x``) are mangled here."""
    prefix: str = ""

    def inside(
        self, kind: ScopeKind, body: Iterable[ast.AST] = (), *, names: Iterable[str] = (), class_name: str = ""
    ) -> Scope:
        """A scope within this one, which binds ``names`` (parameters) and what ``body`` binds."""
        bound, global_names, nonlocal_names = bindings(body)
        scope = Scope(kind=kind, parent=self, global_names=global_names, class_name=class_name or self.class_name)
        scope.prefix = f"{next(_numbers)}:"
        scope.bound = {scope.mangled(name) for name in bound.union(names)} - global_names - nonlocal_names
        return scope

    def mangled(self, name: str) -> str:
        if self.class_name and name.startswith("__") and not name.endswith("__"):
            return f"_{self.class_name.lstrip('_')}{name}"
        return name

    def key(self, name: str) -> str:
        """The variable that ``name`` means in code that stands directly in this scope."""
        if self.kind is ScopeKind.MODULE:
            return name
        name = self.mangled(name)
        if name in self.global_names:
            return name
        if name in self.bound:
            return self.prefix + name
        return self.parent._key_within(name) if self.parent else name

    def _key_within(self, name: str) -> str:
        """The variable that ``name`` means in a scope inside this one: class scopes do not enclose."""
        scope: Scope | None = self
        while scope is not None and scope.kind is not ScopeKind.MODULE:
            if scope.kind is not ScopeKind.CLASS:
                if name in scope.global_names:
                    return name
                if name in scope.bound:
                    return scope.prefix + name
            scope = scope.parent
        return name

    def owns(self, key: str) -> bool:
        """Whether this is a class body that binds the key: where it has not, the name means the global one."""
        return self.kind is ScopeKind.CLASS and key.startswith(self.prefix)

    def for_walrus(self) -> Scope:
        """Where ``:=`` binds: the scope that holds the comprehensions (PEP 572)."""
        scope = self
        while scope.kind is ScopeKind.COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        return scope


def bindings(body: Iterable[ast.AST]) -> tuple[set[str], set[str], set[str]]:
    """The names that statements bind in their own scope, and those declared global and nonlocal."""
    bound: set[str] = set()
    global_names: set[str] = set()
    nonlocal_names: set[str] = set()
    pending = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
            continue
        if isinstance(node, ast.Global):
            global_names.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            nonlocal_names.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, _NAMED):
            name = node.rest if isinstance(node, ast.MatchMapping) else node.name
            if name is not None:
                bound.add(name)
        pending.extend(_same_scope_children(node))
    return bound, global_names, nonlocal_names


def awaits(node: ast.AST) -> bool:
    """Whether code awaits something outside of the functions and classes that it defines."""
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, _AWAITS) or (isinstance(each, ast.comprehension) and each.is_async):
            return True
        if not isinstance(each, _SCOPES):
            pending.extend(ast.iter_child_nodes(each))
    return False


_AWAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NAMED = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    ast.MatchMapping,
)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _same_scope_children(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    if isinstance(node, ast.Lambda):
        return [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    if isinstance(node, _COMPREHENSIONS):
        return _walrus_targets(node)
    return list(ast.iter_child_nodes(node))


def _walrus_targets(comprehension: ast.AST) -> list[ast.AST]:
    """``:=`` inside a comprehension binds in the scope that holds it."""
    found: list[ast.AST] = []
    pending: list[ast.AST] = list(ast.iter_child_nodes(comprehension))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.NamedExpr):
            found.append(node.target)
        if not isinstance(node, ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return found
