"""Classes whose instances share what their methods change."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from flowbook.cells.known_methods import of_method

__all__ = ["shares_what_changes"]

_CONTAINERS = frozenset(
    "Counter OrderedDict WeakKeyDictionary WeakSet WeakValueDictionary bytearray count defaultdict deque dict list "
    "set".split()
)


def shares_what_changes(statement: ast.ClassDef) -> bool:
    """Whether a method changes a container of the class body, or an attribute of the class, by way of an instance.

    That is a container which ``__init__`` does not replace, an attribute of ``type(self)``, ``self.__class__`` or the
    ``cls`` of a class method, and a ``self.__dict__`` that is replaced.
    """
    methods = [each for each in statement.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    shared = set(_containers(statement))
    for method in methods:
        if method.name == "__init__":
            attributes = (node for node in ast.walk(method) if isinstance(node, ast.Attribute))
            shared -= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    return any(_changes(method, shared) for method in methods)


def _containers(statement: ast.ClassDef) -> Iterator[str]:
    for each in statement.body:
        match each:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if _is_container(value):
                    yield name


def _is_container(value: ast.expr | None) -> bool:
    match value:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _CONTAINERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changes(method: ast.FunctionDef | ast.AsyncFunctionDef, shared: Collection[str]) -> bool:
    of_class = method.name == "__init_subclass__" or any(
        ast.unparse(decorator) == "classmethod" for decorator in method.decorator_list
    )
    first = [argument.arg for argument in (*method.args.posonlyargs, *method.args.args)][:1] if of_class else []
    for node in ast.walk(method):
        match node:
            case ast.Attribute(attr="__dict__", ctx=ast.Store()):
                return True
            case ast.Attribute(value=owner, ctx=ast.Store()) if _is_class(owner, first):
                return True
            case ast.Subscript(value=ast.Attribute(value=owner, attr=name), ctx=ast.Store() | ast.Del()):
                if name in shared or _is_class(owner, first):
                    return True
            case ast.AugAssign(target=ast.Attribute(attr=name)) if name in shared:
                return True
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=owner, attr=name), attr=called)):
                known = of_method(called, receiver_name="", discarded=True, keywords=frozenset())
                if known.receiver and (name in shared or _is_class(owner, first)):
                    return True
            case ast.Call(func=ast.Name(id="next"), args=[ast.Attribute(attr=name), *_]) if name in shared:
                return True
    return False


def _is_class(node: ast.expr, names: Collection[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr="__class__") | ast.Call(func=ast.Name(id="type"), args=[_]):
            return True
    return False
