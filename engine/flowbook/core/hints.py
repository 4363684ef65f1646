"""Type hints: what they say of a function's parameters, what validates values by them, and whether these are secret."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


def type_hints(fn: Callable[..., Any]) -> dict[str, Any]:
    """The hints by parameter. One that names something unknown is no reason not to run, and left out."""
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except Exception:
        function = inspect.unwrap(getattr(fn, "__func__", fn))
        known = getattr(function, "__globals__", {})
    found: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        try:
            found |= typing.get_type_hints(SimpleNamespace(__annotations__={name: hint}), known, include_extras=True)
        except Exception:
            continue
    return found


def adapter_for(hint: Any) -> Any:
    """What validates values of this type; None if pydantic knows nothing of it."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    if typing.is_typeddict(hint) and sys.version_info < (3, 12):
        hint = _typed_dict_for_pydantic(hint)
    for config in (ConfigDict(arbitrary_types_allowed=True), None):
        try:
            return TypeAdapter(hint, config=config)
        except PydanticUndefinedAnnotation:
            return None
        except PydanticUserError:  # a model brings its own configuration; or there is no schema for the type
            continue
    return None


def _typed_dict_for_pydantic(hint: Any) -> Any:
    """The same TypedDict as pydantic takes it before Python 3.12: of ``typing_extensions``."""
    import typing_extensions as te

    keys: dict[str, Any] = {}
    for key, part in typing.get_type_hints(hint, include_extras=True).items():
        says_so = typing.get_origin(part) in (typing.Required, typing.NotRequired)
        wrapper: Any = te.Required if key in hint.__required_keys__ else te.NotRequired
        keys[key] = part if says_so else wrapper[part]
    return te.TypedDict(hint.__name__, keys)  # type: ignore[operator]


def holds_secrets(hint: Any) -> bool:
    """Whether a value of this type may hold a secret (pydantic's SecretStr and its kin), however deep inside."""
    left: list[Any] = [hint]
    seen: dict[int, Any] = {}  # by identity, since a part of a hint need not be hashable
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if hasattr(typing.get_origin(part) or part, "get_secret_value"):
            return True
        left += typing.get_args(part)
        left += [getattr(part, name) for name in ("__supertype__", "__value__") if hasattr(part, name)]
        if any(hasattr(part, name) for name in ("__pydantic_fields__", "__dataclass_fields__", "__total__", "_fields")):
            left += type_hints(part).values()
    return False
