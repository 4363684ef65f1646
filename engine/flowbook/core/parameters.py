"""Parameters of flows: bound by name, coerced to their type hints, and refused with a sentence that names the field."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from flowbook.core.hints import adapter_for, holds_secrets, type_hints
from flowbook.errors import ParameterError, did_you_mean

_NOTHING = inspect.Parameter.empty


def bind(fn: Callable[..., Any], title: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call by name, defaults included, in the order of the signature.

    ``**kwargs`` of the function are flattened, ``*args`` stay under their name. Raises ParameterError.
    """
    signature = inspect.signature(fn)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise _binding_error(signature, title, args, kwargs, error) from None
    bound.apply_defaults()
    named = {name: _given(value, signature, name, title) for name, value in bound.arguments.items()}
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = named.pop(parameter.name)
            for name in extra:
                if name in named:
                    raise ParameterError(f"{title[0].upper()}{title[1:]} is given {name!r} twice.", field=name)
            named.update(extra)
    return named


def arguments_by_name(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a task call by name, defaults included; only those by keyword if they do not fit `fn`."""
    try:
        return bind(fn, "the call", args, kwargs)
    except (ValueError, TypeError):  # ParameterError among them; and a builtin may have no signature
        return dict(kwargs)


def as_call(fn: Callable[..., Any], named: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inverse of `bind`: positional and keyword arguments for a call of `fn`."""
    args: list[Any] = []
    rest = dict(named)
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.name not in rest:
            continue
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            args.append(rest.pop(parameter.name))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            before = [p for p in inspect.signature(fn).parameters.values() if p.name in rest]
            positional = [p.name for p in before if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
            if rest[parameter.name]:
                args.extend(rest.pop(name) for name in positional)
            args.extend(rest.pop(parameter.name))
    return tuple(args), rest


def coerce(fn: Callable[..., Any], title: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """`named` with each value validated and coerced by pydantic to the type hint of its parameter.

    ``x: str = None`` means Optional. Raises ParameterError naming the first field that does not fit.
    """
    hints = type_hints(fn)
    coerced = dict(named)
    parameters = inspect.signature(fn).parameters
    for name, parameter in parameters.items():
        hint = hints.get(name, Any)
        if _is_field(parameter.default):
            hint = Annotated[hint, parameter.default]
        if hint is Any:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = {key: value for key, value in named.items() if key not in parameters}
            coerced.update(_coerce_extra(extra, hint, title))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            coerced[name] = _coerce_rest(named.get(name, ()), hint, title, name)
        elif name in named and not (named[name] is None and parameter.default is None):
            coerced[name] = coerce_one(named[name], hint, f"parameter {name!r}", name, title)
    return coerced


def coerce_one(value: Any, hint: Any, what: str, field: str, title: str = "") -> Any:
    """`value` as the type `hint`; raises ParameterError saying what of `what`, of `title`, does not fit."""
    if isinstance(hint, type) and type(value) is hint:
        return value
    from pydantic import ValidationError

    adapter = adapter_for(hint)
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{part!r}]" for part in _path(value, first["loc"], is_missing=first["type"] == "missing"))
        of = f" of {title}" if title else ""
        hidden = first["type"] == "missing" or holds_secrets(hint)
        it_is = "" if hidden else f" (it is {_shown(first.get('input'))})"
        if isinstance(first.get("input"), str):
            it_is += _AS_TEXT.get(first["type"], "")
        raise ParameterError(
            f"{what[0].upper()}{what[1:]}{where}{of} does not fit: {first['msg']}{it_is}.",
            field=field or str(first["loc"][0]),
        ) from None


def _path(value: Any, location: Iterable[Any], *, is_missing: bool) -> Iterator[Any]:
    """The keys of an error's location that lead into `value`: pydantic names the members of a union among them."""
    for part in location:
        try:
            value = value[part]
        except (LookupError, TypeError):
            if not hasattr(value, str(part)):
                if is_missing and isinstance(value, Mapping):
                    yield part
                continue
            value = getattr(value, str(part))
        yield part


def unknown_parameter(name: str, title: str, known: Iterable[str]) -> ParameterError:
    """The error for a parameter that `title` does not have."""
    names = list(known)
    has = f"It has {', '.join(map(repr, names))}." if names else "It takes none."
    return ParameterError(
        f"{title[0].upper()}{title[1:]} has no parameter {name!r}.{did_you_mean(name, names)} {has}", field=name
    )


def _binding_error(
    signature: inspect.Signature, title: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: TypeError
) -> ParameterError:
    names = list(signature.parameters)
    for name in kwargs:
        if name not in names:
            return unknown_parameter(name, title, names)
    given = set(kwargs) | set(names[: len(args)])
    for name, parameter in signature.parameters.items():
        required = parameter.default is _NOTHING and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        )
        if required and name not in given:
            return _missing(name, title)
    return ParameterError(f"{title[0].upper()}{title[1:]} cannot be called like this: {error}.")


def _missing(name: str, title: str) -> ParameterError:
    return ParameterError(
        f"{title[0].upper()}{title[1:]} needs the parameter {name!r}: pass it, or give it a default.", field=name
    )


def _given(value: Any, signature: inspect.Signature, name: str, title: str) -> Any:
    """`value`, or the default that it describes if it is pydantic's ``Field(...)`` of the signature."""
    if value is not signature.parameters[name].default or not _is_field(value):
        return value
    if value.is_required():
        raise _missing(name, title)
    return value.get_default(call_default_factory=True)


def _is_field(default: Any) -> bool:
    return type(default).__name__ == "FieldInfo" and hasattr(default, "is_required")


def _coerce_rest(values: Iterable[Any], hint: Any, title: str, name: str) -> tuple[Any, ...]:
    """What ``*name: hint`` takes; a hint for all of them together (PEP 646) is left alone."""
    if typing.get_origin(hint) is typing.Unpack:
        return tuple(values)
    what = f"parameter {name!r}"
    return tuple(coerce_one(value, hint, f"{what}[{index}]", name, title) for index, value in enumerate(values))


def _coerce_extra(extra: Mapping[str, Any], hint: Any, title: str) -> dict[str, Any]:
    """What ``**name: hint`` takes; the hint may be for each, or be a TypedDict of all of them (PEP 692)."""
    if typing.get_origin(hint) is typing.Unpack:
        together: dict[str, Any] = coerce_one(dict(extra), typing.get_args(hint)[0], title, "")
        return together
    return {key: coerce_one(value, hint, f"parameter {key!r}", key, title) for key, value in extra.items()}


#: How a value is written as text, by the types of pydantic's errors where its words do not say so.
_AS_TEXT = {
    "date_from_datetime_parsing": "; write it as 2026-01-31",
    "date_parsing": "; write it as 2026-01-31",
    "datetime_from_date_parsing": "; write it as 2026-01-31T07:00",
    "datetime_parsing": "; write it as 2026-01-31T07:00",
    "dict_type": '; write it as JSON, such as {"a": 1}',
    "list_type": '; write it as JSON, such as ["a", "b"] or [1, 2]',
    "set_type": '; write it as JSON, such as ["a", "b"] or [1, 2]',
    "tuple_type": '; write it as JSON, such as ["a", "b"] or [1, 2]',
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
