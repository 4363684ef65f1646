"""XML elements as text. Every value is escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

Attributes = Mapping[str, str | float]

_stands_as_it_is = re.compile(r"[^&<>\"\n\r\t]*").fullmatch


def element(name: str, attributes: Attributes, *children: str, text: str = "") -> str:
    """An element; `children` are finished elements, `text` is plain text."""
    opened = "".join([name, *(f" {key}={_quoted(value)}" for key, value in attributes.items())])
    inside = "".join(children) + (text if _stands_as_it_is(text) else escape(text))
    return f"<{opened}>{inside}</{name}>" if inside else f"<{opened}/>"


@lru_cache(maxsize=8192)  # most are said of each box
def _quoted(value: str | float) -> str:
    if not isinstance(value, str):
        return f'"{value:g}"'
    return f'"{value}"' if _stands_as_it_is(value) else quoteattr(value)
