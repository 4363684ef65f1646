"""Text that is safe to show on a line of a terminal, and how wide it is there."""

from __future__ import annotations

import re
import unicodedata

#: Joiners belong inside words and emoji. Every other invisible character is shown: it could hide something.
_KEPT = frozenset("\u200c\u200d\ufe0e\ufe0f")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

#: Escape sequences of terminals: colours, cursor moves, titles and links (ECMA-48).
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x1b\x07]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def without_ansi(text: str) -> str:
    """`text` without the escape sequences of terminals."""
    return _ESCAPES.sub("", text)


def one_line(text: str) -> str:
    """`text` on one line, with nothing invisible in it: control and direction characters become escapes."""
    if text.isascii() and text.isprintable():  # as nearly always
        return text
    return "".join(
        ch if ch in _KEPT or unicodedata.category(ch) not in _HIDDEN else ch.encode("unicode_escape").decode()
        for ch in text
    )


def text_width(text: str) -> int:
    """The number of terminal columns that `text` takes."""
    return len(text) if text.isascii() else sum(_columns(ch) for ch in text)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` columns, its end replaced by an ellipsis when it is too long."""
    if text_width(text) <= width:
        return text
    kept, used = [], 1
    for ch in text:
        used += _columns(ch)
        if used > width:
            break
        kept.append(ch)
    return "".join(kept) + "…"


def duration_text(seconds: float) -> str:
    """``35 ms``, ``2.0 s``, ``1 m 07 s``, ``2 h 05 m``, ``3 d 04 h``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, part, step in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        if whole < size * (24 if unit == "h" else 60) or unit == "d":
            return f"{whole // size} {unit} {whole % size // step:02d} {part}"
    raise AssertionError("days are the last unit")


def pad(text: str, width: int) -> str:
    """`text` and as many spaces as it lacks of `width` columns."""
    return text + " " * (width - text_width(text))


def _columns(ch: str) -> int:
    if unicodedata.category(ch) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in ("W", "F") else 1
