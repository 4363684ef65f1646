"""The SVG of a run, drawn by us at the places that Graphviz found.

The live one holds shapes and names; its states arrive later as classes. The saved one holds everything: colours
are attributes, there is no script, style sheet, link or id in it, and every state has a shape of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib.resources import files
from math import hypot, pi

from flowbook.core.boxes import Box, Drawn, Face, boxes, faces
from flowbook.core.plain import duration_text, one_line
from flowbook.core.text import sentence
from flowbook.core.view import RunView
from flowbook.visualize.dot import HEIGHT, NAME_SIZE, SMALL_SIZE, TEXT_X, dot_of, label_of, width_of
from flowbook.visualize.fold import fold
from flowbook.visualize.measure import text_ems
from flowbook.visualize.svg import Line, Point, layout
from flowbook.visualize.xml import Attributes, element, escaped

_MARGIN = 6
_MOST_HEIGHT = 480
#: Where a box has its icon, 16 pixels wide and high, and the middle of that.
_ICON = (11, 12)
_ICON_MIDDLE = (19, 20)
_RING = 11.5
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

# Every colour has 3:1 on the card, and the lines between the cards on white and on black as well.
_CARD, _INK, _FAINT_INK, _LINE = "#ffffff", "#1f2328", "#57606a", "#848d97"
_COLOURS = {
    "succeeded": "#2e7d32",
    "failed": "#c62828",
    "crashed": "#c62828",
    "running": "#1565c0",
    "retrying": "#b45309",
    "reused": "#00838f",
}
_GREY, _TRACK = "#616b76", "#d8dee4"
_DASHED = frozenset({"waiting", "scheduled", "not-run", "cancelled"})


def live_svg(view: RunView) -> str:
    """The shapes and names of a run; empty without tasks. Node ``n3`` is the group with ``data-node="n3"``."""
    nodes = [(box, _live_node) for box in boxes(view)]
    return _svg(nodes, _live_edge, {"class": "fb-graph"}) if nodes else ""


def static_svg(view: RunView, now: float | None = None, drawn: Drawn | None = None) -> str:
    """The run as one self-contained picture; `now` (seconds since the epoch) is for runs under way.

    `drawn` are the `faces` of the view, if they are there already.
    """
    title = sentence(view, now)
    nodes = [(box, partial(_saved_node, shown=shown, now=now)) for box, shown in drawn or faces(view)]
    return _svg(nodes, _saved_edge, {"role": "img", "aria-label": title, "font-family": _FONT}, title)


def small_print(shown: Face, now: float | None = None, most: float = 40.0) -> str:
    """The second line of a box, ``Failed · 2.0 s · 1 retry``: the most important parts that fit, in `most` ems."""
    took = shown.duration(now)
    duration = "" if took is None else duration_text(took)
    parts = (shown.note, duration) if shown.counts else (shown.lead, duration, shown.note)
    said = [part for part in parts if part]
    while len(said) > 1 and text_ems(" · ".join(said)) > most:
        said.pop()
    return " · ".join(said)


@cache
def icons() -> Mapping[str, str]:
    """For every look the outline of its icon, filled by the even-odd rule.

    It is an SVG path on 16 by 16 pixels whose commands are all relative, so it may follow upon ``M x y``.
    """
    found: dict[str, str] = json.loads((files("flowbook.visualize") / "icons.json").read_text())
    return found


@dataclass(frozen=True, slots=True)
class _Edge:
    """A line at its place, with its arrow: both as an SVG path, from the box `tail` to the box `head`."""

    tail: str
    head: str
    curve: str
    arrow: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where everything is. `corners` are the upper left ones of the boxes, by their keys."""

    width: float
    height: float
    corners: Mapping[str, Point]
    edges: Sequence[_Edge]


def _svg(
    nodes: Sequence[tuple[Box, Callable[[Box, Point], str]]],
    edge: Callable[[_Edge], str],
    attributes: Attributes,
    title: str = "",
) -> str:
    drawn = [box for box, _ in nodes]
    placed = _placed(dot_of(drawn), tuple((box.key, width_of(box)) for box in drawn))
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    scale = min(1.0, _MOST_HEIGHT / height)
    return element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": round(width * scale),
            "height": round(height * scale),
            "viewBox": f"{-_MARGIN} {-_MARGIN} {width:g} {height:g}",
            **attributes,
        },
        element("title", {}, text=title) if title else "",
        '<g class="fb-edges">',
        *map(edge, placed.edges),
        "</g>",
        # Drawn at its place: a browser paints a thousand groups that are moved there at half the speed.
        *(f'<g class="fb-node" data-node="{box.key}">{node(box, placed.corners[box.key])}</g>' for box, node in nodes),
    )


@lru_cache(maxsize=8)  # a run's last picture has the shape of the one that was live
def _placed(dot: str, widths: tuple[tuple[str, float], ...]) -> _Placed:
    width_of_key = dict(widths)
    found = fold(layout(dot), width_of_key)
    return _Placed(
        width=found.width,
        height=found.height,
        corners={key: (x - width_of_key[key] / 2, y - HEIGHT / 2) for key, (x, y) in found.centres.items()},
        edges=[_Edge(line.tail, line.head, _curve(line), _arrow(line)) for line in found.lines],
    )


def _curve(line: Line) -> str:
    (x, y), *rest = line.spline
    return f"M{x:g},{y:g}C" + " ".join(f"{a:g},{b:g}" for a, b in rest)


def _arrow(line: Line) -> str:
    (x, y), (tip_x, tip_y) = line.spline[-1], line.tip
    length = hypot(tip_x - x, tip_y - y) or 1.0
    dx, dy = (tip_y - y) / length * -2.8, (tip_x - x) / length * 2.8  # half of the arrow's base
    return f"M{x + dx:.1f} {y + dy:.1f} {tip_x:.1f} {tip_y:.1f} {x - dx:.1f} {y - dy:.1f}z"


# The parts of a picture of which there are many are written out: `element` would take five times as long.


def _live_edge(edge: _Edge) -> str:
    ends = f'data-from="{edge.tail}" data-to="{edge.head}"'
    return f'<path class="fb-edge" d="{edge.curve}" {ends}/><path class="fb-arrow" d="{edge.arrow}" {ends}/>'


def _saved_edge(edge: _Edge) -> str:
    line = f'<path d="{edge.curve}" fill="none" stroke="{_LINE}" stroke-width="1.3"/>'
    return f'{line}<path d="{edge.arrow}" fill="{_LINE}"/>'


def _live_node(box: Box, at: Point) -> str:
    x, y = at
    return (
        f"<title>{escaped(one_line(box.name))}</title>"
        f'<rect class="fb-box" x="{x:g}" y="{y:g}" width="{width_of(box):g}" height="{HEIGHT}" rx="7"/>'
        '<path class="fb-icon" fill-rule="evenodd"/>'
        f'<text class="fb-name" x="{x + TEXT_X:g}" y="{y + 24:g}">{escaped(label_of(box))}</text>'
        f'<text class="fb-detail" x="{x + TEXT_X:g}" y="{y + 31.5:g}"/>'
    )


def _saved_node(box: Box, at: Point, shown: Face, now: float | None) -> str:
    (x, y), width, colour = at, width_of(box), _COLOURS.get(shown.look, _GREY)
    small = small_print(shown, now, (width - TEXT_X - 6) / SMALL_SIZE)
    dashes = ' stroke-dasharray="4 3"' if shown.look in _DASHED else ""
    detail = f'y="{y + 31.5:g}" font-size="{SMALL_SIZE}" fill="{_FAINT_INK}"'
    icon = f"M{x + _ICON[0]:g} {y + _ICON[1]:g}{icons()[shown.look]}"
    return (
        f"<title>{escaped(_tooltip(box, shown, now))}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="7" fill="{_CARD}" '
        f'stroke="{colour}" stroke-width="1.4"{dashes}/>'
        f"{_ring(at, shown, colour) if shown.counts else ''}"
        f'<path d="{icon}" fill="{colour}" fill-rule="evenodd"/>'
        f'<text x="{x + TEXT_X:g}" y="{y + (18 if small else 24):g}" font-size="{NAME_SIZE}" '
        f'fill="{_INK}">{escaped(label_of(box))}</text>'
        + (f'<text x="{x + TEXT_X:g}" {detail}>{escaped(small)}</text>' if small else "")
    )


def _ring(at: Point, shown: Face, colour: str) -> str:
    """How far a box of many runs has come, as an arc around its icon."""
    whole = 2 * pi * _RING
    x, y = at[0] + _ICON_MIDDLE[0], at[1] + _ICON_MIDDLE[1]
    circle: Attributes = {"cx": x, "cy": y, "r": _RING, "fill": "none", "stroke-width": 2}
    begin: Attributes = {
        "stroke-dasharray": f"{whole * shown.done / shown.total:.1f} {whole:.1f}",
        "transform": f"rotate(-90 {x:g} {y:g})",
    }
    return element("circle", {**circle, "stroke": _TRACK}) + element("circle", {**circle, "stroke": colour, **begin})


def _tooltip(box: Box, shown: Face, now: float | None) -> str:
    took = shown.duration(now)
    parts = [shown.word, "" if took is None else duration_text(took), shown.note]
    said = f"{one_line(box.name)}: " + ", ".join(part for part in parts if part)
    return f"{said}. {one_line(shown.message)[:300]}" if shown.message else said
