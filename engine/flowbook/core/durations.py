"""Lengths of time as people write them: ``15m``, ``1h30m``, ``90d``."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)"
_WHOLE = re.compile(rf"(?:{_PART})+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def is_duration(text: str) -> bool:
    """Whether `text` is a length of time with its units."""
    return _WHOLE.fullmatch(text.strip()) is not None


def seconds(text: str) -> float:
    """``10s``, ``1h30m``, ``1.5h``, ``250ms``, ``2d``, ``4w`` or a plain number, in seconds. Raises ValueError."""
    said = text.strip()
    if is_duration(said):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, said))
    if _NUMBER.fullmatch(said):
        return float(said)
    raise ValueError("write a duration as 10s, 5m, 1h30m or a number of seconds")


def duration_text(length: float) -> str:
    """So many seconds as `seconds` reads them: ``15m``, ``1h30m``, ``1.5s``."""
    left, parts = length, []
    for unit in ("d", "h", "m"):
        count, left = divmod(left, _UNITS[unit])
        parts.append(f"{count:.0f}{unit}" if count else "")
    return "".join(parts) + (f"{left:g}s" if left or not length else "")
