"""Addresses that a view may show as a link or load as an image. Whatever else the record holds is shown as text."""

from __future__ import annotations

import re

#: What a browser removes before it reads an address (WHATWG URL Standard, §4.4 basic URL parser).
_ENDS = "".join(map(chr, range(0x21)))
_INSIDE = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_LINKED = frozenset({"http", "https", "mailto"})
_IMAGE = re.compile(r"https?://\S+|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}", re.IGNORECASE)


def safe_link(address: str) -> str | None:
    """The address if it is ``http``, ``https``, ``mailto`` or relative, as a browser reads it; else None."""
    read = address.strip(_ENDS).translate(_INSIDE)
    scheme = _SCHEME.match(read)
    return read if read and (scheme is None or scheme[1].lower() in _LINKED) else None


def safe_image(address: str) -> str | None:
    """The address if it is ``http``, ``https`` or a PNG, JPEG, GIF or WebP in a ``data:`` address; else None.

    SVG is left out: it can hold scripts.
    """
    read = address.strip(_ENDS).translate(_INSIDE)
    return read if _IMAGE.fullmatch(read) else None
