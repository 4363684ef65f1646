"""A run as DOT, the language of Graphviz.

It says only what decides the shape of the picture: names and edges. States are no part of it, so a run that goes
on keeps its layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from flowbook.core.boxes import Box, boxes
from flowbook.core.plain import one_line
from flowbook.core.view import RunView
from flowbook.visualize.measure import cut_to, text_ems

#: Pixels. A box holds an icon, then the name, and below the name a line of small print.
HEIGHT = 40
TEXT_X = 34
NAME_SIZE = 12
SMALL_SIZE = 10.5
_MARGIN = 12
_LEAST_WIDTH = 176
_MOST_EMS = 20.0

_HEAD = """digraph flowbook {
  graph [rankdir=LR, nodesep=0.2, ranksep=0.42]
  node [shape=box, style=rounded, fixedsize=true, height=%.3f, fontname="Helvetica", fontsize=%d]
  edge [arrowsize=0.5, tailport=e, headport=w]
"""


def to_dot(view: RunView) -> str:
    """The graph of a run as DOT. The nodes are called ``n0``, ``n1``…; their names are only labels."""
    return dot_of(boxes(view))


def dot_of(drawn: Sequence[Box]) -> str:
    """The DOT of boxes."""
    lines = [_HEAD % (HEIGHT / 72, NAME_SIZE)]
    lines.extend(f"  {box.key} [label={quoted(label_of(box))}, width={width_of(box) / 72:.3f}]\n" for box in drawn)
    lines.extend(f"  {source} -> {box.key}\n" for box in drawn for source in box.upstream)
    return "".join([*lines, "}\n"])


def label_of(box: Box) -> str:
    """The name as it is drawn: on one line, and cut where it is too long."""
    return _measured(box.name)[0]


def width_of(box: Box) -> float:
    """The width of a box in pixels."""
    return _measured(box.name)[1]


@lru_cache(maxsize=4096)
def _measured(name: str) -> tuple[str, float]:
    label = cut_to(one_line(name).strip() or "(no name)", _MOST_EMS)
    return label, max(_LEAST_WIDTH, round(TEXT_X + NAME_SIZE * text_ems(label) + _MARGIN))


def quoted(text: str) -> str:
    r"""`text` as a DOT string that shows just these characters: no escapes (``\N``), no entities, no HTML."""
    return '"' + text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') + '"'
