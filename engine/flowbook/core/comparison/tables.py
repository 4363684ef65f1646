"""Tables in HTML, as pandas and others write them: read as texts of cells, and compared cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser

from flowbook.core.comparison.alignment import Places, aligned
from flowbook.core.comparison.records import TableChange, TableRow

_MOST_KEPT = 100  # rows of a change
_MOST_ROWS, _MOST_COLUMNS = 2000, 200  # of a table that is compared cell by cell

Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table: titles of all columns, and rows whose first `labels` cells name them. `note` is the text around it."""

    heads: Row
    rows: tuple[Row, ...]
    labels: int = 0
    note: str = ""


def grid_of(html: str) -> Grid | None:
    """The table that `html` is; None if it holds none, several, or one that is too large."""
    reader = _Reader()
    read_into(reader, html)
    if reader.tables != 1 or not 0 < len(reader.rows) <= _MOST_ROWS:
        return None
    if any(sum(cell.across for cell in row) > _MOST_COLUMNS for row in reader.rows):
        return None
    rows = _spread(reader.rows)
    width = max(map(len, rows), default=0)
    if width == 0:
        return None
    named = [_is_head(row) for row in reader.rows]
    first = next((i for i, is_head in enumerate(named) if not is_head), len(rows))
    texts = [tuple(row.get(i, "") for i in range(width)) for row in rows]
    body = reader.rows[first:]
    labels = min((_leading_heads(row) for row in body if not _continues(row, width)), default=0)
    heads = tuple(" / ".join(filter(None, dict.fromkeys(column))) for column in zip(*texts[:first], strict=True))
    return Grid(heads=heads, rows=tuple(texts[first:]), labels=labels, note=" ".join(reader.around.split()))


def read_into(reader: HTMLParser, html: str) -> None:
    """Have `reader` read any HTML, to where its parser gives up."""
    with suppress(AssertionError):  # what the parser of some Python versions raises for odd declarations
        reader.feed(html)
        reader.close()


def table_change(before: Grid, after: Grid) -> TableChange | None:
    """Which cells of a table changed; None if none did."""
    if before == after:
        return None
    columns = _columns(before, after)
    labelled = before.labels == after.labels and before.labels > 0
    labels = before.labels if labelled else 0
    places = _rows(before, after, labels)
    found = [row for a, b in places if (row := _row(before, after, a, b, columns, labels)) is not None]
    said = []
    if before.note != after.note:
        said.append(f"{before.note or 'nothing'} → {after.note or 'nothing'}")
    if not found and not said:
        said.append("The same cells, in another order or under other titles.")
    heads = after.heads or before.heads
    return TableChange(
        heads=(*heads[:labels], *(_title(before, after, a, b) for a, b in columns)),
        rows=tuple(found[:_MOST_KEPT]),
        same_rows=len(places) - len(found),
        said=tuple(said),
        left_out=max(0, len(found) - _MOST_KEPT),
    )


def _columns(before: Grid, after: Grid) -> Places:
    """Which columns belong together: those of the same title, or in the same place where titles do not tell."""
    old, new = range(before.labels, _width(before)), range(after.labels, _width(after))
    if before.labels != after.labels:
        old, new = range(_width(before)), range(_width(after))
    titles_old, titles_new = [_head(before, i) for i in old], [_head(after, i) for i in new]
    if len({*titles_old}) == len(titles_old) and len({*titles_new}) == len(titles_new):
        places = dict(zip(titles_old, old, strict=True))
        gone: Places = [(i, None) for title, i in places.items() if title not in titles_new]
        kept: Places = [(places.get(title), j) for title, j in zip(titles_new, new, strict=True)]
        return kept + gone
    longest = max(len(old), len(new))
    return [(old[i] if i < len(old) else None, new[i] if i < len(new) else None) for i in range(longest)]


def _rows(before: Grid, after: Grid, labels: int) -> Places:
    """Which rows belong together: those of the same label, or by their order where labels do not tell."""
    old, new = [row[:labels] for row in before.rows], [row[:labels] for row in after.rows]
    if labels and len({*old}) == len(old) and len({*new}) == len(new):
        places = {label: i for i, label in enumerate(old)}
        known = {*new}
        gone: Places = [(i, None) for label, i in places.items() if label not in known]
        return [(places.get(label), j) for j, label in enumerate(new)] + gone
    return aligned(before.rows, after.rows)


def _row(before: Grid, after: Grid, a: int | None, b: int | None, columns: Places, labels: int) -> TableRow | None:
    """A row beside its other half; None if they are the same."""
    old = before.rows[a] if a is not None else None
    new = after.rows[b] if b is not None else None
    cells = tuple((_at(old, i), _at(new, j)) for i, j in columns)
    if old is not None and new is not None and all(x == y for x, y in cells):
        return None
    change = "added" if old is None else "removed" if new is None else "changed"
    label = (new or old or ())[:labels] or (str((b if b is not None else a or 0) + 1),)
    return TableRow(change=change, label=label, cells=cells)


def _at(row: Row | None, place: int | None) -> str | None:
    return None if row is None or place is None or place >= len(row) else row[place]


def _width(grid: Grid) -> int:
    return len(grid.rows[0]) if grid.rows else len(grid.heads)


def _head(grid: Grid, place: int) -> str:
    return grid.heads[place] if place < len(grid.heads) else ""


def _title(before: Grid, after: Grid, a: int | None, b: int | None) -> str:
    title = _head(after, b) if b is not None else _head(before, a or 0)
    return title or f"column {(b if b is not None else a or 0) + 1}"


@dataclass(slots=True)
class _Cell:
    is_head: bool
    across: int
    down: int
    in_head: bool
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())


class _Reader(HTMLParser):
    """Collects the cells of tables, and the text around them. Nothing of it is ever shown as HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables = 0
        self.rows: list[list[_Cell]] = []
        self.around = ""
        self._cell: _Cell | None = None
        self._in_head = False
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables += 1
        elif tag == "thead":
            self._in_head = True
        elif tag in ("style", "script"):
            self._silent += 1
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            said = dict(attrs)
            across, down = _span(said.get("colspan")), _span(said.get("rowspan"))
            self._cell = _Cell(is_head=tag == "th", across=across, down=down, in_head=self._in_head)
            self.rows[-1].append(self._cell)
        elif tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._cell = None
        elif tag == "thead":
            self._in_head = False
        elif tag in ("style", "script"):
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._cell is not None:
            self._cell.pieces.append(data)
        else:
            self.around += data


def _span(said: str | None) -> int:
    return min(int(said), _MOST_COLUMNS) if said and said.isascii() and said.isdigit() and int(said) > 0 else 1


def _spread(rows: Sequence[Sequence[_Cell]]) -> list[dict[int, str]]:
    """The texts by their columns: a cell that spans several columns or rows stands in each. Empty if it is too wide."""
    found: list[dict[int, str]] = [{} for _ in rows]
    for i, row in enumerate(rows):
        column = 0
        for cell in row:
            while column in found[i]:
                column += 1
            inside = dict.fromkeys(range(column, column + cell.across), cell.text)
            for down in range(min(cell.down, len(rows) - i)):
                found[i + down].update(inside)
                if len(found[i + down]) > _MOST_COLUMNS:
                    return []
            column += cell.across
    return found


def _is_head(row: Sequence[_Cell]) -> bool:
    return all(cell.is_head for cell in row) or any(cell.in_head for cell in row)


def _leading_heads(row: Sequence[_Cell]) -> int:
    return next((i for i, cell in enumerate(row) if not cell.is_head), len(row))


def _continues(row: Sequence[_Cell], width: int) -> bool:
    """Whether the first cells of a row stand in one above."""
    return sum(cell.across for cell in row) < width
