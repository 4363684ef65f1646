"""Functions, classes, lambdas and generator expressions: what is evaluated now, and what when they are called."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

from flowbook.cells import effects, libraries
from flowbook.cells.calls import CallVisitor
from flowbook.cells.definitions import Definition, merged
from flowbook.cells.instances import shares_what_changes
from flowbook.cells.scopes import Scope, ScopeKind, is_global
from flowbook.cells.state import NOTHING, State, Value, join

__all__ = ["FunctionVisitor"]


_CACHES = frozenset({"functools.cache", "functools.lru_cache"})


class FunctionVisitor(CallVisitor):
    """Adds definitions to the visitor of calls. A body that runs later is walked by a visitor of its own."""

    is_function = False

    def block(self, body: Sequence[ast.stmt]) -> None:
        raise NotImplementedError

    # Statements

    def do_FunctionDef(self, statement: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators, registries = self._decorators(statement)
        defaults = self._defaults(statement.args)
        outside = self._enter_type_parameters(statement)
        for annotation in _annotations(statement):
            self.annotation(annotation)
        body = statement.body
        definition = self._define(statement.name, statement.args, lambda visitor: visitor.block(body), body)
        if isinstance(statement, ast.AsyncFunctionDef):
            definition = replace(definition, always_writes=frozenset())
        self.scope = outside
        reads, is_decorated = definition.reads | _of_other_cells(decorators), bool(statement.decorator_list)
        definition = replace(definition, reads=reads, is_decorated=is_decorated)
        if any(self.visit(each).path in _CACHES for each in map(_called, statement.decorator_list)):
            definition = replace(definition, returns=definition.returns | {statement.name})  # it keeps what it gives
        self.bind(
            statement.name,
            self._function(definition, statement.args, defaults)
            | Value(
                carries=frozenset(each.result() for each in decorators.carries), made_by=_of_other_cells(decorators)
            ),
        )
        self._register(statement.name, decorators, registries)

    do_AsyncFunctionDef = do_FunctionDef

    def do_ClassDef(self, statement: ast.ClassDef) -> None:
        decorators, registries = self._decorators(statement)
        outside = self._enter_type_parameters(statement)
        bases = NOTHING
        of_library = False
        for base in statement.bases:
            value = self.visit(base)
            bases, of_library = bases | value, of_library or libraries.gives_object(value.path)
        self._run_hook("__init_subclass__", bases)
        if any(map(is_global, bases.roots)) and not bases.path:
            self.facts.looks.add(effects.SUBCLASSES)
        for keyword in statement.keywords:
            metaclass = self.visit(keyword.value)
            for method in ("__new__", "__init__"):
                self._run_hook(method, metaclass)
        methods, kept = self._class_body(statement)
        methods += [method for each in kept.carries if each.kind == "class" for method in each.methods]
        self.scope = outside
        own_bases = [base for base in bases.carries if base.kind == "class"]
        definition = merged(statement.name, methods, own_bases, of_library=of_library)
        inherited = definition.bases | _of_other_cells(bases)
        makers = {maker for maker in kept.made_by if "." not in maker}
        definition = replace(definition, bases=inherited, reads=definition.reads | inherited | makers)
        changed = definition.mutates.union(*(base.mutates for base in own_bases))
        if shares_what_changes(statement):  # with the class, its instances are changed
            changed |= {statement.name}
        definition = replace(definition, mutates=changed, reads=definition.reads | changed)
        if bases.path.startswith("logging."):  # a handler: what is logged reaches its objects
            definition = replace(definition, changes=definition.changes | {"logging", effects.LOG_RECORDS})
        self.bind(statement.name, self._carrying(definition))
        self._register(statement.name, decorators, registries)

    def _decorators(self, statement: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> tuple[Value, Value]:
        """Apply the decorators; what they may run again when the function is called, and whose methods they are."""
        value, registries = NOTHING, NOTHING
        for decorator in statement.decorator_list:
            used = self.use(decorator)
            called = self.visit(decorator.func) if isinstance(decorator, ast.Call) else NOTHING
            value = value | used | called if not (used.path or called.path) else value
            inner = _called(decorator)
            if isinstance(inner, ast.Attribute):  # ``@handlers.register``: it is told of the function
                owner = self.visit(inner.value)
                if not owner.path:
                    self.mutate(owner)
                    registries = registries | owner
        return value, registries

    def _run_hook(self, method: str, owner: Value) -> None:
        """A method that Python calls by itself as it makes a class: this one alone runs now."""
        for definition in owner.carries:
            if method in definition.mutating_methods:
                self.mutate(owner, deep=True)
            for part in definition.methods:
                if part.name == method:
                    self._run_definition(part)
        if not owner.path:
            self.tell(owner, method)

    def _register(self, name: str, decorators: Value, registries: Value) -> None:
        """What the decorators do with the function or class that is now bound to its name."""
        if self.state is None:
            return
        new = self.load(name)
        for definition in decorators.carries:
            for part in definition.parts_for_call():
                self._pass_arguments(part, {0: new, "*": new}, skip=definition.kind == "class")
        for decorator in filter(is_global, decorators.roots):
            self._pass_on(decorator, {0: new, "*": new})
        self.remember(registries, new)

    def _class_body(self, statement: ast.ClassDef) -> tuple[list[Definition], Value]:
        """Run the body, in a scope that its methods do not see; the definitions that it makes, and what it keeps.

        What a body keeps may be a descriptor, whose methods run when the attribute is used.
        """
        outside, was_function, first = self.scope, self.is_function, len(self.facts.definitions)
        self.scope = outside.inside(ScopeKind.CLASS, statement.body, class_name=statement.name)
        self.is_function = False
        self.block(statement.body)
        values = self.state.values.items() if self.state else ()
        kept = reduce(or_, (value for key, value in values if key.startswith(self.scope.prefix)), NOTHING)
        self.scope, self.is_function = outside, was_function
        methods = self.facts.definitions[first:]
        del self.facts.definitions[first:]
        return methods, kept

    def do_TypeAlias(self, statement: ast.AST) -> None:
        """``type X = …`` (PEP 695): evaluated when it is asked for."""
        name, value = statement.name.id, statement.value  # type: ignore[attr-defined]
        outside = self._enter_type_parameters(statement)
        definition = self._define(name, None, lambda body: body.use(value))
        self.scope = outside
        self.bind(name, self._carrying(definition))

    def _enter_type_parameters(self, statement: ast.AST) -> Scope:
        """Go into the scope of ``[T: bound = default]``, whose expressions are lazy; the scope left behind."""
        outside = self.scope
        parameters = getattr(statement, "type_params", ())
        if parameters:
            self.scope = outside.inside(ScopeKind.FUNCTION, names=[parameter.name for parameter in parameters])
        for parameter in parameters:
            for lazy in (getattr(parameter, "bound", None), getattr(parameter, "default_value", None)):
                if lazy is not None:
                    self._lazy(lazy)
        return outside

    def _lazy(self, expression: ast.expr) -> None:
        self._carrying(self._define("<type>", None, lambda body: body.use(expression)))

    # Expressions

    def visit_Lambda(self, node: ast.Lambda) -> Value:
        defaults = self._defaults(node.args)

        def walk(body: FunctionVisitor) -> None:
            value = body.use(node.body)
            body.facts.returned |= value.roots | value.holds
            body.give_code(value)

        return self._function(self._define("<lambda>", node.args, walk, [node.body]), node.args, defaults)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> Value:
        """Only the first iterable is evaluated now; the rest when the generator is consumed."""
        first = self.use(node.generators[0].iter)
        scope = self.scope.inside(ScopeKind.COMPREHENSION, [generator.target for generator in node.generators])
        definition = self._walk("<generator>", scope, (), lambda body: body.generate(node, first))
        return self._carrying(replace(definition, moves_on=True, iterates=True)) | Value(
            roots=first.roots, holds=first.holds, is_part=True
        )

    # What they share

    def give_code(self, value: Value) -> None:
        """The value is returned: what it carries may run later."""
        self.facts.gives_code |= bool(value.carries)
        self.facts.suspends |= any(definition.moves_on and definition.iterates for definition in value.carries)
        self.facts.gives_closure |= any(definition.is_closure for definition in value.carries)
        self.facts.gives_library |= any(definition.of_library for definition in value.carries)

    def annotation(self, node: ast.expr | None) -> None:
        if node is not None and not self.context.lazy_annotations:
            self.visit(node)

    def _defaults(self, arguments: ast.arguments) -> Value:
        """The function that gets these defaults holds them."""
        return self.held(self.visit(each) for each in [*arguments.defaults, *arguments.kw_defaults] if each is not None)

    def _function(self, definition: Definition, arguments: ast.arguments, defaults: Value) -> Value:
        """A new function: when it changes the object that is a default, the next call finds that changed.

        What it gives may be that object.
        """
        if definition.mutates_parameters.intersection(kept := _kept(arguments)):
            given = {definition.name} if definition.returns_parameters.intersection(kept) else set()
            definition = replace(definition, moves_on=True, returns=definition.returns | given)
        return self._carrying(definition) | defaults

    def _carrying(self, definition: Definition) -> Value:
        self.facts.definitions.append(definition)
        return Value(carries=frozenset((definition,)))

    def _define(
        self,
        name: str,
        arguments: ast.arguments | None,
        walk: Callable[[FunctionVisitor], object],
        body: Iterable[ast.AST] = (),
    ) -> Definition:
        positional, others = _parameters(arguments)
        scope = self.scope.inside(ScopeKind.FUNCTION, body, names=[*positional, *others])
        return self._walk(name, scope, (*positional, *others), walk)

    def _walk(
        self, name: str, scope: Scope, parameters: tuple[str, ...], walk: Callable[[FunctionVisitor], object]
    ) -> Definition:
        """Walk code that runs later, and sum up what it does."""
        body = type(self)(scope, self.context, outer=self)
        body.is_function = True
        body.itself = parameters[0] if parameters else self.itself
        local = {key: value for key, value in self.state.values.items() if ":" in key} if self.state else {}
        body.state = State(values=local)
        for parameter in parameters:
            key = scope.prefix + scope.mangled(parameter)
            body.state.bind(key, Value(roots=frozenset((key,))))
        walk(body)
        if self.is_function:  # a function inside a function may change what is local to the outer one
            self.facts.mutates |= body.facts.mutates
        return body.summary(name, parameters)

    def summary(self, name: str, parameters: tuple[str, ...]) -> Definition:
        """What a body that has been walked does for its caller."""
        facts, prefix = self.facts, self.scope.prefix
        end = join(self.state, self.jumps.returns) or State()
        for inner in facts.definitions:  # closures may run later, when what the body binds is bound
            facts.include(inner)
            facts.reads |= inner.reads - end.definite
            facts.bound |= inner.writes
            facts.method_calls |= inner.calls_of_others()
            facts.arguments |= {argument for argument in inner.arguments if not argument.is_parameter}
            facts.mutates |= inner.mutates
        own = {prefix + parameter: parameter for parameter in parameters}
        return Definition(
            name=name,
            parameters=parameters,
            reads=frozenset(facts.reads),
            writes=frozenset(facts.bound),
            always_writes=frozenset() if facts.suspends else frozenset(filter(is_global, end.definite)),
            mutates=frozenset(filter(is_global, facts.mutates)),
            mutates_parts=frozenset(filter(is_global, facts.mutates_parts)),
            mutates_parameters=frozenset(own[key] for key in facts.mutates if key in own),
            returns_parameters=frozenset(own[key] for key in facts.returned if key in own),
            arguments=frozenset(facts.arguments),
            stores=_stores(end, own, facts.definitions),
            method_calls=frozenset((f":{own[owner]}" if owner in own else owner, m) for owner, m in facts.method_calls),
            changes=frozenset(facts.changes),
            looks=frozenset(facts.looks),
            flags=frozenset(facts.flags),
            returns=frozenset(filter(is_global, facts.returned)),
            gives_code=facts.gives_code or facts.suspends,
            of_library=facts.gives_library,
            iterates=facts.suspends,
            keeps_state=facts.suspends
            or facts.gives_closure
            or (facts.gives_code and not all(map(is_global, facts.mutates))),
        )


def _stores(end: State, own: Mapping[str, str], inner: Iterable[Definition]) -> frozenset[tuple[str, str]]:
    """What a body has stored of its parameters (`own`: key -> name), in globals or in other parameters."""
    found = {(name, "*") for definition in inner for name, _ in definition.stores if is_global(name)}
    for key, value in end.values.items():
        owner = key if is_global(key) else f":{own[key]}" if key in own else ""
        if owner:
            found.update((owner, own[held]) for held in value.holds if held in own and held != key)
    return frozenset(found)


def _of_other_cells(value: Value) -> frozenset[str]:
    """The names of other cells that a value may be, unless they are imported."""
    return frozenset() if value.path else frozenset(filter(is_global, value.roots))


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _parameters(arguments: ast.arguments | None) -> tuple[list[str], list[str]]:
    """The parameters that take positions, in order, and the others."""
    if arguments is None:
        return [], []
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    others = [argument.arg for argument in arguments.kwonlyargs]
    others += [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return positional, others


def _kept(arguments: ast.arguments) -> list[str]:
    """The parameters that have a default which calls share and may change."""
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [
        (each, default) for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    return [parameter.arg for parameter, default in pairs if not isinstance(default, ast.Constant)]


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    found = [argument.annotation for argument in every if argument is not None and argument.annotation is not None]
    return [*found, function.returns] if function.returns is not None else found
