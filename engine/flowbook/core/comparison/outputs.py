"""What a cell put out in two runs: texts, tables, pictures and errors, each compared in its own way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from flowbook.core.comparison.alignment import aligned
from flowbook.core.comparison.lines import steady, text_change
from flowbook.core.comparison.pixels import picture_change
from flowbook.core.comparison.records import OutputChange, Picture
from flowbook.core.comparison.tables import Grid, grid_of, read_into, table_change
from flowbook.core.plain import without_ansi

_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/svg+xml")
_TEXTS = ("text/markdown", "text/latex", "text/plain")
_WIDGET = "application/vnd.jupyter.widget-view+json"  # its content is an id
_STREAMS = {"stdout": "printed", "stderr": "printed to stderr"}
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
_IN_TAGS = re.compile(  # ids that are made anew each time
    r"""\b(?:id|for|class|aria-labelledby|aria-describedby)=(?:"[^"]*"|'[^']*')|#?\bT_[0-9a-f]{5}\w*"""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One output, as what it is compared: `title` says what kind that is."""

    title: str
    text: str = ""
    table: Grid | None = None
    picture: Picture | None = None
    key: str = ""
    """Equal for outputs that are the same."""


def output_changes(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[OutputChange]:
    """The outputs of a cell that are not the same in both runs."""
    old, new = _shown(before), _shown(after)
    places = aligned([(each.title, each.key) for each in old], [(each.title, each.key) for each in new])
    found: list[OutputChange] = []
    for a, b in places:
        found += _changes(None if a is None else old[a], None if b is None else new[b])
    return found


def _changes(before: Shown | None, after: Shown | None) -> list[OutputChange]:
    if before is not None and after is not None and before.title != after.title:
        return _changes(before, None) + _changes(None, after)
    one = after or before
    assert one is not None
    if before is not None and after is not None and before.key == after.key:
        return []
    if one.picture is not None:
        return _pictures(before, after)
    if before is not None and after is not None and before.table is not None and after.table is not None:
        change = table_change(before.table, after.table)
        return [] if change is None else [OutputChange(title=one.title, what=change)]
    texts = text_change(before.text if before else "", after.text if after else "")
    if texts is None and before is not None and after is not None:  # the same to read, and not in its source
        texts = text_change(before.key, after.key)
    return [] if texts is None else [OutputChange(title=one.title, what=texts)]


def _pictures(before: Shown | None, after: Shown | None) -> list[OutputChange]:
    change = picture_change(before.picture if before else None, after.picture if after else None)
    return [] if change is None else [OutputChange(title="picture", what=change)]


def _shown(outputs: Iterable[Mapping[str, Any]]) -> list[Shown]:
    """The outputs as they are compared. What was printed comes first, in one piece for each stream."""
    streams: dict[str, str] = {}
    others = []
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream":
            name = str(output.get("name"))
            streams[name] = streams.get(name, "") + _text(output.get("text"))
        elif kind == "error":
            text = without_ansi(f"{output.get('ename')}: {output.get('evalue')}")
            others.append(Shown(title="error", text=text, key=_key(text)))
        elif kind is not None and output.get("metadata", {}).get("flowbook") != "parameters":
            others.append(_display(output.get("data", {})))
    return [*(_printed(name, streams[name]) for name in sorted(streams, reverse=True)), *others]


def _printed(name: str, text: str) -> Shown:
    return Shown(title=_STREAMS.get(name, f"printed to {name}"), text=text, key=_key(without_ansi(text)))


def _display(data: Mapping[str, Any]) -> Shown:
    """The form of a display that says most about it."""
    for mime in _PICTURES:
        if mime in data:
            return _picture(mime, _text(data[mime]))
    html = _text(data["text/html"]) if "text/html" in data else ""
    if html and (grid := grid_of(html)) is not None:
        return Shown(title="table", text=_lines_of(grid), table=grid, key=repr(grid))
    for mime, value in data.items():
        if mime.startswith("application/") and mime != _WIDGET and not mime.endswith("javascript"):
            text = value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
            return Shown(title=mime, text=text, key=_key(_UUID.sub("…", text)))
    if html:
        return Shown(title="HTML", text=_read(html), key=_key(_UUID.sub("…", _IN_TAGS.sub("…", html))))
    mime = next((mime for mime in _TEXTS if mime in data), next(iter(data), "text/plain"))
    text = without_ansi(_text(data.get(mime, "")))
    return Shown(title="shown", text=text, key=_key(text))


def _picture(mime: str, content: str) -> Shown:
    """SVG is text, the others are base64 with line breaks anywhere."""
    if mime == "image/svg+xml":
        from base64 import b64encode

        content = b64encode(content.encode()).decode()
    whole = "".join(content.split())
    return Shown(title="picture", picture=Picture(mime=mime, content=whole), key=whole)


def _key(text: str) -> str:
    return "\n".join(steady(line) for line in text.splitlines())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(map(str, value)) if isinstance(value, list) else json.dumps(value, sort_keys=True)


def _lines_of(grid: Grid) -> str:
    """A table as text, for where it has nothing to be compared with."""
    rows = [grid.heads, *grid.rows] if grid.heads else list(grid.rows)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join([*lines, *([grid.note] if grid.note else [])])


def _read(html: str) -> str:
    """What a person reads of a piece of HTML."""
    reader = _Words()
    read_into(reader, html)
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line)


class _Words(HTMLParser):
    _BREAKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self._silent = self._silent or tag in ("style", "script")
        self.pieces.append("\n" if tag in self._BREAKS else " " if tag in ("td", "th") else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self._silent = False
        elif tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)
