"""A long, flat layout continued on rows below each other, as text is, so that it can be read without scrolling.

Lines from one row to another run in lanes between the rows and between the columns: never through a box, and each in
a lane of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from flowbook.visualize.dot import HEIGHT
from flowbook.visualize.svg import Layout, Line, Point

#: Pixels: the width of a row, and the size into which a view fits a picture.
ROW = 1040.0
_SEEN_WIDTH, _SEEN_HEIGHT = 1000.0, 320.0
_LANE, _GAP, _STUB, _ROUND = 6.0, 20.0, 9.0, 7.0
#: With more lines between two rows than this the rows would be hard to follow.
_MOST_LANES = 3


@dataclass(frozen=True, slots=True)
class _Rows:
    """For each node its row; for each row where it was in the flat layout, and how far down and high it is now."""

    of: Mapping[str, int]
    left: Sequence[float]
    first: Sequence[float]
    top: Sequence[float]
    height: Sequence[float]


def fold(flat: Layout, widths: Mapping[str, float]) -> Layout:
    """The layout on several rows if that makes it larger in a view, else as it is. `widths` are those of the boxes."""
    if flat.width <= ROW:
        return flat
    row_of, left = _break_up(flat, widths)
    crossing = [line for line in flat.lines if row_of[line.tail] != row_of[line.head]]
    lanes = [sum(row_of[line.tail] == row for line in crossing) for row in range(len(left))]
    if max(lanes) > _MOST_LANES or any(row_of[line.tail] > row_of[line.head] for line in crossing):
        return flat
    rows = _rows(flat, row_of, left, lanes)
    centres = {key: _moved((x, y), row_of[key], rows) for key, (x, y) in flat.centres.items()}
    lines = [_shifted(line, row_of[line.tail], rows) for line in flat.lines if row_of[line.tail] == row_of[line.head]]
    used = [0] * len(left)
    for line in crossing:
        row = row_of[line.tail]
        used[row] += 1
        lines.append(_routed(line, used[row], centres, widths, rows))
    width = max(centres[key][0] + widths[key] / 2 for key in centres) + _STUB + _LANE * max(lanes)
    height = rows.top[-1] + rows.height[-1]
    folded = Layout(width=width, height=height, centres=centres, lines=tuple(lines))
    return folded if _scale(folded) > 1.2 * _scale(flat) else flat


def _rows(flat: Layout, row_of: dict[str, int], left: list[float], lanes: list[int]) -> _Rows:
    """The rows, each as high as what is on it, with room for their lanes between them."""
    ys: list[list[float]] = [[] for _ in left]
    for key, (_, y) in flat.centres.items():
        ys[row_of[key]] += [y - HEIGHT / 2, y + HEIGHT / 2]
    for line in flat.lines:
        if row_of[line.tail] == row_of[line.head]:
            ys[row_of[line.tail]] += [y for _, y in line.spline]
    height = [max(row) - min(row) for row in ys]
    top = [0.0]
    for tall, n in zip(height, lanes[:-1], strict=False):
        top.append(top[-1] + tall + _GAP + _LANE * n)
    return _Rows(row_of, left, [min(row) for row in ys], top, height)


def _scale(layout: Layout) -> float:
    return min(1.0, _SEEN_WIDTH / layout.width, _SEEN_HEIGHT / layout.height)


def _break_up(flat: Layout, widths: Mapping[str, float]) -> tuple[dict[str, int], list[float]]:
    """The row of each node, and where each row begins: columns stay whole."""
    row_of: dict[str, int] = {}
    left: list[float] = []
    columns: dict[float, list[str]] = {}
    for key, (x, _) in flat.centres.items():
        columns.setdefault(round(x), []).append(key)
    for x in sorted(columns):
        begin = min(flat.centres[key][0] - widths[key] / 2 for key in columns[x])
        end = max(flat.centres[key][0] + widths[key] / 2 for key in columns[x])
        if not left or end - left[-1] > ROW:
            left.append(begin - _STUB - _LANE * _MOST_LANES if left else begin)
        row_of.update(dict.fromkeys(columns[x], len(left) - 1))
    return row_of, left


def _moved(point: Point, row: int, rows: _Rows) -> Point:
    return round(point[0] - rows.left[row], 2), round(point[1] - rows.first[row] + rows.top[row], 2)


def _shifted(line: Line, row: int, rows: _Rows) -> Line:
    spline = tuple(_moved(point, row, rows) for point in line.spline)
    return replace(line, spline=spline, tip=_moved(line.tip, row, rows))


def _routed(line: Line, lane: int, centres: Mapping[str, Point], widths: Mapping[str, float], rows: _Rows) -> Line:
    """A line from a row to a later one: down beside its box, along below its row, and down to the other box."""
    (x1, y1), (x2, y2) = centres[line.tail], centres[line.head]
    begin, end = x1 + widths[line.tail] / 2, x2 - widths[line.head] / 2
    out, into = begin + _STUB + (lane - 1) * 2, end - _STUB - 5 - (lane - 1) * 2
    row, last = rows.of[line.tail], rows.of[line.head]
    along = rows.top[row] + rows.height[row] + _GAP / 2 + (lane - 0.5) * _LANE
    way = [(begin, y1), (out, y1), (out, along)]
    if last > row + 1:  # past the rows between, at their left
        beside, before = -_STUB - lane * 2, rows.top[last] - _GAP / 2 + 3 - lane
        way += [(beside, along), (beside, before), (into, before)]
    else:
        way.append((into, along))
    way += [(into, y2), (end - 5, y2)]
    return replace(line, spline=_rounded(way), tip=(end, y2))


def _rounded(way: Sequence[Point]) -> tuple[Point, ...]:
    """Right-angled waypoints as a Bézier spline with round corners."""
    spline: list[Point] = [way[0]]
    for i, (here, there) in enumerate(pairwise(way)):
        last = i == len(way) - 2
        size = min(_ROUND, _length(here, there) / 2, 99.0 if last else _length(there, way[i + 2]) / 2)
        stop = there if last else _toward(there, here, size)
        spline += [spline[-1], stop, stop]
        if not last:
            spline += [there, there, _toward(there, way[i + 2], size)]
    return tuple((round(x, 2), round(y, 2)) for x, y in spline)


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _toward(start: Point, goal: Point, distance: float) -> Point:
    whole = _length(start, goal) or 1.0
    part = distance / whole
    return start[0] + (goal[0] - start[0]) * part, start[1] + (goal[1] - start[1]) * part
