"""Type annotations as text, understood by a small table: nothing that a notebook says is evaluated."""

from __future__ import annotations

import ast
import json
from datetime import date, datetime, time, timedelta
from types import UnionType
from typing import Any, Literal, Optional, Union, get_args, get_origin

_PLAIN: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "list": list,
    "List": list,
    "dict": dict,
    "Dict": dict,
    "tuple": tuple,
    "Tuple": tuple,
    "set": set,
    "Set": set,
    "None": None,
    "Any": Any,
    "object": Any,
}
_GENERIC: dict[str, Any] = {
    "list": list,
    "List": list,
    "dict": dict,
    "Dict": dict,
    "tuple": tuple,
    "Tuple": tuple,
    "set": set,
}
_MODULES = frozenset({"datetime", "dt", "typing", "t", "builtins"})

UNKNOWN: Any = Any
"""What an annotation means that the table does not know: anything."""


def type_of(annotation: str | None) -> Any:
    """The type that an annotation names; `UNKNOWN` for none, and for one that the table does not have."""
    if not annotation:
        return UNKNOWN
    try:
        return _type(ast.parse(annotation.strip(), mode="eval").body)
    except (SyntaxError, ValueError, LookupError, TypeError):
        return UNKNOWN


def from_text(text: str, hint: Any, default: Any = None) -> Any:
    """What a person means who types `text` for a parameter of the type `hint`, on a command line.

    Without a hint the text is JSON if it can be read so, unless the `default` is text: then it is text as well.
    Coercion to the type follows later; this only decides between text and structure.
    """
    if hint is UNKNOWN:
        return text if isinstance(default, str) else _json_or_text(text)
    members = _members(hint)
    if type(None) in members and str not in members and text.strip().lower() in ("null", "none"):
        return None
    if str in members or not any(_is_structure(member) for member in members):
        return text
    return _json_or_text(text)


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as quoted):
            return _type(ast.parse(quoted, mode="eval").body)
        case ast.Name(id=name):
            return _PLAIN[name]
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in _MODULES:
            return _PLAIN[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(left), _type(right)]  # noqa: UP007 - made at run time
        case ast.Subscript(value=value, slice=item):
            return _generic(_last_name(value), item)
    raise LookupError(ast.dump(node))


def _generic(name: str, item: ast.expr) -> Any:
    if name == "Literal":
        values = ast.literal_eval(item)
        return Literal[values]
    parts = tuple(_type(part) for part in (item.elts if isinstance(item, ast.Tuple) else [item]) if not _is_dots(part))
    if name == "Optional":
        return Optional[parts[0]]  # noqa: UP045 - made at run time
    if name == "Union":
        return Union[parts]  # noqa: UP007 - made at run time
    if name in ("tuple", "Tuple") and isinstance(item, ast.Tuple) and any(map(_is_dots, item.elts)):
        return tuple.__class_getitem__((*parts, ...))
    return _GENERIC[name].__class_getitem__(parts)


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_structure(hint: Any) -> bool:
    return (get_origin(hint) or hint) in (list, dict, tuple, set)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
