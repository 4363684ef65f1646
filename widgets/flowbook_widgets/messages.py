"""What the front end is told about a run: plain JSON, a function of a snapshot. `src/types.ts` mirrors it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowbook.core.boxes import Box, face, looks
from flowbook.core.failure import failed_first
from flowbook.core.plain import one_line, shorten
from flowbook.core.text import sentence
from flowbook.core.view import WORDS, RunView

Json = dict[str, Any]

#: Columns of an error message that a view shows; the whole of it is in the log.
_MOST_MESSAGE = 400


def header(view: RunView) -> Json:
    """The line above the graph, and the counts."""
    counted = view.counted()
    counts = looks(counted, view)
    done = sum(node.state is not None and node.state.is_final() for node in counted)
    failed = failed_first(view)
    over = view.state is not None and view.state.is_final()
    problem = None
    if failed is not None and failed.state is not None and not over:
        problem = f"{one_line(failed.name)}: {_message(failed.state.message)}"
    return _without_none(
        {
            "look": view.look,
            "word": WORDS[view.look],
            "flow": one_line(view.flow),
            "name": one_line(view.name),
            "started": view.started,
            "ended": view.ended,
            "done": done,
            "total": len(counted),
            "retries": sum(max(0, node.attempts - 1) for node in counted),
            "counts": counts,
            "sentence": sentence(view) if over else None,
            "problem": problem,
            "failed": shorten(one_line(failed.name), 100) if failed is not None else None,
        }
    )


def nodes(drawn: Iterable[Box], view: RunView) -> dict[str, Json]:
    """What each box shows, by its key."""
    return {box.key: node_of(box, view) for box in drawn}


def node_of(box: Box, view: RunView) -> Json:
    """What one box shows."""
    shown = face(box, view)
    return _without_none(
        {
            "look": shown.look,
            "word": shown.word,
            "name": shorten(one_line(box.name), 300),
            "lead": shown.lead or None,
            "note": shown.note or None,
            "message": _message(shown.message),
            "attempts": max(view.nodes[member].attempts for member in box.members) or None,
            "started": shown.started,
            "ended": shown.ended,
            "done": shown.done if shown.counts else None,
            "total": shown.total if shown.counts else None,
            "looks": list(shown.counts) or None,
        }
    )


def _message(message: str | None) -> str | None:
    return shorten(one_line(message), _MOST_MESSAGE) if message else None


def _without_none(plain: Json) -> Json:
    return {key: value for key, value in plain.items() if value is not None}
