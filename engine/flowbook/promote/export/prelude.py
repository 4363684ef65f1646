"""What of a notebook stands on top of its module: imports, functions, classes and constants bound only once."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowbook.cells import Definition
from flowbook.promote.cells import Role
from flowbook.promote.export.bindings import DEFINITIONS, bound, imported, needed_at_once
from flowbook.promote.export.python_cells import Piece, PythonCell

_IMPORTS = (ast.Import, ast.ImportFrom)
_DECIDE_IMPORTS = frozenset({"sys.path", "environ"})
"""Resources on which it may depend what an import gives."""


@dataclass(kw_only=True)
class Prelude:
    """The statements that stand on top. `names` are what they bind."""

    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    guarded: list[Piece] = field(default_factory=list)
    """Imports inside ``try`` or ``if``."""
    definitions: list[Piece] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    has_star: bool = False
    """Some names come from a star import, so it is not known which there are."""
    _taken: set[int] = field(default_factory=set)

    def __contains__(self, piece: Piece) -> bool:
        return id(piece) in self._taken

    @property
    def constants(self) -> set[str]:
        """The names that are bound to literals."""
        values = (piece for piece in self.definitions if isinstance(piece.node, ast.Assign | ast.AnnAssign))
        return {name for piece in values for name in bound(piece.node)}

    def take(self, piece: Piece) -> None:
        """Have a statement stand on top."""
        self._taken.add(id(piece))
        self.names |= bound(piece.node)
        if isinstance(piece.node, _IMPORTS):
            self.imports.append(piece.node)
        else:
            (self.guarded if isinstance(piece.node, ast.Try | ast.If) else self.definitions).append(piece)


def imports_of(cells: Sequence[PythonCell]) -> Prelude:
    """The imports that can stand on top: nothing else binds their names, or decides what they give."""
    found, by_name = Prelude(), _bound_by(cells)
    for piece in _movable_imports(cells):
        assert isinstance(piece.node, _IMPORTS)
        if any(alias.name == "*" for alias in piece.node.names):
            found.has_star = True
            found.take(piece)
        elif all(_is_this_import(name, path, by_name) for name, path in imported(piece.node)):
            found.take(piece)
    found.names.discard("*")
    return found


def prelude_of(cells: Sequence[PythonCell]) -> Prelude:
    """All that can stand on top of a notebook that has task cells."""
    found, by_name = imports_of(cells), _bound_by(cells)
    lazy = any(isinstance(each, ast.ImportFrom) and each.module == "__future__" for each in found.imports)
    candidates = [
        piece
        for cell in cells
        if cell.known.role not in (Role.TASK, Role.PARAMETERS)
        for piece in cell.pieces
        if _may_stand_on_top(piece.node) and all(by_name[name] == [piece] for name in bound(piece.node))
    ]
    late = {name: each for cell in cells for name, each in cell.known.analysis.definitions.items()}
    while True:
        on_top = found.names.union(*(bound(piece.node) for piece in candidates))
        missing = by_name.keys() - on_top
        kept = [piece for piece in candidates if not _needed_to_define(piece.node, late, lazy=lazy) & missing]
        if len(kept) == len(candidates):
            break
        candidates = kept
    for piece in candidates:
        found.take(piece)
    return found


def late_names(definition: Definition) -> Iterator[str]:
    """The names that a function, or a class with its methods, looks up or binds when it is called."""
    yield from definition.reads | definition.writes
    for method in definition.methods:
        yield from late_names(method)


def _bound_by(cells: Sequence[PythonCell]) -> dict[str, list[Piece | None]]:
    """The statements that bind each name; None for a function that does when it is called."""
    found: dict[str, list[Piece | None]] = {}
    for cell in cells:
        for piece in cell.pieces:
            for name in bound(piece.node):
                found.setdefault(name, []).append(piece)
        for name in cell.known.analysis.late_writes:
            found.setdefault(name, []).append(None)
    return found


def _movable_imports(cells: Sequence[PythonCell]) -> Iterator[Piece]:
    decided = False
    for cell in cells:
        changed = cell.known.analysis.resources - cell.known.analysis.resource_reads
        decided = decided or bool(changed & _DECIDE_IMPORTS)
        for piece in cell.pieces:
            if isinstance(piece.node, _IMPORTS) and (not decided or _is_standard(piece.node)):
                yield piece


def _is_standard(node: ast.Import | ast.ImportFrom) -> bool:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return all(module.partition(".")[0] in sys.stdlib_module_names for module in modules)


def _is_this_import(name: str, path: str, by_name: dict[str, list[Piece | None]]) -> bool:
    return all(
        piece is not None and isinstance(piece.node, _IMPORTS) and (name, path) in imported(piece.node)
        for piece in by_name[name]
    )


def _may_stand_on_top(node: ast.stmt) -> bool:
    match node:
        case ast.Try():
            parts = [*node.body, *node.orelse, *node.finalbody, *(each for one in node.handlers for each in one.body)]
            return all(isinstance(each, (*_IMPORTS, ast.Pass)) for each in parts)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return all(isinstance(each, _IMPORTS) for each in [*node.body, *node.orelse])
        case (
            ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(target=ast.Name(), value=ast.expr() as value)
        ):
            return is_immutable(value)
    return isinstance(node, DEFINITIONS)


def is_immutable(node: ast.expr) -> bool:
    """Whether an expression is a literal that nobody can change: a number, text, None, or a tuple of such."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()):
            return True
        case ast.Tuple(elts=parts):
            return all(map(is_immutable, parts))
    return False


def _needed_to_define(node: ast.stmt, late: dict[str, tuple[Definition, ...]], *, lazy: bool) -> set[str]:
    """The names that must be there for a statement; also those that functions look up that it may call."""
    pending, found = needed_at_once(node, lazy_annotations=lazy), set[str]()
    calls = bool(getattr(node, "decorator_list", ())) or isinstance(node, ast.ClassDef)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if calls:
                pending |= {each for one in late.get(name, ()) for each in late_names(one)}
    return found
