"""XML elements as text. Every value is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

Attributes = Mapping[str, str | float]


def element(name: str, attributes: Attributes, *children: str, text: str = "") -> str:
    """An element; `children` are finished elements, `text` is plain text."""
    opened = "".join([name, *(f" {key}={quoteattr(_plain(value))}" for key, value in attributes.items())])
    inside = "".join(children) + escape(text)
    return f"<{opened}>{inside}</{name}>" if inside else f"<{opened}/>"


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
