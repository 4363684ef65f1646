"""``#| task …`` on a cell's first line: the same as ``%%task …``, but plain Python to every other tool."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"#\|\s*task\b(?P<line>.*)", re.DOTALL)


def comment_to_magic(lines: list[str]) -> list[str]:
    """An input transformer of IPython: the lines of a cell, the first one rewritten if it is such a comment."""
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    found = _COMMENT.fullmatch(lines[first].strip())
    if found is None:
        return lines
    return [f"%%task{found['line'].rstrip()}\n", *lines[first + 1 :]]
