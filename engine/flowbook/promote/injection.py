"""Parameters as data: a constant line of code whose only part that varies is one string literal of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

_TAG = "$flowbook"

# Dates have no JSON; they travel as {"$flowbook": type, "is": text}. The kernel needs nothing but Python for this.
_CODE = (
    'globals().update(__import__("json").loads({literal}, object_hook=lambda d: '
    '(__import__("datetime").timedelta(seconds=d["is"]) if d["$flowbook"] == "timedelta" else '
    'getattr(__import__("datetime"), d["$flowbook"]).fromisoformat(d["is"])) '
    'if d.keys() == {{"$flowbook", "is"}} else (set(d["$set"]) if d.keys() == {{"$set"}} else '
    '(tuple(d["$tuple"]) if d.keys() == {{"$tuple"}} else d))))'
)


def injection(values: Mapping[str, Any]) -> str:
    """Python that binds `values` in the namespace it is executed in. No value can become code."""
    return _CODE.format(literal=repr(json.dumps({name: _tagged(value) for name, value in values.items()})))


def _tagged(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return {_TAG: type(value).__name__, "is": value.isoformat()}
        case timedelta():
            return {_TAG: "timedelta", "is": value.total_seconds()}
        case set() | frozenset():
            return {"$set": [_tagged(item) for item in value]}
        case tuple():
            return {"$tuple": [_tagged(item) for item in value]}
        case list():
            return [_tagged(item) for item in value]
        case Mapping():
            return {str(key): _tagged(item) for key, item in value.items()}
    return value
