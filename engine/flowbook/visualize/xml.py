"""XML elements as text. Whatever comes from a user is escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

Attributes = Mapping[str, str | float]

_stands_as_it_is = re.compile(r"[^&<>\"\n\r\t]*").fullmatch


def element(name: str, attributes: Attributes, *children: str, text: str = "") -> str:
    """An element; `children` are finished elements, `text` is plain text."""
    opened = "".join([name, *(f" {key}={_quoted(value)}" for key, value in attributes.items())])
    inside = "".join(children) + escaped(text)
    return f"<{opened}>{inside}</{name}>" if inside else f"<{opened}/>"


def escaped(text: str) -> str:
    """Plain text, to stand inside an element."""
    return text if _stands_as_it_is(text) else escape(text)


def _quoted(value: str | float) -> str:
    return quoteattr(value) if isinstance(value, str) else f'"{value:g}"'
