"""The SVG of a run, drawn by us at the places that Graphviz found.

The live one holds shapes and names; its states arrive later as classes. The saved one holds everything: colours
are attributes, there is no script, style sheet, link or id in it, and every state has a shape of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import hypot, pi

from flowbook.core.boxes import Box, Face, boxes, face
from flowbook.core.plain import duration_text, one_line
from flowbook.core.text import sentence
from flowbook.core.view import RunView
from flowbook.visualize.dot import HEIGHT, NAME_SIZE, SMALL_SIZE, TEXT_X, dot_of, label_of, width_of
from flowbook.visualize.fold import fold
from flowbook.visualize.measure import text_ems
from flowbook.visualize.svg import Line, Point, layout
from flowbook.visualize.xml import Attributes, element

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
    drawn = boxes(view)
    return _svg(drawn, _live_edge, _live_node, {"class": "fb-graph"}) if drawn else ""


def static_svg(view: RunView, now: float | None = None) -> str:
    """The run as one self-contained picture; `now` (seconds since the epoch) is for runs under way."""
    title = sentence(view, now)
    return _svg(
        boxes(view),
        _saved_edge,
        lambda box, at: _saved_node(box, at, face(box, view), now),
        {"role": "img", "aria-label": title, "font-family": _FONT},
        title,
    )


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


def _svg(
    drawn: Sequence[Box],
    edge: Callable[[Line], str],
    node: Callable[[Box, Point], str],
    attributes: Attributes,
    title: str = "",
) -> str:
    placed = fold(layout(dot_of(drawn)), {box.key: width_of(box) for box in drawn})
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
        element("g", {"class": "fb-edges"}, *(edge(line) for line in placed.lines)),
        *(_node(placed.centres[box.key], box, node) for box in drawn),
    )


def _node(centre: Point, box: Box, content: Callable[[Box, Point], str]) -> str:
    """A box, drawn at its place: a browser paints a thousand groups that are moved there at half the speed."""
    at = centre[0] - width_of(box) / 2, centre[1] - HEIGHT / 2
    return element("g", {"class": "fb-node", "data-node": box.key}, content(box, at))


def _place(at: Point, x: float, y: float) -> Attributes:
    return {"x": f"{at[0] + x:g}", "y": f"{at[1] + y:g}"}


def _live_edge(line: Line) -> str:
    ends: Attributes = {"data-from": line.tail, "data-to": line.head}
    return element("path", {"class": "fb-edge", "d": _curve(line), **ends}) + element(
        "path", {"class": "fb-arrow", "d": _arrow(line), **ends}
    )


def _saved_edge(line: Line) -> str:
    return element("path", {"d": _curve(line), "fill": "none", "stroke": _LINE, "stroke-width": 1.3}) + element(
        "path", {"d": _arrow(line), "fill": _LINE}
    )


def _curve(line: Line) -> str:
    (x, y), *rest = line.spline
    return f"M{x:g},{y:g}C" + " ".join(f"{a:g},{b:g}" for a, b in rest)


def _arrow(line: Line) -> str:
    (x, y), (tip_x, tip_y) = line.spline[-1], line.tip
    length = hypot(tip_x - x, tip_y - y) or 1.0
    dx, dy = (tip_y - y) / length * -2.8, (tip_x - x) / length * 2.8  # half of the arrow's base
    return f"M{x + dx:.1f} {y + dy:.1f} {tip_x:.1f} {tip_y:.1f} {x - dx:.1f} {y - dy:.1f}z"


def _live_node(box: Box, at: Point) -> str:
    frame: Attributes = {"class": "fb-box", **_place(at, 0, 0), "width": width_of(box), "height": HEIGHT, "rx": 7}
    return "".join(
        (
            element("title", {}, text=one_line(box.name)),
            element("rect", frame),
            element("path", {"class": "fb-icon", "fill-rule": "evenodd"}),
            element("text", {"class": "fb-name", **_place(at, TEXT_X, 24)}, text=label_of(box)),
            element("text", {"class": "fb-detail", **_place(at, TEXT_X, 31.5)}),
        )
    )


def _saved_node(box: Box, at: Point, shown: Face, now: float | None) -> str:
    width, colour = width_of(box), _COLOURS.get(shown.look, _GREY)
    small = small_print(shown, now, (width - TEXT_X - 6) / SMALL_SIZE)
    frame: Attributes = {"width": width, "height": HEIGHT, "rx": 7, "fill": _CARD, "stroke": colour}
    icon = _place(at, *_ICON)
    dashes: Attributes = {"stroke-dasharray": "4 3"} if shown.look in _DASHED else {}
    name: Attributes = {**_place(at, TEXT_X, 18 if small else 24), "font-size": NAME_SIZE, "fill": _INK}
    detail: Attributes = {**_place(at, TEXT_X, 31.5), "font-size": SMALL_SIZE, "fill": _FAINT_INK}
    outline = f"M{icon['x']} {icon['y']}{icons()[shown.look]}"
    return "".join(
        (
            element("title", {}, text=_tooltip(box, shown, now)),
            element("rect", {**_place(at, 0, 0), **frame, "stroke-width": 1.4, **dashes}),
            _ring(at, shown, colour),
            element("path", {"d": outline, "fill": colour, "fill-rule": "evenodd"}),
            element("text", name, text=label_of(box)),
            element("text", detail, text=small) if small else "",
        )
    )


def _ring(at: Point, shown: Face, colour: str) -> str:
    """How far a box of many runs has come, as an arc around its icon."""
    if not shown.counts:
        return ""
    whole = 2 * pi * _RING
    far = f"{whole * shown.done / shown.total:.1f} {whole:.1f}"
    middle = _place(at, *_ICON_MIDDLE)
    circle: Attributes = {"cx": middle["x"], "cy": middle["y"], "r": _RING, "fill": "none", "stroke-width": 2}
    begin: Attributes = {"stroke-dasharray": far, "transform": f"rotate(-90 {middle['x']} {middle['y']})"}
    return element("circle", {**circle, "stroke": _TRACK}) + element("circle", {**circle, "stroke": colour, **begin})


def _tooltip(box: Box, shown: Face, now: float | None) -> str:
    took = shown.duration(now)
    parts = [shown.word, "" if took is None else duration_text(took), shown.note]
    said = f"{one_line(box.name)}: " + ", ".join(part for part in parts if part)
    return f"{said}. {one_line(shown.message)[:300]}" if shown.message else said
