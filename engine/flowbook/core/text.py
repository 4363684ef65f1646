"""A run in plain text: one sentence, a table, a graph. For terminals, notifications and saved notebooks."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from flowbook.core.boxes import Box, Drawn, Face, faces, look_in, looks
from flowbook.core.plain import duration_text, one_line, pad, shorten, text_width
from flowbook.core.sketch import draw
from flowbook.core.view import WORDS, NodeView, RunView

__all__ = ["WIDTH", "sentence", "task_table", "text_dag"]

#: No line of `text_dag` is wider, in terminal columns.
WIDTH = 100
#: More boxes than this make a list, however simple their graph is.
_MOST_DRAWN = 40

_DRAWING = re.compile(r"[][─-╿,]|<-|^\s|\s$|^$")

_MARKS = {
    "succeeded": "ok",
    "failed": "x",
    "crashed": "x",
    "running": ">",
    "retrying": "~",
    "reused": "=",
    "waiting": ".",
    "scheduled": ".",
    "not-run": "-",
    "cancelled": "-",
    "paused": "-",
}
#: Looks whose mark does not say enough by itself.
_SPOKEN = frozenset({"crashed", "retrying", "reused", "scheduled", "not-run", "cancelled", "paused"})


def sentence(view: RunView, now: float | None = None) -> str:
    """What became of the run, in one sentence or two.

    `now`, in seconds since the epoch, is for runs under way.
    """
    took = view.duration(now)
    look = view.look
    if look in ("succeeded", "reused"):
        return f"{WORDS[look]}{_took(' in ', took)}: {_tally(view) or 'no tasks ran'}."
    if look in ("failed", "crashed", "cancelled"):
        tally = _tally(view, leave_out_one=look)
        return _ending(view, took) + (f" {tally}." if tally else "")
    if look in ("running", "retrying", "paused"):
        return f"{WORDS[look]}{_took(' for ', took)}: {_progress(view)}."
    return f"{WORDS[look]}." if not view.nodes else f"{WORDS[look]}: {_number(len(view.counted()), 'task')}."


def plan_sentence(view: RunView) -> str:
    """What a run that has not begun would consist of: ``5 tasks: 3 reused, 2 waiting.``"""
    return f"{_number(len(view.counted()), 'task')}: {_tally(view)}."


def task_table(view: RunView, now: float | None = None, drawn: Drawn | None = None) -> str:
    """Task, state, attempts and duration in aligned columns, a line each; empty without tasks.

    `drawn` are the `faces` of the view, if they are there already.
    """
    rows = [(one_line(box.name), shown, _attempts(box, view)) for box, shown in drawn or faces(view)]
    if not rows:
        return ""
    cells = [("Task", "State", "Attempts", "Duration")]
    for name, shown, attempts in rows:
        word = shown.word if not shown.counts else f"{shown.word} ({shown.note})"
        took = shown.duration(now)
        cells.append((shorten(name, 48), word, attempts, "" if took is None else duration_text(took)))
    widths = [max(text_width(row[i]) for row in cells) for i in range(4)]
    return "\n".join(
        f"{pad(a, widths[0])}  {pad(b, widths[1])}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in cells
    )


def text_dag(view: RunView, now: float | None = None, drawn: Drawn | None = None) -> str:
    """The graph in plain text, at most `WIDTH` columns wide; empty without tasks.

    Drawn with lines when those can say exactly which box follows which; else a list in an order in which it
    could run, every box with what it reads. `drawn` are the `faces` of the view, if they are there already.
    """
    drawn = drawn or faces(view)
    labels = {box.key: _label(box, shown, now) for box, shown in drawn}
    upstream = {box.key: box.upstream for box, _ in drawn}
    if len(drawn) <= _MOST_DRAWN and (picture := draw(labels, upstream, text_width)) is not None:
        width = max((text_width(line) for line in picture), default=0)
        if width <= WIDTH:
            return "\n".join(picture)
    return _listed([box for box, _ in drawn], labels)


def _listed(drawn: Sequence[Box], labels: Mapping[str, str]) -> str:
    """One line per box with ``<- inputs``, indented by its depth."""
    by_key = {box.key: box for box in drawn}
    same = {name for name, n in Counter(box.name for box in drawn).items() if n > 1}
    ref = {box.key: _reference(box, same) for box in drawn}
    lines = []
    for key, depth in _by_depth(by_key):
        start = "  " * min(depth, 12) + (f"{key} " if by_key[key].name in same else "") + labels[key]
        lines.extend(_with_inputs(start, [ref[source] for source in by_key[key].upstream]))
    return "\n".join(lines)


def _with_inputs(start: str, inputs: Sequence[str]) -> list[str]:
    """The line of one box; inputs that do not fit go on lines of their own."""
    lines, line, lead = [], start, " <- "
    for i, name in enumerate(inputs):
        piece = name + ("," if i + 1 < len(inputs) else "")
        if text_width(line + lead + piece) > WIDTH:
            lines.append(line)
            line, lead = " " * 8, " <- " if i == 0 else "    "
        line, lead = line + lead + piece, " "
    return [*lines, line]


def _by_depth(by_key: Mapping[str, Box]) -> list[tuple[str, int]]:
    """The boxes in an order in which they could run, each with the length of the longest way to it.

    Boxes on a cycle (many runs behind one box can make one) come last, in the order in which they came to be.
    """
    depth: dict[str, int] = {}
    place = {key: at for at, key in enumerate(by_key)}
    lacking = {key: set(box.upstream) for key, box in by_key.items()}
    following: dict[str, list[str]] = {}
    for key, sources in lacking.items():
        for source in sources:
            following.setdefault(source, []).append(key)
    level = [key for key, sources in lacking.items() if not sources]
    while level:
        after = set()
        for key in level:
            depth[key] = 1 + max((depth[source] for source in by_key[key].upstream), default=-1)
            for other in following.get(key, ()):
                lacking[other].discard(key)
                if not lacking[other]:
                    after.add(other)
        level = sorted(after, key=place.__getitem__)
    for key in [key for key in by_key if key not in depth]:
        depth[key] = 1 + max((depth.get(source, -1) for source in by_key[key].upstream), default=-1)
    return list(depth.items())


def _reference(box: Box, same: set[str]) -> str:
    return box.key if box.name in same else _quoted(shorten(one_line(box.name), 40))


def _label(box: Box, shown: Face, now: float | None) -> str:
    """``[ok clean 1.0 s, 1 retry]``."""
    took = shown.duration(now)
    said = [
        WORDS[shown.look].lower() if shown.look in _SPOKEN and not shown.counts else "",
        shown.note.replace(" · ", ", "),
        "" if took is None else duration_text(took),
    ]
    # The duration comes first where there is one: it is what one compares.
    detail = ", ".join(part for part in (said[2], said[0], said[1]) if part)
    return f"[{_MARKS[shown.look]} {_quoted(shorten(one_line(box.name), 40))}{' ' if detail else ''}{detail}]"


def _quoted(name: str) -> str:
    """The name, in quotes if it could be taken for a part of the drawing."""
    return '"' + name.replace('"', "'") + '"' if _DRAWING.search(name) else name


def _ending(view: RunView, took: float | None) -> str:
    """``Failed at validate after 9.0 s: ValueError: …`` — the first failure, not what followed from it."""
    first = view.first_failure() if view.look != "cancelled" else None
    said = one_line(view.state.message or "") if view.state else ""
    cause = one_line(first.state.message or "") if first and first.state else ""
    after = _took(" after ", took)
    if first is None or (view.look == "failed" and said and cause and _own_error(view, said)):
        also = f" The first task that failed: {_named(first)}." if first else ""
        return f"{WORDS[view.look]}{after}{_because(said)}{also}"
    return f"{WORDS[view.look]} at {_named(first)}{after}{_because(cause or said)}"


def _own_error(view: RunView, said: str) -> bool:
    """Whether the flow failed with an error that none of its tasks failed with."""
    return all(
        said != one_line(node.state.message or "")
        for node in view.nodes.values()
        if node.state is not None and node.look in ("failed", "crashed")
    )


def _because(message: str) -> str:
    text = shorten(message, 300)
    return "." if not text else f": {text}" + ("" if text.endswith((".", "!", "?", "…")) else ".")


def _named(node: NodeView) -> str:
    """The name, isolated from the direction of the text around it where that matters."""
    name = shorten(one_line(node.name), 60)
    rtl = any(unicodedata.bidirectional(ch) in ("R", "AL") for ch in name)
    return f"\u2068{name}\u2069" if rtl else name


def _tally(view: RunView, *, leave_out_one: str = "") -> str:
    """``54 succeeded, 2 not run``; without the one task that the sentence has named already."""
    counted = view.counted()
    counts = looks(counted, view)
    if counts.get(leave_out_one) == 1 and leave_out_one != "cancelled":
        del counts[leave_out_one]
    parts = [f"{counts[look]} {word.lower()}" for look, word in WORDS.items() if look in counts]
    again = sum(look_in(node, view) == "succeeded" and node.attempts > 1 for node in counted)
    if again and "succeeded" in counts:
        parts.insert(1, f"{again} after a retry" if again == 1 else f"{again} after retries")
    return ", ".join(parts)


def _progress(view: RunView) -> str:
    counted = view.counted()
    counts = looks(counted, view)
    done = sum(node.state is not None and node.state.is_final() for node in counted)
    shown = ("running", "retrying", "failed", "crashed", "paused")
    parts = [f"{counts[look]} {WORDS[look].lower()}" for look in shown if look in counts]
    total = f"{done} of {_number(len(counted), 'task')} done" if counted else "no tasks yet"
    return ", ".join([total, *parts])


def _attempts(box: Box, view: RunView) -> str:
    most = max(view.nodes[member].attempts for member in box.members)
    return "" if most == 0 else str(most) if len(box.members) == 1 else f"≤ {most}"


def _took(lead: str, seconds: float | None) -> str:
    return "" if seconds is None else lead + duration_text(seconds)


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
