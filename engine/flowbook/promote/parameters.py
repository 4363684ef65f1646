"""The parameters of a notebook or flow: found by `ast`, and the values that a run is given checked against them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from flowbook.core.parameters import coerce_one, unknown_parameter
from flowbook.errors import ParameterError, UsageError
from flowbook.promote.cells import KnownCell, Role, parsed
from flowbook.promote.hints import UNKNOWN, from_text, type_of
from flowbook.promote.kinds import DefinedFlow
from flowbook.promote.notebook import CodeCell


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter. `annotation` and `default` are as typed; `default` is None for one that must be given."""

    name: str
    annotation: str | None = None
    default: str | None = None

    def default_value(self) -> Any:
        """The default if it is a literal, else None."""
        try:
            return ast.literal_eval(self.default or "None")
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None


Schema = tuple[Parameter, ...]


def schema_of(cells: Sequence[KnownCell], flow: DefinedFlow | None) -> Schema:
    """The parameters of the flow, or of the cell that is marked as the one with the parameters."""
    if flow is None:
        return tuple(each for known in cells if known.role is Role.PARAMETERS for each in _assigned(known))
    if flow.function is None:
        return tuple(flow_cell_parameters(flow.cell))
    return tuple(_of_signature(flow.function.args))


def cell_of_parameters(cells: Sequence[KnownCell], flow: DefinedFlow | None) -> CodeCell | None:
    """The cell that `schema_of` reads; None if none says what the parameters are."""
    if flow is not None:
        return flow.cell.cell
    return next((known.cell for known in cells if known.role is Role.PARAMETERS), None)


def schema_to_json(schema: Schema) -> list[dict[str, Any]]:
    """The schema for a manifest."""
    return [asdict(parameter) for parameter in schema]


def schema_from_json(plain: Iterable[Mapping[str, Any]]) -> Schema:
    """The schema that `schema_to_json` wrote."""
    return tuple(Parameter(**fields) for fields in plain)


def validate(schema: Schema, given: Mapping[str, Any], title: str, *, only_names: bool = False) -> dict[str, Any]:
    """The given values as the types of their parameters; raises ParameterError naming the field that does not fit.

    With `only_names` just the names are looked at.
    """
    by_name = {parameter.name: parameter for parameter in schema}
    values = {}
    for name, value in given.items():
        if name not in by_name:
            raise unknown_parameter(name, title, by_name)
        values[name] = value if only_names else _coerced(by_name[name], value, title)
    return values


def require_all(schema: Schema, given: Mapping[str, Any], title: str) -> None:
    """Raise ParameterError if a parameter without a default has no value."""
    for parameter in schema:
        if parameter.default is None and parameter.name not in given:
            raise ParameterError(
                f"{title[0].upper()}{title[1:]} needs the parameter {parameter.name!r}: "
                f"pass it, as with `--param {parameter.name}=…`, or give it a default.",
                field=parameter.name,
            )


def from_texts(schema: Schema, texts: Iterable[str], title: str) -> dict[str, Any]:
    """The values of ``name=value`` as typed on a command line, before validation; raises UsageError."""
    by_name = {parameter.name: parameter for parameter in schema}
    values = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name:
            raise UsageError(f"`--param {text}` is not of the form name=value.")
        if name not in by_name:
            raise unknown_parameter(name, title, by_name)
        if name in values:
            raise UsageError(f"Parameter {name!r} of {title} is given twice; keep one.")
        parameter = by_name[name]
        values[name] = from_text(value, hint_of(parameter), parameter.default_value())
    return values


def to_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Validated values as JSON values for the store: dates become ISO text; raises ParameterError for other objects."""
    return {name: _plain(value, name) for name, value in values.items()}


def _coerced(parameter: Parameter, value: Any, title: str) -> Any:
    hint = hint_of(parameter)
    if hint is UNKNOWN:
        return value
    if value is None and parameter.default == "None":  # ``x: str = None`` means Optional
        return None
    return coerce_one(value, hint, f"parameter {parameter.name!r}", parameter.name, title)


def hint_of(parameter: Parameter) -> Any:
    """The type of a parameter: as annotated, else that of its default, if that is a number, a list or a dict."""
    if parameter.annotation is not None:
        return type_of(parameter.annotation)
    return _BY_DEFAULT.get(type(parameter.default_value()), UNKNOWN)


_BY_DEFAULT: dict[type, Any] = {bool: bool, int: int | float, float: float, list: list, dict: dict}


def _assigned(known: KnownCell) -> Iterable[Parameter]:
    """What a parameters cell assigns to plain public names; the last assignment of a name counts."""
    found: dict[str, Parameter] = {}
    for statement in parsed(known.cell.source).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                default = None if value is None else ast.unparse(value)
                found[name] = Parameter(name=name, annotation=ast.unparse(annotation), default=default)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        found[target.id] = Parameter(name=target.id, default=ast.unparse(value))
    return [parameter for name, parameter in found.items() if not name.startswith("_")]


def _of_signature(arguments: ast.arguments) -> Iterable[Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = len(positional) - len(arguments.defaults)
    defaults: list[ast.expr | None] = [*[None] * missing, *arguments.defaults, *arguments.kw_defaults]
    for argument, default in zip([*positional, *arguments.kwonlyargs], defaults, strict=True):
        yield Parameter(
            name=argument.arg,
            annotation=None if argument.annotation is None else ast.unparse(argument.annotation),
            default=None if default is None else ast.unparse(default),
        )


def flow_cell_parameters(known: KnownCell) -> Iterable[Parameter]:
    """The parameters of a ``%%flow`` cell: ``--params day:date,n:int=3`` of a ``%%flow`` line, read as a signature."""
    text = known.params
    try:
        function = ast.parse(f"def _({text}): ...").body[0]
    except SyntaxError as error:
        raise UsageError(
            f"{known.cell.title.capitalize()}, line 1: --params {text!r} is not a list of parameters: {error.msg}."
        ) from None
    assert isinstance(function, ast.FunctionDef)
    return _of_signature(function.args)


def _plain(value: Any, field: str) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case date() | datetime() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case list() | tuple() | set() | frozenset():
            return [_plain(item, field) for item in value]
        case Mapping():
            return {str(key): _plain(item, field) for key, item in value.items()}
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value)  # models, enumerations, data classes, UUIDs, paths...
    except PydanticSerializationError:
        raise ParameterError(
            f"Parameter {field!r} is a {type(value).__name__}, which cannot be kept as JSON; pass text, numbers, "
            "dates, lists or dicts.",
            field=field,
        ) from None
