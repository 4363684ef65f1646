"""What calls do: run functions of the cell, change objects in place, touch shared resources."""

from __future__ import annotations

import ast
import re

from flowbook.cells import effects, libraries
from flowbook.cells.definitions import (
    BOUND_MUTATOR,
    BOUND_WRITER,
    DATABASE,
    ITERATOR,
    OF_LIBRARY,
    Argument,
    Definition,
    Told,
)
from flowbook.cells.effects import Effect
from flowbook.cells.expressions import ExpressionVisitor
from flowbook.cells.file_names import named_files
from flowbook.cells.known_functions import of_function
from flowbook.cells.known_methods import of_method
from flowbook.cells.scopes import ScopeKind, is_global
from flowbook.cells.state import NOTHING, Value

__all__ = ["CallVisitor"]

#: They look names up in the namespace of the code that calls them.
_DYNAMIC = frozenset(
    "builtins.eval builtins.exec builtins.globals cProfile.run numexpr.evaluate pandas.eval profile.run timeit.repeat "
    "timeit.timeit".split()
)
_OF_SCOPE = frozenset({"builtins.locals", "builtins.vars", "builtins.dir"})
_FORMULA_MODULES = ("statsmodels.formula.", "patsy.", "plotnine.ggplot", "plotnine.qplot")
_PATH_KEYWORDS = frozenset(
    "buf excel_writer file fileName filename filepath_or_buffer fname fp io path path_or_buf path_or_buffer".split()
)
_USES_CODE = frozenset("agg apply filter map pipe sort sort_values submit transform".split())
"""Methods that call the function that they are given and keep it not."""
_FILTERS = ("warnings.filterwarnings", "warnings.simplefilter")
_QUERY_NAME = re.compile(r"@([A-Za-z_]\w*)")

Arguments = dict[int | str, Value]


class CallVisitor(ExpressionVisitor):
    """Adds calls to the visitor of expressions."""

    def visit_Call(self, node: ast.Call) -> Value:
        is_discarded = self.discarded is node
        self.discarded = None
        receiver = NOTHING
        if isinstance(node.func, ast.Attribute):
            receiver = self.visit(node.func.value)
            function = self.attribute(receiver, node.func.attr)
        else:
            function = self.visit(node.func)
        arguments = self._arguments(node)
        self._note_names_in_strings(node, function)
        effect = self._effect(node, function, is_discarded)
        self._apply(effect, node, function, receiver, arguments)
        result = self._run_called(node, function, receiver, arguments)
        self._note_unknown(node, function, receiver, arguments, is_discarded)
        if effect in (effects.NO_EFFECT, effects.CONSTRUCTS) and libraries.gives_object(function.path):
            result = result | Value(carries=frozenset((OF_LIBRARY,))) | self.held(arguments.values())
        result = result | _result(effect, receiver, arguments) | _of_names(node, function, arguments)
        if function.path == "builtins.super" and self.itself:
            return self.load(self.itself)
        return self.as_object(result) if effect.linked else result

    def _arguments(self, node: ast.Call) -> Arguments:
        arguments: Arguments = {}
        for position, argument in enumerate(node.args):
            arguments[position] = self._pass(argument)
        for keyword in node.keywords:
            arguments[keyword.arg or "**"] = self._pass(keyword.value)
        return arguments

    def _pass(self, argument: ast.expr) -> Value:
        """A function that is passed on may run now, or when what it reads has been bound."""
        value = self.visit(argument)
        if value.carries:
            self.guards += 1
            self.run(value)
            self.guards -= 1
        if isinstance(argument, ast.Attribute) and not value.path:
            self.tell(value, argument.attr)  # a method that is handed on is called there
        return value

    # What is known from the tables

    def _effect(self, node: ast.Call, function: Value, is_discarded: bool) -> Effect:
        keywords = frozenset(
            keyword.arg
            for keyword in node.keywords
            if keyword.arg and not (isinstance(keyword.value, ast.Constant) and _is_off(keyword.value.value))
        )
        if function.path:
            return of_function(function.path, keywords, discarded=is_discarded)
        if not isinstance(node.func, ast.Attribute):
            is_class = isinstance(node.func, ast.Name) and node.func.id[:1].isupper()
            return effects.CONSTRUCTS if is_class else effects.NO_EFFECT
        owner = node.func.value
        while isinstance(owner, ast.Subscript | ast.Attribute):
            owner = owner.value
        return of_method(
            node.func.attr,
            receiver_name=owner.id if isinstance(owner, ast.Name) else "",
            discarded=is_discarded,
            keywords=keywords,
            positional=len(node.args),
        )

    def _apply(self, effect: Effect, node: ast.Call, function: Value, receiver: Value, arguments: Arguments) -> None:
        self.facts.changes.update(effect.changes)
        if effects.LOG_RECORDS in effect.changes and not _names_a_destination(node):
            self.facts.changes.discard(effects.LOG_RECORDS)
        self.facts.looks.update(effect.looks)
        if effect.configures:
            self.configure(function, "module" if "modules" in effect.changes else "settings")
        if not function.path and isinstance(node.func, ast.Attribute) and node.func.attr == "open":
            (self.facts.changes if _opens_for_writing(node, 0) else self.facts.looks).add("files:?")
        is_plain = effect is effects.NO_EFFECT or effect is effects.CONSTRUCTS or DATABASE in effect.carries
        if (is_plain or not function.path) and not effect.touches_files:
            self._note_named_files(node, function)
        if function.path in _FILTERS and any(
            isinstance(each, ast.Constant) and each.value == "error" for each in node.args
        ):
            self.configure(function, "settings")
        if effect.captures:
            self.facts.flags.add("output")
        if effect.starts and node is not self.awaited:
            self.facts.flags.add("background")
            self.facts.looks.add(effects.EVENT_LOOP)
        if effect.writes_handle:
            self._write_to(arguments.get("file", receiver))
        if effect.receiver:
            self.mutate(receiver, deep=effect.deep)
            if not effect.deep:
                for value in arguments.values():
                    self.remember(receiver, value)
        for slot in effect.arguments:
            if slot in arguments:
                self.mutate(arguments[slot])
        if effect.keeps_arguments:
            for value in arguments.values():
                self.remember(receiver, value)
        if effect.calls and 0 in arguments:
            others = [value for slot, value in arguments.items() if slot != 0] or [receiver]
            self._call_back(arguments[0], {place: value.part() for place, value in enumerate(others)})
        if effect.reads_file is not None:
            writes = effect.opens and _opens_for_writing(node, effect.reads_file + 1)
            (self.facts.changes if writes else self.facts.looks).update(_files(node, effect.reads_file))
        if effect.writes_file is not None:
            self.facts.changes.update(_files(node, effect.writes_file))

    def _note_named_files(self, node: ast.Call, function: Value) -> None:
        """What is not known may be a function of a library that reads or writes the files that it is told."""
        if _is_own(function) or not (function.path or isinstance(node.func, ast.Attribute)):
            return  # a function of the notebook: what it does is found where it is defined
        files, may_change = self._named_files(node, function)
        (self.facts.changes if may_change else self.facts.looks).update(files)

    def _named_files(self, node: ast.Call, function: Value) -> tuple[list[str], bool]:
        told = [*node.args, *(keyword.value for keyword in node.keywords)]
        constants = [each.value for each in told if isinstance(each, ast.Constant)]
        return named_files(function.path, getattr(node.func, "attr", ""), constants)

    def _note_unknown(
        self, node: ast.Call, function: Value, receiver: Value, arguments: Arguments, is_discarded: bool
    ) -> None:
        """What is called is in no table: whether it changes something is told by its name, and by how it is used."""
        is_statement = is_discarded and node is not self.shown
        if function.path:
            package, name = libraries.package_of(function.path), function.path.rpartition(".")[2]
            if not package or self._named_files(node, function)[0]:
                return
            does = is_discarded and not libraries.only_shows(name) and (is_statement or libraries.does_something(name))
            (self.facts.changes if does else self.facts.looks).add(f"library:{package}")
            for value in arguments.values() if does else ():
                self.tell(value, Told.PERHAPS)
        elif not isinstance(node.func, ast.Attribute):
            if is_statement and not _is_own(function):
                self.tell(function, Told.PERHAPS)
        elif not libraries.only_shows(node.func.attr):
            for value in arguments.values() if is_discarded and node.func.attr not in _USES_CODE else ():
                self.remember(receiver, value)
            if is_statement:
                self.tell(receiver, Told.AS_STATEMENT)
            elif is_discarded or libraries.does_something(node.func.attr):
                self.tell(receiver, Told.PERHAPS)

    def _write_to(self, handle: Value) -> None:
        """Something is written to an open file: if it was opened elsewhere, nobody knows here which it is."""
        if handle.path:
            return
        self.mutate(handle)
        if not all(root.startswith("new:") for root in handle.roots):
            self.facts.changes.add("files:?")

    def _note_names_in_strings(self, node: ast.Call, function: Value) -> None:
        """Names that are looked up by code in strings."""
        path = function.path
        if not path:
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("query", "eval") and node.args:
                self._read_query(node.func.attr, node.args[0])
        elif path == "builtins.get_ipython":
            self.facts.flags.add("ipython")
        elif path in _DYNAMIC or path.startswith(_FORMULA_MODULES) or self._shows_scope(path, node):
            self.facts.flags.add("dynamic")

    def _shows_scope(self, path: str, node: ast.Call) -> bool:
        """``locals()`` and its like, where the scope is the notebook's."""
        return path in _OF_SCOPE and not node.args and self.scope.kind is ScopeKind.MODULE

    def _read_query(self, method: str, text: ast.expr) -> None:
        """``df.query("a > @limit")`` looks ``limit`` up."""
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            for name in _QUERY_NAME.findall(text.value):
                self.load(name)
        elif not _is_class(text):  # ``session.query(User)`` is another one
            self.facts.flags.add("dynamic")

    # Functions of the cell, and of other cells

    def run(self, value: Value) -> None:
        """Whatever the value carries may run now."""
        if BOUND_MUTATOR in value.carries or BOUND_WRITER in value.carries:
            self.mutate(value)
        for definition in value.carries:
            self._run_definition(definition)

    def _run_called(self, node: ast.Call, function: Value, receiver: Value, arguments: Arguments) -> Value:
        if isinstance(node.func, ast.Attribute):
            return self._run_method(node.func.attr, function, receiver, arguments)
        result = NOTHING
        if any(definition.moves_on for definition in function.carries):
            self.mutate(function, deep=True)
        for definition in function.carries:
            for part in definition.parts_for_call():
                self._run_definition(part)
                result = result | self._pass_arguments(part, arguments, skip=definition.kind == "class")
                for name in part.returns:
                    result = result | self.load_global(name).part()
            if definition.gives_code:
                result = result | Value(carries=frozenset((definition.result(),)))
                result = result | self.held(arguments.values())
                if definition.is_closure:  # what it gives shares what it changes
                    result = result | Value(roots=function.roots)
            if definition.kind == "class":
                result = result | Value(carries=frozenset((definition.result(),)))
        if len(function.carries) == 1 and self.state is not None and not function.roots & self.facts.reads:
            (only,) = function.carries
            self.state.definite |= only.always_writes
        if not _is_own(function):
            self.tell(function, Told.SOME_METHOD)
            for name in filter(is_global, function.roots):
                self._pass_on(name, arguments)
                result = result | Value(made_by=frozenset((name,)))
        return result

    def _run_method(self, method: str, function: Value, receiver: Value, arguments: Arguments) -> Value:
        result = NOTHING
        for definition in function.carries:
            self._run_definition(definition)
            for part in definition.methods:
                if part.name == method:
                    result = result | self._pass_arguments(part, arguments, skip=True, receiver=receiver)
        if not function.path:
            owners = self.tell(receiver, method)
            for value in arguments.values():
                if not value.carries.isdisjoint((BOUND_MUTATOR, BOUND_WRITER)):
                    self.remember(receiver, value)  # it may call it whenever it is used
            for owner in filter(is_global, owners):
                self._pass_on(f"{owner}.{method}", arguments)
            result = result | Value(made_by=frozenset(f"{owner}.{method}" for owner in owners if is_global(owner)))
            if OF_LIBRARY in receiver.carries and libraries.gives_part(method):
                result = result | receiver.part()
        return result

    def tell(self, value: Value, method: str) -> set[str]:
        """A method of an object is called, or what else is `Told`: whose it may be, here or where that is known."""
        if any(definition.is_changed_by(method) for definition in value.carries):
            self.mutate(value, deep=True)
        owners = {root for root in value.roots if not root.startswith("new:")}
        owners.update(maker.partition(".")[0] for maker in value.made_by if "." in maker)
        self.facts.method_calls.update((owner, method) for owner in owners)
        return owners

    def _run_definition(self, definition: Definition) -> None:
        """The body of a function runs: it looks its names up as they are now."""
        if self.state is None or id(definition) in self._running:
            return
        self._running.add(id(definition))
        self.facts.include(definition)
        for name in definition.reads:
            value = self.load_global(name)
            if value.carries:
                self.run(value)
        for name in definition.mutates:
            value = self.load_global(name)
            self.mutate(value, deep=name in definition.mutates_parts)
        self.facts.method_calls |= definition.calls_of_others()
        self.facts.bound |= definition.writes
        self.state.possible |= definition.writes
        for argument in definition.arguments:
            if not argument.is_parameter:
                self._give(argument.function, argument.slot, self.load_global(argument.name))
        self._running.discard(id(definition))

    def _pass_arguments(
        self, definition: Definition, arguments: Arguments, *, skip: bool, receiver: Value = NOTHING
    ) -> Value:
        """What the function does to its parameters happens to the arguments; the result may be one of them."""
        result = NOTHING
        given = {"*": arguments["*"]} if "*" in arguments else {}
        if skip and definition.parameters:
            given[definition.parameters[0]] = receiver
        for slot, value in arguments.items():
            parameter = definition.parameter_at(slot + 1 if skip and isinstance(slot, int) else slot)
            if not parameter or value is NOTHING:
                continue
            given[parameter] = value
            if parameter in definition.mutates_parameters:
                self.mutate(value)
            if parameter in definition.returns_parameters:
                result = result | value
            for passed in definition.arguments:
                if passed.is_parameter and passed.name == parameter:
                    self._give(passed.function, passed.slot, value)
        for owner, method in definition.method_calls:
            if owner[0] == ":" and owner[1:] in given and not (skip and owner[1:] == definition.parameters[0]):
                self.tell(given[owner[1:]], method)
        for owner, parameter in definition.stores:
            if parameter in given:
                self.remember(
                    self.load_global(owner) if is_global(owner) else given.get(owner[1:], NOTHING), given[parameter]
                )
        return result

    def _call_back(self, function: Value, arguments: Arguments) -> None:
        """A function that was passed on is called with these."""
        for definition in function.carries:
            for part in definition.parts_for_call():
                self._pass_arguments(part, arguments, skip=definition.kind == "class")
        for name in filter(is_global, function.roots):
            self._pass_on(name, arguments)

    def _pass_on(self, function: str, arguments: Arguments) -> None:
        """Arguments of a function that another cell defines."""
        for slot, value in arguments.items():
            self._give(function, slot, value)

    def _give(self, function: str, slot: int | str, value: Value) -> None:
        """``function`` gets the value at ``slot``: apply what it does to it, or note it for when that is known."""
        if not is_global(function) or self.state is None or (function, slot) in self._giving:
            return
        self._giving.add((function, slot))
        known = self.state.values.get(function, NOTHING).carries
        for definition in known:
            for part in definition.parts_for_call():
                self._pass_arguments(part, {slot: value}, skip=definition.kind == "class")
        if function not in self.state.definite:
            if value.carries:
                self.facts.code_given.setdefault(function, set()).update(value.carries)
            for root in value.roots | value.holds:
                if root.startswith("new:"):
                    named = (key for key, each in self.state.values.items() if root in each.roots and is_global(key))
                    self.facts.arguments.update(Argument(function=function, slot=slot, name=name) for name in named)
                else:
                    own = not is_global(root)
                    name = root.partition(":")[2] if own else root
                    self.facts.arguments.add(Argument(function=function, slot=slot, name=name, is_parameter=own))
        self._giving.discard((function, slot))


def _is_own(value: Value) -> bool:
    """Whether it runs code of this cell."""
    return not value.carries <= {OF_LIBRARY}


def _result(effect: Effect, receiver: Value, arguments: Arguments) -> Value:
    carries = (*effect.carries, ITERATOR) if effect.iterates else effect.carries
    result = Value(carries=frozenset(carries)) if carries else NOTHING
    if effect.returns_receiver:
        result = result | (receiver if effect.receiver else receiver.part())
    for slot in effect.returns:
        result = result | arguments.get(slot, NOTHING).part()
    if effect.holds_arguments:
        for value in arguments.values():
            result = result | value.held()
    return result


def _of_names(node: ast.Call, function: Value, arguments: Arguments) -> Value:
    """What a call gives that is known by its arguments."""
    match node:
        case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(module)), *_]):
            return Value(path=module)
        case ast.Call(args=[ast.Constant(value=str(module))]) if function.path == "importlib.import_module":
            return Value(path=module)
    if function.path == "functools.partial" and arguments.get(0, NOTHING).path == "builtins.print":
        return Value(carries=frozenset((BOUND_WRITER,)))
    return NOTHING


def _opens_for_writing(node: ast.Call, place: int) -> bool:
    modes = [*node.args[place : place + 1], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    return any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in modes)


def _names_a_destination(node: ast.Call) -> bool:
    """Whether a handler of log records, or ``basicConfig``, is told to write elsewhere than under the cells."""
    told = [*node.args, *(each.value for each in node.keywords if each.arg in ("filename", "stream", None))]
    return any(ast.unparse(each) not in ("sys.stdout", "sys.stderr") for each in told)


def _files(node: ast.Call, position: int) -> list[str]:
    """The resource that a path argument means: ``files:?`` when it is not a constant, none when it is left out."""
    named = [keyword.value for keyword in node.keywords if keyword.arg in _PATH_KEYWORDS]
    paths = [*node.args[position : position + 1], *named]
    constant = [path.value for path in paths if isinstance(path, ast.Constant) and isinstance(path.value, str)]
    if constant == [":memory:"]:
        return []  # a database of its own
    return [f"files:{path.removeprefix('./')}" for path in constant] or ["files:?"] * len(paths)


def _is_class(node: ast.expr) -> bool:
    """Whether it is named as a class is, or as a part of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id[:1].isupper()


def _is_off(constant: object) -> bool:
    return constant is False or constant is None
