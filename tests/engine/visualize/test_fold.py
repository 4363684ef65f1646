"""A long, flat graph goes on in the next row, and its lines never run through a box."""

from __future__ import annotations

import pytest

from flowbook.visualize.dot import HEIGHT
from flowbook.visualize.fold import ROW, fold
from flowbook.visualize.svg import Layout, Line

WIDTH = 176.0
STEP = 206.0


def flat(places: dict[str, tuple[int, float]], *edges: str) -> Layout:
    """Boxes in columns (counted from 0) and at heights, joined by straight lines."""
    centres = {key: (column * STEP + WIDTH / 2, y + HEIGHT / 2) for key, (column, y) in places.items()}
    lines = []
    for tail, head in (edge.split(">") for edge in edges):
        (x1, y1), (x2, y2) = centres[tail], centres[head]
        start, tip = (x1 + WIDTH / 2, y1), (x2 - WIDTH / 2, y2)
        end = (tip[0] - 5, tip[1])
        lines.append(Line(tail=tail, head=head, spline=(start, start, end, end), tip=tip))
    width = max(x for x, _ in centres.values()) + WIDTH / 2
    height = max(y for _, y in centres.values()) + HEIGHT / 2
    return Layout(width=width, height=height, centres=centres, lines=tuple(lines))


def folded(layout: Layout) -> Layout:
    return fold(layout, dict.fromkeys(layout.centres, WIDTH))


def chain(n: int) -> Layout:
    return flat({f"a{i}": (i, 0.0) for i in range(n)}, *(f"a{i}>a{i + 1}" for i in range(n - 1)))


CASES = {
    "chain": chain(12),
    "long chain": chain(57),
    "fork": flat(
        {**{f"a{i}": (i, 0.0) for i in range(12)}, "b": (4, 54.0), "c": (5, 54.0)},
        *(f"a{i}>a{i + 1}" for i in range(11)),
        "a3>b", "b>c", "c>a6",
    ),
    "line over a row": flat(
        {f"a{i}": (i, 0.0) for i in range(14)}, *(f"a{i}>a{i + 1}" for i in range(13)), "a2>a12", "a3>a6"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_lines_lead_from_box_to_box_and_through_none(case: str) -> None:
    before = CASES[case]
    after = folded(before)
    assert after.width < before.width
    assert {(line.tail, line.head) for line in after.lines} == {(line.tail, line.head) for line in before.lines}
    for line in after.lines:
        assert line.spline[0] == pytest.approx((after.centres[line.tail][0] + WIDTH / 2, after.centres[line.tail][1]))
        assert line.tip == pytest.approx((after.centres[line.head][0] - WIDTH / 2, after.centres[line.head][1]))
        assert len(line.spline) % 3 == 1
        for x, y in line.spline[1:]:
            for key, (cx, cy) in after.centres.items():
                inside = abs(x - cx) < WIDTH / 2 - 0.1 and abs(y - cy) < HEIGHT / 2 - 0.1
                assert not inside, f"the line {line.tail} to {line.head} runs through {key}"


@pytest.mark.parametrize("case", CASES)
def test_boxes_keep_their_order_and_do_not_touch(case: str) -> None:
    before = CASES[case]
    after = folded(before)
    assert after.width <= ROW + 60
    places = list(after.centres.values())
    for i, (x, y) in enumerate(places):
        assert x - WIDTH / 2 >= 0
        assert x + WIDTH / 2 <= after.width
        assert y + HEIGHT / 2 <= after.height + 0.1
        assert all(abs(x - u) >= WIDTH or abs(y - v) >= HEIGHT for u, v in places[:i])
    rows = sorted({y for key, (_, y) in after.centres.items() if key.startswith("a")})
    reading = sorted(
        (k for k in after.centres if k[0] == "a"), key=lambda k: (rows.index(after.centres[k][1]), after.centres[k][0])
    )
    assert reading == [key for key in before.centres if key.startswith("a")]


@pytest.mark.parametrize(
    "layout",
    [
        chain(4),
        flat({"a": (0, 0.0), **{f"b{i}": (i % 9 + 1, i * 54.0) for i in range(60)}}, "a>b1"),  # high as well
        flat({f"a{i}": (i, 0.0) for i in range(12)}, *(f"a{i}>a{11 - i}" for i in range(5))),  # too many lines
    ],
)  # fmt: skip
def test_what_would_not_be_easier_to_read_stays_as_it_is(layout: Layout) -> None:
    assert folded(layout) is layout
