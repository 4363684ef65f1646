"""Where the lines of cells stand in the file of a notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

#: Line of the cell at which a piece of its source begins -> line of the file.
Pieces = list[tuple[int, int]]


class SourceLines:
    """Lines of the JSON text of a notebook, by the index of the cell and the line in it, all lines counted from 1."""

    def __init__(self, text: str) -> None:
        self._pieces: dict[int, Pieces] = {}
        offset, line = 0, 1
        reached: dict[int, int] = {}
        for start, path, token in _strings(text):
            match path:
                case ("cells", int() as cell, "source", *_):
                    line += text.count("\n", offset, start)
                    offset, first = start, reached.get(cell, 1)
                    self._pieces.setdefault(cell, []).append((first, line))
                    reached[cell] = first + json.loads(token, strict=False).count("\n")

    def line(self, cell: int, line: int) -> int | None:
        """The line of the file, or None if the cell is not there."""
        known = [there for first, there in self._pieces.get(cell, []) if first <= line]
        return known[-1] if known else None


def _strings(text: str) -> Iterator[tuple[int, tuple[str | int, ...], str]]:
    """The strings that are values: where each begins, the keys and indices that lead to it, and itself as written."""
    path: list[str | int] = []
    is_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "{":
            path.append("")
            is_key = True
        elif token == "[":
            path.append(0)
            is_key = False
        elif token in "}]":
            path.pop()
            is_key = False
        elif token == ",":
            last = path[-1]
            is_key = isinstance(last, str)
            if isinstance(last, int):
                path[-1] = last + 1
        elif token == ":":
            is_key = False
        elif is_key:
            path[-1] = token[1:-1]
        elif token[0] == '"':
            yield match.start(), tuple(path), token
