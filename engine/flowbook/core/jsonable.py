"""Values as plain JSON, for the record: what cannot be said in JSON is said in a few words, never pickled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

_LONGEST_TEXT = 1000
_LONGEST_NAME = 250  # of which an index of PostgreSQL takes some 2,700 bytes
_MOST_ITEMS = 100
_MOST_BITS = 1024
_SAID_IN_TEXT = frozenset(
    "uuid.UUID decimal.Decimal fractions.Fraction datetime.time zoneinfo.ZoneInfo ipaddress.IPv4Address "
    "ipaddress.IPv6Address ipaddress.IPv4Network ipaddress.IPv6Network".split()
)
"""Types whose text says all of them."""

SECRET = "**********"


def plain_text(text: str) -> str:
    """`text` as every database and every reader of JSON takes it: lone surrogates and NUL characters are escaped.

    Python makes such surrogates of bytes in file names and streams that are not UTF-8 (PEP 383).
    """
    if text.isascii():
        return text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def plain_name(name: str) -> str:
    """A name as every database takes it, in an index too; the end of a very long one is cut off."""
    plain = plain_text(name)
    return plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"


def to_json_value(value: Any, depth: int = 4) -> Any:
    """`value` as JSON values; long texts and lists are cut, other objects become ``<DataFrame 100x5>``.

    Models and dataclasses become mappings of their fields. Secrets (pydantic's SecretStr and its kin), and fields that
    are not to be shown, never appear.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MOST_BITS else f"<int of {value.bit_length()} bits>"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return plain_text(value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 1] + "…")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return to_json_value(value.value, depth)
    if isinstance(value, PurePath):
        return plain_text(str(value))
    if hasattr(type(value), "get_secret_value"):
        return SECRET
    if _full_name(value) in _SAID_IN_TEXT:
        return plain_text(str(value))
    if depth and (fields := _fields_of(value)) is not None:
        return to_json_value(fields, depth)
    if depth and isinstance(value, Mapping):
        return {plain_text(str(k)): to_json_value(v, depth - 1) for k, v in list(value.items())[:_MOST_ITEMS]}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [to_json_value(v, depth - 1) for v in list(value)[:_MOST_ITEMS]]
    return _in_words(value)


def _full_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _fields_of(value: Any) -> Any:
    """What a pydantic model or a dataclass shows of itself: a mapping, or the value itself that a model wraps."""
    kind = type(value)
    fields = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "__dataclass_fields__", None)
    if not isinstance(fields, Mapping):
        return None
    shown = [name for name, field in fields.items() if field.repr and not getattr(field, "exclude", False)]
    found = {name: getattr(value, name, None) for name in shown}
    if getattr(kind, "__pydantic_root_model__", False):
        return found.get("root")
    return found | (getattr(value, "__pydantic_extra__", None) or {})


def _in_words(value: Any) -> Any:
    kind = type(value).__name__
    try:
        shape = getattr(value, "shape", None)
        if shape == () and isinstance(item := value.item(), bool | int | float | str | date | timedelta):  # NumPy's
            return to_json_value(item)
        if isinstance(shape, tuple):
            return f"<{kind} {'x'.join(map(str, shape))}>"
        return f"<{kind} of {len(value)}>"
    except Exception:
        return f"<{kind}>"
