"""The paths through the statements of a cell (the language reference, "Compound statements")."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from flowbook.cells import effects
from flowbook.cells.functions import FunctionVisitor
from flowbook.cells.known_functions import resource_of_attribute
from flowbook.cells.state import NOTHING, Jumps, State, Value, join

__all__ = ["StatementVisitor"]

_CATCHES_ALL = frozenset({"BaseException"})
_OF_MISSING_NAMES = frozenset({"NameError", "Exception", "BaseException"})


class StatementVisitor(FunctionVisitor):
    """Adds statements to the visitor of expressions and functions."""

    def block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if self.state is None:
                return
            before = self.state.copy() if self.jumps.watches_raises else None
            self._method("do_", statement, StatementVisitor._do_other)(self, statement)
            if before is not None:
                self.jumps.add("raises", before)
                self.jumps.add("raises", self.state)

    def _do_other(self, statement: ast.stmt) -> None:
        """``pass``, ``global``, ``nonlocal``: scopes know them."""

    def do_Expr(self, statement: ast.Expr) -> None:
        self.discarded = statement.value
        self.use(statement.value)

    # Binding

    def do_Assign(self, statement: ast.Assign) -> None:
        elements = _elements(statement.value)
        values = [self.visit(element) for element in elements]
        value = self.held(values) if elements else self.visit(statement.value)
        if len(statement.targets) > 1:
            value, values = self.as_object(value), [self.as_object(each) for each in values]
        for target in statement.targets:
            own = _elements(target)
            if own and len(own) == len(values):  # ``a, b = b, a`` gives each target the value of its own element
                for element, each in zip(own, values, strict=True):
                    self.assign(element, each)
            else:
                self.assign(target, value)

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self.bind(name, value)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                if value.carries:
                    self.run(value)
                if any(definition.is_closure for definition in value.carries):
                    value = self.as_object(value)  # they share what they change
                for element in elements:
                    self.assign(element, value.part())
            case ast.Starred(value=inner):
                self.assign(inner, value.held())
            case ast.Attribute(value=owner, attr=name):
                self._change(self.use(owner), name, value)
            case ast.Subscript(value=owner, slice=index):
                changed = self.use(owner)
                self.use(index)
                self._change(changed, "", value)

    def _change(self, owner: Value, attribute: str, stored: Value) -> None:
        """An attribute or item of ``owner`` is stored or deleted."""
        self.mutate(owner)
        path = f"{owner.path}.{attribute}" if attribute and owner.path else owner.path
        resource = resource_of_attribute(path) or resource_of_attribute(owner.path)
        if resource:
            self.facts.changes.add(resource)
            if resource == "stdout":
                self.facts.flags.add("output")
        elif attribute and owner.path:
            self.configure(owner, "module")
        self.remember(owner, stored)

    def do_AugAssign(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if not isinstance(target, ast.Name):
            item = self.visit(target)
            if not _is_text(statement.value):
                self.mutate(item)
            self.remember(item, self.use(statement.value))
            self.assign(target, NOTHING)
            return
        old = self.load(target.id)
        if old.carries:
            self.run(old)
        added = self.use(statement.value)
        if not isinstance(statement.value, ast.JoinedStr) and not _is_text(statement.value):
            self.mutate(old)  # a list or an array is changed in place
        self.remember(old, added)
        self.bind(target.id, old._replace(holds=old.holds | added.held().holds))

    def do_AnnAssign(self, statement: ast.AnnAssign) -> None:
        if statement.value is not None:
            self.assign(statement.target, self.visit(statement.value))
        elif not isinstance(statement.target, ast.Name):
            self.use_target(statement.target)
        if not self.is_function:
            self.annotation(statement.annotation)

    def use_target(self, target: ast.expr) -> None:
        """``obj.x: T`` evaluates ``obj`` and stores nothing."""
        for child in ast.iter_child_nodes(target):
            if isinstance(child, ast.expr):
                self.use(child)

    def do_Delete(self, statement: ast.Delete) -> None:
        for target in statement.targets:
            self._delete(target)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.load(name)
                key = self.scope.key(name)
                self.facts.deleted.add(key)
                if self.state is not None:
                    self.state.unbind(key)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self._delete(element)
            case _:
                self.assign(target, NOTHING)

    def do_Import(self, statement: ast.Import) -> None:
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            path = alias.name if alias.asname else top
            self.bind(alias.asname or top, Value(path=path))

    def do_ImportFrom(self, statement: ast.ImportFrom) -> None:
        module = "." * statement.level + (statement.module or "")
        for alias in statement.names:
            if alias.name == "*":
                self._star_import(module)
            else:
                self.bind(alias.asname or alias.name, Value(path=f"{module}.{alias.name}"))

    def _star_import(self, module: str) -> None:
        self.facts.star_imports.add(module)
        if module not in self.context.exports:
            self.facts.flags.add("star-import")
        for name in self.context.exports.get(module, ()):
            self.bind(name, Value(path=f"{module}.{name}"))

    def run_files(self, paths: Iterable[str]) -> None:
        """``%run file.py`` binds what the file binds."""
        for path in sorted(paths):
            if path not in self.context.exports:
                self.facts.flags.add("run")
            for name in self.context.exports.get(path, ()):
                self.bind(name)

    # Leaving a path

    def do_Return(self, statement: ast.Return) -> None:
        value = self.use(statement.value)
        self.facts.returned |= value.roots | value.holds
        self.give_code(value)
        self._leave("returns")

    def do_Raise(self, statement: ast.Raise) -> None:
        self.use(statement.exc)
        self.use(statement.cause)
        self._leave("raises")

    def do_Break(self, statement: ast.Break) -> None:
        self._leave("breaks")

    def do_Continue(self, statement: ast.Continue) -> None:
        self._leave("continues")

    def _leave(self, kind: str) -> None:
        self.jumps.add(kind, self.state)
        self.state = None

    def do_Assert(self, statement: ast.Assert) -> None:
        holds, self.state = self.condition(statement.test)
        self.use(statement.msg)
        self._leave("raises")
        self.state = holds

    # Branches

    def do_If(self, statement: ast.If) -> None:
        self.state, otherwise = self.condition(statement.test)
        self.block(statement.body)
        after_body, self.state = self.state, otherwise
        self.block(statement.orelse)
        self.state = join(after_body, self.state)

    def do_For(self, statement: ast.For | ast.AsyncFor) -> None:
        items = self.use(statement.iter)

        def head() -> State | None:
            finished = self.state and self.state.copy()
            self.assign(statement.target, items.part())
            return finished

        self._loop(head, statement.body, statement.orelse)

    do_AsyncFor = do_For

    def do_While(self, statement: ast.While) -> None:
        def head() -> State | None:
            self.state, finished = self.condition(statement.test)
            return finished

        self._loop(head, statement.body, statement.orelse)

    def _loop(self, head: Callable[[], State | None], body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        """``head`` evaluates the head of the loop and gives the state in which the loop is finished there."""
        outer, start = self.jumps, self.state
        finished, inner, back = self._iterate(head, body, start)
        if back is not None and start is not None and _needs_second_round(start, back, self.facts.mutates):
            finished, inner, back = self._iterate(head, body, join(start, back))
        outer.add_all(inner, "returns", "raises")
        self.jumps = outer
        for exit_state in (finished, inner.breaks):
            if exit_state is not None and back is not None:
                exit_state.absorb(back)  # what an earlier iteration may have bound
        self.state = finished
        self.block(orelse)
        self.state = join(self.state, inner.breaks)

    def _iterate(
        self, head: Callable[[], State | None], body: list[ast.stmt], start: State | None
    ) -> tuple[State | None, Jumps, State | None]:
        self.state = start and start.copy()
        inner = self.jumps = Jumps(watches_raises=self.jumps.watches_raises)
        finished = head()
        self.block(body)
        return finished, inner, join(self.state, inner.continues)

    def do_Match(self, statement: ast.Match) -> None:
        subject = self.use(statement.subject)
        end: State | None = None
        for case in statement.cases:
            if self.state is None:
                break
            unmatched = self.state.copy()
            irrefutable = self.pattern(case.pattern, subject)
            unmatched.absorb(self.state)  # a pattern that fails may have bound some of its names
            failed = None if irrefutable else unmatched
            if case.guard is not None:
                self.state, guard_failed = self.condition(case.guard)
                failed = join(failed, guard_failed)
            self.block(case.body)
            end = join(end, self.state)
            self.state = failed
        self.state = join(end, self.state)

    def pattern(self, pattern: ast.pattern, subject: Value) -> bool:
        """Bind what a pattern captures; whether it matches anything."""
        match pattern:
            case ast.MatchAs(pattern=inner, name=name):
                irrefutable = inner is None or self.pattern(inner, subject)
                if name is not None:
                    self.bind(name, subject)
                return irrefutable
            case ast.MatchOr(patterns=alternatives):
                return self._alternatives(alternatives, subject)
            case ast.MatchStar(name=str(name)):
                self.bind(name, subject.held())
            case ast.MatchValue(value=value):
                self.use(value)
            case ast.MatchSequence(patterns=patterns):
                self._patterns(patterns, subject)
            case ast.MatchMapping(keys=keys, patterns=patterns, rest=rest):
                for key in keys:
                    self.use(key)
                self._patterns(patterns, subject)
                if rest is not None:
                    self.bind(rest, subject.held())
            case ast.MatchClass(cls=cls, patterns=patterns, kwd_patterns=keyword_patterns):
                self.visit(cls)
                self._patterns([*patterns, *keyword_patterns], subject)
        return False

    def _patterns(self, patterns: Sequence[ast.pattern], subject: Value) -> None:
        for pattern in patterns:
            self.pattern(pattern, subject.part())

    def _alternatives(self, alternatives: Sequence[ast.pattern], subject: Value) -> bool:
        start, matched, irrefutable = self.state, None, False
        for alternative in alternatives:
            self.state = start and start.copy()
            irrefutable = self.pattern(alternative, subject) or irrefutable
            matched = join(matched, self.state)
        self.state = matched
        return irrefutable

    # Exceptions

    def do_With(self, statement: ast.With | ast.AsyncWith) -> None:
        suppresses = False
        for item in statement.items:
            manager = self.use(item.context_expr)
            for method in ("__enter__", "__exit__"):
                manager = manager | self._run_method(method, manager, manager, {})
            suppresses = suppresses or _suppresses(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, manager)
        if not suppresses:
            self.block(statement.body)
            return
        outer = self.jumps
        inner = self.jumps = Jumps(watches_raises=True)
        self.block(statement.body)
        self.jumps = outer
        outer.add_all(inner, "breaks", "continues", "returns")
        self.state = join(self.state, inner.raises)

    do_AsyncWith = do_With

    def do_Try(self, statement: ast.Try) -> None:
        outer = self.jumps
        body = self.jumps = Jumps(watches_raises=True)
        self.guards += any(map(_catches_missing_names, statement.handlers))
        self.block(statement.body)
        self.guards -= any(map(_catches_missing_names, statement.handlers))
        left = self.jumps = Jumps(watches_raises=bool(statement.finalbody) or outer.watches_raises)
        self.block(statement.orelse)
        end = self.state
        for handler in statement.handlers:
            self.state = body.raises and body.raises.copy()
            self._handler(handler)
            end = join(end, self.state)
        left.add_all(body, "breaks", "continues", "returns")
        if not any(_catches_all(handler) for handler in statement.handlers):
            left.add_all(body, "raises")
        self.jumps, self.state = outer, end
        self._finally(statement.finalbody, left)

    do_TryStar = do_Try

    def _handler(self, handler: ast.ExceptHandler) -> None:
        self.use(handler.type)
        if handler.name is None:
            self.block(handler.body)
            return
        self.bind(handler.name)
        outer = self.jumps
        inner = self.jumps = Jumps(watches_raises=outer.watches_raises)
        self.block(handler.body)
        self.jumps = outer
        key = self.scope.key(handler.name)  # unbound on every way out of the handler
        inner.unbind(key)
        if self.state is not None:
            self.state.unbind(key)
        outer.add_all(inner, "breaks", "continues", "returns", "raises")

    def _finally(self, body: list[ast.stmt], left: Jumps) -> None:
        """Every way out of the ``try`` runs the ``finally`` and then goes on as it was going."""
        end = self.state
        for kind in ("breaks", "continues", "returns", "raises"):
            self.state = getattr(left, kind)
            if body and self.state is not None:
                self.state = self.state.copy()
                self.block(body)
            self.jumps.add(kind, self.state)
        self.state = end
        self.block(body)


def _needs_second_round(start: State, back: State, mutated: set[str]) -> bool:
    """Whether a later iteration starts with less bound, or with names that mean other objects."""
    if not start.definite <= back.definite:
        return True
    keys = start.values.keys() | mutated
    return any(key in back.values and back.values[key] != start.values.get(key) for key in keys)


def _elements(node: ast.expr) -> list[ast.expr]:
    """The elements of a tuple or list whose places are known."""
    if not isinstance(node, ast.Tuple | ast.List) or any(isinstance(each, ast.Starred) for each in node.elts):
        return []
    return node.elts


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _suppresses(manager: ast.expr) -> bool:
    function = manager.func if isinstance(manager, ast.Call) else manager
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in effects.SUPPRESSES


def _catches_missing_names(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _OF_MISSING_NAMES) for kind in kinds)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in _CATCHES_ALL)
