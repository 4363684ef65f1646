"""Widths of text without a font: estimates in ems, wide enough for the fonts that browsers fall back to."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_NARROW = frozenset("ijl.,:;'|! ()[]ftrI-/\\")
_BROAD = frozenset("mwMWGOQ@%&")
_ELLIPSIS = 1.0


def text_ems(text: str) -> float:
    """The width of `text` in ems of its font."""
    return sum(_ems(ch) for ch in text)


def cut_to(text: str, ems: float) -> str:
    """`text` in at most `ems`, with an ellipsis for the end that did not fit."""
    if text_ems(text) <= ems:
        return text
    kept, left = 0, ems - _ELLIPSIS
    for ch in text:
        left -= _ems(ch)
        if left < 0:
            break
        kept += 1
    while kept and unicodedata.category(text[kept]) in ("Mn", "Me", "Cf"):
        kept -= 1  # an accent or a joiner goes with the letter before it
    return text[:kept].rstrip() + "…"


@lru_cache(maxsize=4096)
def _ems(ch: str) -> float:
    if ch in _NARROW:
        return 0.39
    if ch in _BROAD:
        return 0.95
    if ch.isascii():
        return 0.7 if ch.isupper() else 0.62
    if unicodedata.category(ch) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(ch) in ("W", "F"):
        return 1.3 if unicodedata.category(ch) == "So" else 1.0
    return 0.7
