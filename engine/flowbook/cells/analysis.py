"""What a cell reads, binds and changes, found without running it.

The answer follows the language reference: definite assignment in order of execution, function bodies looked up when
they are called. A name that is not bound on every path that leads to a read is a read from before the cell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flowbook.cells.definitions import Argument, Definition
from flowbook.cells.expressions import BUILTINS, Context, Facts
from flowbook.cells.magics import TIMED, MagicEffects
from flowbook.cells.scopes import Scope, ScopeKind, awaits, is_global
from flowbook.cells.source import parse_cell
from flowbook.cells.state import State, join
from flowbook.cells.statements import StatementVisitor

__all__ = ["Analysis", "analyze"]

_NONE: frozenset[str] = frozenset()
_NO_MAP: Mapping[str, frozenset[str]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """What one cell does, as far as its text says."""

    reads: frozenset[str] = _NONE
    """Names that it needs from before it, including those that it only changes, and :attr:`late_reads`."""
    writes: frozenset[str] = _NONE
    """Names that it may leave bound."""
    mutates: frozenset[str] = _NONE
    """Names from before it whose objects it changes in place."""
    flags: frozenset[str] = _NONE
    """Why the cell must keep its place: "background" (it starts what goes on when it has ended), "dynamic",
    "history", "ipython", "module" (it changes one), "output" (it captures what is put out), "run" (``%run``),
    "served" (it asks something of a server, and the notebook has one), "settings" (of a library, which it changes),
    "star-import", "threads" (it waits for some that go on over cells). Those of a `Node` have "cwd", too (it changes
    the working directory)."""
    awaits: bool = False
    """Whether it awaits something outside of the functions that it defines."""
    late_reads: frozenset[str] = _NONE
    """Those of ``reads`` that only functions defined here look up, when they are called."""
    guarded_reads: frozenset[str] = _NONE
    """Those of ``reads`` that may be missing: the cell may have bound the name itself, or catches the NameError."""
    conditional_writes: frozenset[str] = _NONE
    """Those of ``writes`` that some path leaves as they were before."""
    late_writes: frozenset[str] = _NONE
    """Those of ``writes`` that only a call of a function defined here binds (``global x``)."""
    deletes: frozenset[str] = _NONE
    """Names that it deletes, on every path."""
    mutates_parts: frozenset[str] = _NONE
    """Those of ``mutates`` of which it changes a part, so that what they hold is changed as well."""
    builtins: frozenset[str] = _NONE
    """Built-in names that it reads: reads only if an earlier cell binds them."""
    definitions: Mapping[str, tuple[Definition, ...]] = field(default_factory=dict)
    """Written name -> the functions and classes of this cell that may run when it is used (late binding)."""
    imports: Mapping[str, str] = field(default_factory=dict)
    """Bound name -> dotted path of the module, or of the object in it."""
    aliases: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NO_MAP)
    """Written name -> other names (written here, or from before) whose object it may share or be a part of."""
    holds: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NO_MAP)
    """Name -> other names whose objects it may hold, as a list holds its items."""
    gains: Mapping[str, tuple[Definition, ...]] = field(default_factory=dict)
    """Name from before -> functions and classes of this cell that its object holds from now on."""
    made_by: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NO_MAP)
    """Written name -> functions, classes and methods (``"x.add"``) of other cells whose call gave its object."""
    holds_made: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NO_MAP)
    """Name -> functions, classes and methods of other cells whose call gave objects that it may hold."""
    parts: frozenset[str] = _NONE
    """Those of ``aliases`` that are a part of what they share, as an item of an iterator is."""
    resources: frozenset[str] = _NONE
    """Shared resources that it touches: "random", "numpy.random", "pyplot", "environ", "cwd", "files:PATH"…"""
    resource_reads: frozenset[str] = _NONE
    """Those of ``resources`` that it only looks at."""
    arguments: frozenset[Argument] = frozenset()
    """What it passes to functions that other cells define."""
    code_given: Mapping[str, tuple[Definition, ...]] = field(default_factory=dict)
    """Function of another cell -> functions, classes and objects of this cell that it is given, and may give back."""
    method_calls: frozenset[tuple[str, str]] = frozenset()
    """``(name from before, method)`` that it calls."""
    star_imports: frozenset[str] = _NONE
    """Modules (and files of ``%run``) whose names it binds."""
    private: frozenset[str] = _NONE
    """Written names that begin with an underscore: they stay inside a task cell."""
    is_prelude: bool = False
    """It only has imports, functions, classes, docstrings and comments."""

    @property
    def defined(self) -> frozenset[str]:
        """The functions and classes that it binds to their own names."""
        definitions = self.definitions.items()
        return frozenset(name for name, found in definitions if any(each.name == name for each in found))


def analyze(
    source: str,
    *,
    modules: Mapping[str, str] | None = None,
    exports: Mapping[str, Iterable[str]] | None = None,
) -> Analysis:
    """Analyse a cell as it was typed, magics included.

    ``modules``: what names mean that earlier cells import (name -> dotted path). ``exports``: module, or file of
    ``%run``, -> the names that it binds; those of a star import that are not given here are flagged "star-import".
    Raises SyntaxError, positioned in the cell as typed.
    """
    tree, typed = parse_cell(source)
    context = Context(modules=modules or {}, exports=exports or {}, lazy_annotations=_has_lazy_annotations(tree))
    visitor = StatementVisitor(Scope(kind=ScopeKind.MODULE), context)
    visitor.run_files(typed.effects.runs)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        visitor.shown = tree.body[-1].value
    visitor.block(tree.body)
    return _conclude(visitor, typed.effects, tree, has_await="await" in source or "async" in source)


def _conclude(visitor: StatementVisitor, magic: MagicEffects, tree: ast.Module, *, has_await: bool) -> Analysis:
    facts = visitor.facts
    end = join(visitor.state, visitor.jumps.returns) or visitor.jumps.raises or State(possible=set(facts.bound))
    possible = set(filter(is_global, end.possible)) if magic.keeps_bindings else set()
    late_writes = {name for definition in facts.definitions for name in definition.writes} - possible
    writes = (possible | late_writes) - {TIMED}
    late = {name for definition in facts.definitions for name in definition.reads} - end.possible
    facts.bound |= late_writes
    reads, builtin_reads = _split_builtins(facts.reads | late, facts)
    guarded = (facts.reads - facts.needs) | magic.optional
    known = sorted(writes & end.values.keys())
    changes, looks = facts.changes | magic.changes, facts.looks | magic.looks
    return Analysis(
        reads=frozenset(reads),
        writes=frozenset(writes),
        mutates=frozenset(facts.mutates & reads),
        flags=frozenset(facts.flags | magic.flags),
        awaits=has_await and awaits(tree),
        late_reads=frozenset(reads - facts.reads),
        guarded_reads=frozenset(reads & facts.reads & guarded),
        conditional_writes=frozenset(writes - end.definite),
        late_writes=frozenset(late_writes),
        deletes=frozenset(facts.deleted & end.gone),
        mutates_parts=frozenset(facts.mutates_parts & facts.mutates & reads),
        builtins=frozenset(builtin_reads),
        definitions={name: _sorted(carries) for name in known if (carries := end.values[name].carries)},
        gains={
            name: _sorted(value.carries)
            for name, value in end.values.items()
            if value.carries and is_global(name) and name not in writes
        },
        imports={name: path for name in known if (path := end.values[name].path)},
        aliases={name: shared for name, shared in _sharing(end, attribute="roots").items() if name in writes},
        holds=_sharing(end, attribute="holds"),
        parts=frozenset(name for name in known if end.values[name].is_part),
        holds_made={
            name: made for name in sorted(filter(is_global, end.values)) if (made := end.values[name].holds_made)
        },
        made_by={name: made_by for name in known if (made_by := end.values[name].made_by)},
        resources=frozenset(changes | looks),
        resource_reads=frozenset(looks - changes),
        arguments=frozenset(facts.arguments),
        code_given={name: _sorted(given) for name, given in sorted(facts.code_given.items())},
        method_calls=frozenset(facts.method_calls),
        star_imports=frozenset(facts.star_imports | magic.runs),
        private=frozenset(name for name in writes if name.startswith("_")),
        is_prelude=magic.is_setup and all(map(_is_prelude, tree.body)),
    )


def _split_builtins(names: set[str], facts: Facts) -> tuple[set[str], set[str]]:
    """Built-in names are read from before only where the cell binds them itself, too."""
    builtin = {name for name in names if name in BUILTINS and name not in facts.bound and name not in facts.deleted}
    return names - builtin, builtin


def _sorted(definitions: Iterable[Definition]) -> tuple[Definition, ...]:
    return tuple(sorted(definitions, key=lambda definition: definition.name))


def _sharing(end: State, *, attribute: str) -> dict[str, frozenset[str]]:
    """For each name the other names whose objects its ``roots`` or ``holds`` are."""
    owners: dict[str, set[str]] = {}
    names = sorted(filter(is_global, end.values))
    for name in names:
        for root in end.values[name].roots:
            owners.setdefault(root, {root} if is_global(root) else set()).add(name)
    shared = {}
    for name in names:
        roots: frozenset[str] = getattr(end.values[name], attribute)
        others = {other for root in roots for other in owners.get(root, (root,) if is_global(root) else ())}
        if others := others - ({name} - roots):  # by its own name (``a += 1``) it may be what it was before
            shared[name] = frozenset(others)
    return shared


def _has_lazy_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(statement, ast.ImportFrom)
        and statement.module == "__future__"
        and any(alias.name == "annotations" for alias in statement.names)
        for statement in tree.body
    )


def _is_prelude(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Try():
            parts = [*statement.body, *statement.orelse, *statement.finalbody]
            parts += [part for handler in statement.handlers for part in handler.body]
            return all(map(_is_prelude, parts))
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return all(map(_is_prelude, [*statement.body, *statement.orelse]))
    return type(statement).__name__ == "TypeAlias"
