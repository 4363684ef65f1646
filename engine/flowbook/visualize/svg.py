"""Graphviz in this process: DOT to SVG, and DOT to the places of boxes and lines.

Both are remembered by their DOT, and may be asked for from any thread. A layout releases the GIL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flowbook.errors import FlowbookError

Point = tuple[float, float]


class GraphvizError(FlowbookError):
    """Graphviz could not lay out a graph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One edge: the points of a Bézier spline (1 + 3n of them), and the point of the arrow."""

    tail: str
    head: str
    spline: tuple[Point, ...]
    tip: Point


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where everything is, in pixels from the top left corner; `centres` are those of the nodes."""

    width: float
    height: float
    centres: Mapping[str, Point]
    lines: tuple[Line, ...]


@lru_cache(maxsize=32)
def render(dot: str) -> str:
    """The SVG that Graphviz makes of `dot`. Raises GraphvizError for bad DOT and after 20 seconds."""
    from flowbook.visualize.graphviz_wasm import graphviz

    return graphviz().run(dot, "svg").decode()


@lru_cache(maxsize=32)
def layout(dot: str) -> Layout:
    """The places of what `dot` describes. Raises GraphvizError for bad DOT and after 20 seconds."""
    from flowbook.visualize.graphviz_wasm import graphviz

    found = json.loads(graphviz().run(dot, "json0"))
    _, _, width, height = _numbers(found["bb"])
    nodes = found.get("objects", [])
    names = {node["_gvid"]: node["name"] for node in nodes}
    return Layout(
        width=width,
        height=height,
        centres={node["name"]: _points(node["pos"], height)[0] for node in nodes},
        lines=tuple(
            _line(names[edge["tail"]], names[edge["head"]], edge["pos"], height) for edge in found.get("edges", [])
        ),
    )


def _line(tail: str, head: str, pos: str, height: float) -> Line:
    """An edge's ``e,x,y x,y x,y …``: the tip comes first."""
    first, _, rest = pos.partition(" ")
    points = _points(rest, height)
    tip = _points(first.removeprefix("e,"), height)[0]
    return Line(tail=tail, head=head, spline=tuple(points), tip=tip)


def _points(text: str, height: float) -> Sequence[Point]:
    """Graphviz counts from the bottom, screens from the top."""
    pairs = [_numbers(pair) for pair in text.split()]
    return [(x, round(height - y, 2)) for x, y in pairs]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]
