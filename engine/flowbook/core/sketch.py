"""A graph drawn with box-drawing characters, when lines can say exactly what it says; otherwise nothing.

That is so for graphs made only by putting parts *side by side* and *in a row*, where every end of one part
leads to every beginning of the next. Any other graph would need crossing lines, and those mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Edges = Mapping[str, Sequence[str]]
"""For every node the nodes before it."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A rectangle of text, and the row at which lines enter and leave it."""

    lines: tuple[str, ...]
    width: int
    port: int


@dataclass(frozen=True, slots=True)
class _Row:
    """Parts one after the other."""

    parts: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Stack:
    """Parts side by side."""

    parts: tuple[_Part, ...]


_Part = str | _Row | _Stack


def draw(labels: Mapping[str, str], upstream: Edges, width_of: Callable[[str], int] = len) -> list[str] | None:
    """The lines of the drawing, or None when the graph cannot be drawn without crossing or extra lines."""
    if not labels:
        return []
    part = _decompose(list(labels), upstream)
    if part is None:
        return None
    block = _render(part, labels, width_of, left=False, right=False)
    return [line.rstrip() for line in block.lines]


def _decompose(nodes: Sequence[str], upstream: Edges) -> _Part | None:
    if len(nodes) == 1:
        return nodes[0]
    kind: type[_Stack] | type[_Row] = _Stack
    groups = _components(nodes, upstream)
    if len(groups) == 1:
        groups, kind = _in_a_row(nodes, upstream), _Row
    if len(groups) == 1:
        return None
    parts = [_decompose(group, upstream) for group in groups]
    if any(part is None for part in parts):
        return None
    return kind(tuple(part for part in parts if part is not None))


def _components(nodes: Sequence[str], upstream: Edges) -> list[list[str]]:
    """The parts between which there is no edge, in order of their first node."""
    inside = set(nodes)
    near: dict[str, list[str]] = {node: [] for node in nodes}
    for node in nodes:
        for source in upstream[node]:
            if source in inside:
                near[node].append(source)
                near[source].append(node)
    group: dict[str, int] = {}
    for i, start in enumerate(nodes):
        todo = [start] if start not in group else []
        while todo:
            node = todo.pop()
            if node not in group:
                group[node] = i
                todo.extend(near[node])
    return [[node for node in nodes if group[node] == i] for i in dict.fromkeys(group[node] for node in nodes)]


def _in_a_row(nodes: Sequence[str], upstream: Edges) -> list[list[str]]:
    """The nodes, cut wherever all before the cut leads, by just the lines that are drawn, to all after it."""
    before = _ancestors(nodes, upstream)
    if before is None:
        return [list(nodes)]
    order = sorted(nodes, key=lambda node: len(before[node]))
    cuts = [0]
    for i in range(1, len(order)):
        first = set(order[:i])
        if all(first <= before[node] for node in order[i:]):
            cuts.append(i)
    segments = [order[a:b] for a, b in zip(cuts, [*cuts[1:], len(order)], strict=True)]
    for i, segment in enumerate(segments[1:]):
        if not _joined(segments[i], segment, upstream):
            return [list(nodes)]
    place = {node: i for i, segment in enumerate(segments) for node in segment}
    if any(place[node] - place[source] > 1 for node in nodes for source in upstream[node] if source in place):
        return [list(nodes)]
    kept = {node: i for i, node in enumerate(nodes)}
    return [sorted(segment, key=kept.__getitem__) for segment in segments]


def _joined(first: Sequence[str], second: Sequence[str], upstream: Edges) -> bool:
    """Whether the edges between two segments go from every end of one to every beginning of the other."""
    inside = set(first)
    sources = {source for node in first for source in upstream[node] if source in inside}
    ends = inside - sources
    later = set(second)
    for node in second:
        begins = not any(source in later for source in upstream[node])
        if {source for source in upstream[node] if source in inside} != (ends if begins else set()):
            return False
    return True


def _ancestors(nodes: Sequence[str], upstream: Edges) -> dict[str, set[str]] | None:
    """All nodes before each node; None on a cycle."""
    found: dict[str, set[str]] = {}
    left = list(nodes)
    inside = set(nodes)
    while left:
        ready = [n for n in left if all(source in found for source in upstream[n] if source in inside)]
        if not ready:
            return None
        for node in ready:
            sources = [source for source in upstream[node] if source in inside]
            found[node] = set(sources).union(*(found[source] for source in sources))
        left = [node for node in left if node not in found]
    return found


def _render(
    part: _Part, labels: Mapping[str, str], width_of: Callable[[str], int], *, left: bool, right: bool
) -> _Block:
    """The part as text; `left` and `right` say whether lines come in and go out."""
    if isinstance(part, str):
        return _Block((labels[part],), width_of(labels[part]), 0)
    last = len(part.parts) - 1
    if isinstance(part, _Row):
        blocks = [
            _render(sub, labels, width_of, left=left or i > 0, right=right or i < last)
            for i, sub in enumerate(part.parts)
        ]
        row = blocks[0]
        for block in blocks[1:]:
            row = _beside(row, block)
        return row
    blocks = [_render(sub, labels, width_of, left=left, right=right) for sub in part.parts]
    return _stacked(blocks, left=left, right=right)


def _beside(a: _Block, b: _Block) -> _Block:
    """Two blocks joined by a line from port to port."""
    top = max(a.port, b.port)
    height = top + max(len(a.lines) - a.port, len(b.lines) - b.port)
    after_bracket = a.lines[a.port].endswith(tuple(_CORNERS.values()))
    before_bracket = b.lines[b.port].startswith(tuple(_CORNERS.values()))
    gap = (
        ("" if after_bracket else " ")
        + ("─" if after_bracket or before_bracket else "──")
        + ("" if before_bracket else " ")
    )
    lines = []
    for y in range(height):
        ya, yb = y - top + a.port, y - top + b.port
        first = a.lines[ya] if 0 <= ya < len(a.lines) else " " * a.width
        second = b.lines[yb] if 0 <= yb < len(b.lines) else " " * b.width
        lines.append(first + (gap if y == top else " " * len(gap)) + second)
    return _Block(tuple(lines), a.width + len(gap) + b.width, top)


def _stacked(blocks: Sequence[_Block], *, left: bool, right: bool) -> _Block:
    """Blocks below each other; with a bracket at each side where lines come in or go out."""
    width = max(block.width for block in blocks)
    ports: list[int] = []
    lines: list[tuple[str, bool]] = []  # each with whether it is at a port
    for block in blocks:
        ports.append(len(lines) + block.port)
        for i, line in enumerate(block.lines):
            at_port, fill = i == block.port, width - block.width
            reach = " " + "─" * (fill + 1) if at_port else " " * (fill + 2)
            lines.append((line + (reach if right else " " * fill), at_port))
    port = ports[(len(ports) - 1) // 2]
    done = []
    for y, (line, at_port) in enumerate(lines):
        if left:
            line = _bracket(y, ports, port, opening=True) + ("─ " if at_port else "  ") + line
        if right:
            line += _bracket(y, ports, port, opening=False)
        done.append(line)
    return _Block(tuple(done), width + 3 * left + 3 * right, port)


def _bracket(y: int, ports: Sequence[int], port: int, *, opening: bool) -> str:
    """One character of the line that joins the ports; at `port` it leads outwards."""
    up, down = ports[0] < y <= ports[-1], ports[0] <= y < ports[-1]
    inner, outer = y in ports, y == port
    west, east = (outer, inner) if opening else (inner, outer)
    return _CORNERS.get((up, down, west, east), " ")


_CORNERS = {
    (True, True, False, False): "│",
    (True, True, True, False): "┤",
    (True, True, False, True): "├",
    (True, True, True, True): "┼",
    (False, True, True, False): "┐",
    (False, True, False, True): "┌",
    (False, True, True, True): "┬",
    (True, False, True, False): "┘",
    (True, False, False, True): "└",
    (True, False, True, True): "┴",
}

#: The line between two blocks, by whether a bracket ends the first and begins the second.
_GAPS = {(False, False): " ── ", (False, True): " ─", (True, False): "─ ", (True, True): "─"}
