"""What the expressions of a cell read, in order of evaluation, and what is known about their values."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from operator import or_
from typing import Any

from flowbook.cells import effects
from flowbook.cells.definitions import BOUND_MUTATOR, BOUND_WRITER, Argument, Definition, Told
from flowbook.cells.known_functions import resource_of_attribute
from flowbook.cells.known_methods import MUTATORS_OF_CONTAINERS, WRITERS
from flowbook.cells.libraries import gives_part
from flowbook.cells.scopes import Scope, ScopeKind, is_global
from flowbook.cells.state import NOTHING, Jumps, State, Value, join

__all__ = ["BUILTINS", "MODULE_DUNDERS", "Context", "ExpressionVisitor", "Facts"]

BUILTINS = frozenset(dir(builtins)) | {"display", "get_ipython", "exit", "quit"}
MODULE_DUNDERS = frozenset(
    "__name__ __doc__ __package__ __loader__ __spec__ __file__ __builtins__ __builtin__ __annotations__ __path__ "
    "__cached__ __debug__ __import__ __build_class__ __class__ __module__ __qualname__ __dict__ __session__".split()
)
_BOUND = {
    **dict.fromkeys(MUTATORS_OF_CONTAINERS, BOUND_MUTATOR),
    **dict.fromkeys(WRITERS, BOUND_WRITER),
}
_objects = count(1)
_methods: dict[type[ast.AST], Callable[..., Any]] = {}
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[iod]h|In|Out")
_QUERY_NAME = re.compile(r"@([A-Za-z_]\w*)")


@dataclass(kw_only=True, slots=True)
class Facts:
    """What one walk has found; sets only grow."""

    reads: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    mutates_parts: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    looks: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    arguments: set[Argument] = field(default_factory=set)
    method_calls: set[tuple[str, str]] = field(default_factory=set)
    code_given: dict[str, set[Definition]] = field(default_factory=dict)
    """Function of another cell -> what runs when what it is given is used."""
    needs: set[str] = field(default_factory=set)
    """Those of ``reads`` that no ``try`` guards against being missing."""
    gives_code: bool = False
    """It returns a function."""
    gives_closure: bool = False
    """What it returns is changed by being used."""
    gives_library: bool = False
    """It returns an object of a library of which no more is known."""
    suspends: bool = False
    """It is a generator: calling it does not run it to its end."""
    returned: set[str] = field(default_factory=set)
    star_imports: set[str] = field(default_factory=set)
    definitions: list[Definition] = field(default_factory=list)

    def include(self, definition: Definition) -> None:
        """What happens around the cell when the definition runs."""
        self.changes |= definition.changes
        self.looks |= definition.looks
        self.flags |= definition.flags


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What holds for a whole cell."""

    modules: Mapping[str, str] = field(default_factory=dict)
    """What names mean that other cells import."""
    exports: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """Module (or file of ``%run``) -> the names that a star import of it binds."""
    lazy_annotations: bool = False
    """``from __future__ import annotations``: annotations are not evaluated."""


Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class ExpressionVisitor:
    """Visits expressions in one body of code: the cell itself, or a function in it.

    ``visit`` gives what is known about the value without using it (``g = f`` does not call ``f``); ``use`` is for a
    value that something happens to, so that the functions it carries may run.
    """

    def __init__(self, scope: Scope, context: Context, *, outer: ExpressionVisitor | None = None) -> None:
        self.scope = scope
        self.context = context
        self.outer = outer
        self.state: State | None = State()
        self.facts = Facts()
        self.jumps = Jumps()
        self.discarded: ast.expr | None = None
        self.shown: ast.expr | None = None
        """The last expression of the cell, whose value is shown."""
        self.itself: str = ""
        """The first parameter of a function: the object, where that is a method."""
        self.awaited: ast.expr | None = None
        self.guards = 0
        """How many ``try`` statements around would catch that a name is missing."""
        self._running: set[int] = set()
        self._giving: set[tuple[str, int | str]] = set()

    # Names

    def load(self, name: str) -> Value:
        """Read a name: what is not definitely bound here comes from outside."""
        if self.state is None:
            return NOTHING
        key = self.scope.key(name)
        if not is_global(key):
            value = self.state.values.get(key, NOTHING)
            if self.scope.owns(key) and key not in self.state.definite:
                return value | self.load_global(self.scope.mangled(name))
            return value
        return self.load_global(key)

    def load_global(self, name: str) -> Value:
        state = self.state
        if state is None or (name in MODULE_DUNDERS and name not in state.possible):
            return NOTHING
        known = state.values.get(name)
        if name in state.definite:
            return known or NOTHING
        self.facts.reads.add(name)
        if not self.guards and name not in state.possible:
            self.facts.needs.add(name)
        if name[0] in "_IO" and _HISTORY.fullmatch(name) and name not in state.possible:
            self.facts.flags.add("history")
        outside = Value(roots=frozenset((name,)), path=self.path_of(name))
        return outside if known is None else outside | known

    def path_of(self, name: str) -> str:
        """The import path of a global name that this body does not bind."""
        visitor = self.outer
        while visitor is not None:
            if visitor.state is not None and name in visitor.state.values:
                return visitor.state.values[name].path
            visitor = visitor.outer
        if name in self.context.modules:
            return self.context.modules[name]
        if name in BUILTINS:
            return f"builtins.{name}"
        return effects.CONVENTIONAL_MODULES.get(name, "")

    def bind(self, name: str, value: Value = NOTHING, *, scope: Scope | None = None) -> None:
        if self.state is None:
            return
        key = (scope or self.scope).key(name)
        if is_global(key):
            self.facts.bound.add(key)
        elif not key.startswith((scope or self.scope).prefix):
            self.facts.mutates.add(key)  # ``nonlocal``: the closure is another one from now on
        self.state.bind(key, self.as_object(value))

    def as_object(self, value: Value) -> Value:
        """Give a new object a root of its own, so that names that share it are known as aliases."""
        return value if value.roots else value._replace(roots=frozenset((f"new:{next(_objects)}",)))

    def remember(self, owner: Value, stored: Value) -> None:
        """From now on ``owner`` holds ``stored``."""
        held = stored.held()
        if self.state is None or held is NOTHING:
            return
        for root in filter(is_global, owner.roots):
            self.state.values.setdefault(root, Value(roots=frozenset((root,)), path=self.path_of(root)))
        for key, value in self.state.values.items():
            if value.roots & owner.roots:
                self.state.values[key] = value._replace(
                    holds=value.holds | held.holds,
                    carries=value.carries | held.carries,
                    holds_made=value.holds_made | held.holds_made,
                )

    def mutate(self, value: Value, *, deep: bool = False) -> None:
        """An object is changed in place, and with ``deep`` also what it holds."""
        self.facts.mutates |= value.roots
        if value.is_part or deep:
            self.facts.mutates_parts |= value.roots
        if deep:
            self.facts.mutates |= value.holds
        for maker in value.made_by:
            owner, _, method = maker.partition(".")
            if gives_part(method):
                self.facts.method_calls.add((owner, Told.PERHAPS))

    def configure(self, value: Value, flag: str) -> None:
        """What is imported is changed for everyone, and nobody knows who has imported what from it."""
        self.mutate(value)
        self.facts.flags.add(flag)

    # Values

    def visit(self, node: ast.expr) -> Value:
        if self.state is None:
            return NOTHING
        value: Value = self._method("visit_", node, ExpressionVisitor.visit_operation)(self, node)
        return value

    @classmethod
    def _method(cls, prefix: str, node: ast.AST, default: Callable[..., Any]) -> Callable[..., Any]:
        """The method for a kind of node."""
        method = _methods.get(type(node))
        if method is None:
            method = _methods[type(node)] = getattr(cls, prefix + type(node).__name__, default)
        return method

    def use(self, node: ast.expr | None) -> Value:
        if node is None:
            return NOTHING
        value = self.visit(node)
        if value.carries:
            self.run(value)
        return value

    def visit_operation(self, node: ast.AST) -> Value:
        """Any other expression: its operands are used, its value is a new object."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.use(child)
        return NOTHING

    def visit_Constant(self, node: ast.Constant) -> Value:
        return NOTHING

    def visit_Name(self, node: ast.Name) -> Value:
        return self.load(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> Value:
        owner = self.visit(node.value)
        value = self.attribute(owner, node.attr)
        if not value.path and (method := _BOUND.get(node.attr)):
            return self.as_object(value)._replace(carries=value.carries | {method})
        return value

    def attribute(self, owner: Value, name: str) -> Value:
        if resource := effects.ATTRIBUTES.get(name):
            self.facts.changes.add(resource)
        if owner.path:
            path = f"{owner.path}.{name}"
            if resource := resource_of_attribute(path):
                self.facts.looks.add(resource)
            return Value(owner.roots, owner.holds, owner.carries, path, True)
        return owner if name in effects.SAME_ATTRIBUTES else owner.part()

    def visit_Subscript(self, node: ast.Subscript) -> Value:
        owner = self.visit(node.value)
        if owner.carries and not owner.holds:
            self.run(owner)
        self.use(node.slice)
        return owner.part()

    def visit_Starred(self, node: ast.Starred) -> Value:
        return self.use(node.value).part()

    def visit_Tuple(self, node: ast.Tuple | ast.List | ast.Set) -> Value:
        return self.held([self.visit(element) for element in node.elts])

    def held(self, values: Iterable[Value]) -> Value:
        """A new container that holds these."""
        return reduce(or_, values, NOTHING).held()

    visit_List = visit_Set = visit_Tuple

    def visit_Dict(self, node: ast.Dict) -> Value:
        value = NOTHING
        for key, item in zip(node.keys, node.values, strict=True):
            self.use(key)
            value = value | self.visit(item)
        return value.held()

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Value:
        value = self.visit(node.value)
        self.bind(node.target.id, value, scope=self.scope.for_walrus())
        return value

    def visit_BinOp(self, node: ast.BinOp) -> Value:
        """``[x] * 2`` and ``[x] + [y]`` hold what the lists hold."""
        made = [side for side in (self.use(node.left), self.use(node.right)) if not side.roots]
        return reduce(or_, (Value(holds=side.holds) for side in made if side.holds), NOTHING)

    def visit_Await(self, node: ast.Await) -> Value:
        self.awaited = node.value
        self.discarded = node.value if self.discarded is node else None
        return self.use(node.value)

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> Value:
        value = self.use(node.value)
        self.facts.returned |= value.roots | value.holds
        self.facts.suspends = True
        return NOTHING

    visit_YieldFrom = visit_Yield

    # Branches within an expression

    def visit_IfExp(self, node: ast.IfExp) -> Value:
        self.state, otherwise = self.condition(node.test)
        value = self.visit(node.body)
        after_body, self.state = self.state, otherwise
        value = value | self.visit(node.orelse)
        self.state = join(after_body, self.state)
        return value

    def visit_BoolOp(self, node: ast.BoolOp) -> Value:
        value, left = NOTHING, None
        for operand in node.values:
            value = value | self.visit(operand)
            left = join(left, self.state)
            when_true, when_false = self._split(operand)
            self.state = when_true if isinstance(node.op, ast.And) else when_false
        self.state = left
        return value

    def _split(self, operand: ast.expr) -> tuple[State | None, State | None]:
        """The states after an operand that has been visited, if it was true and if it was false."""
        if isinstance(operand, ast.Constant):
            return (self.state, None) if operand.value else (None, self.state)
        return (self.state and self.state.copy(), self.state)

    def visit_Compare(self, node: ast.Compare) -> Value:
        self.use(node.left)
        self.use(node.comparators[0])
        for comparator in node.comparators[1:]:  # reached only while the chain holds
            before = self.state and self.state.copy()
            self.use(comparator)
            self.state = join(before, self.state)
        return NOTHING

    def condition(self, test: ast.expr) -> tuple[State | None, State | None]:
        """Evaluate a test; the state where it was true and the state where it was false."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            when_true, when_false = self.condition(test.operand)
            return when_false, when_true
        if isinstance(test, ast.BoolOp):
            return self._condition_of_operands(test)
        self.use(test)
        return self._split(test)

    def _condition_of_operands(self, test: ast.BoolOp) -> tuple[State | None, State | None]:
        is_and = isinstance(test.op, ast.And)
        decided: State | None = None
        for operand in test.values:
            when_true, when_false = self.condition(operand)
            self.state, short_cut = (when_true, when_false) if is_and else (when_false, when_true)
            decided = join(decided, short_cut)
        return (self.state, decided) if is_and else (decided, self.state)

    # Comprehensions

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> Value:
        return self._comprehension(node)

    visit_SetComp = visit_DictComp = visit_ListComp

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> Value:
        first = self.use(node.generators[0].iter)  # evaluated in the enclosing scope
        outside = self.scope
        self.scope = outside.inside(ScopeKind.COMPREHENSION, [generator.target for generator in node.generators])
        value = self.generate(node, first)
        self.scope = outside
        return value.held()

    def generate(self, node: Comprehension, first: Value) -> Value:
        """What a comprehension does for each item of its first iterable; there may be none."""
        before = self.state and self.state.copy()
        value = NOTHING
        for index, generator in enumerate(node.generators):
            item = first if index == 0 else self.use(generator.iter)
            self.assign(generator.target, item.part())
            for test in generator.ifs:
                self.state, _ = self.condition(test)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for element in elements:
            value = value | self.visit(element)
        self.state = join(before, self.state)
        return value

    # Code that runs later: see FunctionVisitor in statements

    def assign(self, target: ast.expr, value: Value) -> None:
        raise NotImplementedError

    def run(self, value: Value) -> None:
        raise NotImplementedError
