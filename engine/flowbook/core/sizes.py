"""Numbers of bytes as people read them."""

from __future__ import annotations


def size_text(size: int) -> str:
    """``812 bytes``, ``4.0 KiB``, ``1.5 GiB``: `size` bytes in the unit that leaves few digits."""
    if size < 1024:
        return f"{size} bytes"
    shown = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        shown /= 1024
        if shown < 1024:
            return f"{shown:.1f} {unit}"
    return f"{shown / 1024:.1f} TiB"
