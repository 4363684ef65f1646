"""Parameters of flows: bound by name, coerced to their type hints, and refused with a sentence that names the field."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
    named = dict(bound.arguments)
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
    hints = _type_hints(fn)
    coerced = dict(named)
    for name, parameter in inspect.signature(fn).parameters.items():
        hint = hints.get(name, _NOTHING)
        if hint is _NOTHING or hint is Any or name not in named:
            continue
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        value = named[name]
        if not (value is None and parameter.default is None):
            coerced[name] = coerce_one(value, hint, f"parameter {name!r} of {title}", name)
    return coerced


def coerce_one(value: Any, hint: Any, what: str, field: str) -> Any:
    """`value` as the type `hint`; raises ParameterError saying that `what` does not fit."""
    if isinstance(hint, type) and type(value) is hint:
        return value
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticSchemaGenerationError:
        return value
    except PydanticUserError:  # a model brings its own configuration
        adapter = TypeAdapter(hint)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{part!r}]" for part in first["loc"])
        raise ParameterError(
            f"{what[0].upper()}{what[1:]}{where} does not fit: {first['msg']} (it is {_shown(first.get('input'))}).",
            field=field,
        ) from None


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
            return ParameterError(
                f"{title[0].upper()}{title[1:]} needs the parameter {name!r}: pass it, or give it a default.",
                field=name,
            )
    return ParameterError(f"{title[0].upper()}{title[1:]} cannot be called like this: {error}.")


def _type_hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except Exception:  # a hint that names something unknown is no reason not to run
        return {}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
