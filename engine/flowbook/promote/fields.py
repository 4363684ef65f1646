"""The parameters of a notebook as the fields of a form: what stands in each at first, and what a person has typed."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from flowbook.core.templates import has_placeholder
from flowbook.errors import ParameterError
from flowbook.promote.hints import UNKNOWN, from_text
from flowbook.promote.notebook import CodeCell
from flowbook.promote.parameters import Parameter, Schema, hint_of
from flowbook.promote.saving import plain_parameters

_KINDS: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    date: "date",
    datetime: "datetime",
    time: "time",
    list[str]: "list",
}
_STRUCTURES = (list, dict, tuple, set)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterField:
    """One field. `kind` is text, int, float, bool, date, datetime, time, list (of texts), choice or json.

    `text` stands in it at first, one item to a line for a list; `hint` is the default as written where it is no
    literal, such as ``date.today()``. An `optional` one may be None, a `required` one has neither default nor value.
    `choices` are JSON values; `cell` is the number of the code cell that it comes from.
    """

    name: str
    kind: str
    type: str
    text: str
    hint: str
    optional: bool
    required: bool
    is_kept: bool
    """Whether it stands as it was deployed, instead of at its default."""
    choices: tuple[Any, ...] = ()
    cell: int | None = None


def fields_of(schema: Schema, kept: Mapping[str, Any], cell: CodeCell | None) -> tuple[ParameterField, ...]:
    """The fields in the order of the parameters; `kept` are the values as deployed, `cell` is where they are from."""
    return tuple(_field(each, kept, cell.number if cell else None) for each in schema)


def typed_values(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the form was given, before validation: a text may mean a number, a list or an object.

    A name that is not in the schema stays, to be refused by it.
    """
    by_name = {parameter.name: parameter for parameter in schema}
    return {
        name: from_text(value, hint_of(by_name[name]), by_name[name].default_value())
        if isinstance(value, str) and name in by_name and not has_placeholder(value)
        else value
        for name, value in given.items()
    }


def problems(schema: Schema, given: Mapping[str, Any], title: str) -> dict[str, str]:
    """Why each value that does not fit its parameter does not: field -> sentence."""
    found = {}
    for name, value in typed_values(schema, given).items():
        try:
            plain_parameters(schema, {name: value}, title)
        except ParameterError as error:
            found[name] = str(error)
    return found


def _field(parameter: Parameter, kept: Mapping[str, Any], cell: int | None) -> ParameterField:
    is_kept = parameter.name in kept
    value = kept[parameter.name] if is_kept else _default(parameter)
    hint = hint_of(parameter)
    members = [member for member in _members(hint) if member is not NoneType]
    optional = parameter.default == "None" or len(members) < len(_members(hint))
    kind = _kind(members, value)
    text = _text(value, kind)
    return ParameterField(
        name=parameter.name,
        kind=kind,
        type=parameter.annotation or "",
        text=text,
        hint="" if is_kept or text or parameter.default in (None, "None", "''") else str(parameter.default),
        optional=optional,
        required=parameter.default is None and not is_kept,
        is_kept=is_kept,
        choices=get_args(members[0]) if kind == "choice" else (),
        cell=cell,
    )


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _kind(members: list[Any], value: Any) -> str:
    """How it is typed; `value` decides where the type says nothing."""
    if has_placeholder(value):
        return "text"
    if len(members) == 1:
        only = members[0]
        if only in _KINDS:
            return _KINDS[only]
        if get_origin(only) is Literal:
            return "choice"
        if only is list and isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return "list"
        if only is UNKNOWN:
            return "text" if value is None or isinstance(value, str) else "json"
    elif set(members) == {int, float}:
        return "float"
    structured = any((get_origin(member) or member) in _STRUCTURES for member in members)
    return "json" if structured and str not in members else "text"


def _default(parameter: Parameter) -> Any:
    """The default as a value: a literal, or the ISO text of ``date(2026, 11, 20)``; None for one only a run knows."""
    literal = parameter.default_value()
    return _moment(parameter.default) if literal is None and parameter.default else literal


def _moment(code: str) -> str | None:
    call = ast.parse(code, mode="eval").body
    if not isinstance(call, ast.Call) or call.keywords:
        return None
    kind = {"date": date, "datetime": datetime}.get(ast.unparse(call.func).rpartition(".")[2])
    try:
        return kind(*map(ast.literal_eval, call.args)).isoformat() if kind else None
    except (ValueError, TypeError, OverflowError):
        return None


def _text(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == "list":
        return "\n".join(map(str, value))
    if isinstance(value, str) and kind != "choice":
        return value
    return json.dumps(sorted(value, key=repr) if isinstance(value, set) else value, ensure_ascii=False, default=str)
