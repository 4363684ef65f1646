"""Answers to what the front end asks about a run: plain JSON, functions of a snapshot. `src/types.ts` mirrors them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowbook.core.boxes import boxes
from flowbook.core.plain import one_line, shorten
from flowbook.core.view import RunView
from flowbook_widgets.messages import Json

Question = Mapping[str, Any]
Answer = Callable[[Question], Json]

#: So many lines go into one answer, and so many columns into a line.
MOST_LINES, MOST_COLUMNS = 500, 4000


def log_lines(view: RunView, after: int = 0, node: str | None = None) -> Json:
    """The last lines that were logged after line number `after`, of the whole run or of the tasks of one box."""
    first = view.log_count - len(view.logs)
    logs = view.logs[max(0, after - first) :]
    if node is not None:
        members = next((box.members for box in boxes(view) if box.key == node), ())
        logs = tuple(line for line in logs if line.task_run_id in members)
    lines: list[Json] = []
    for line in logs[-MOST_LINES:]:
        said: Json = {"time": line.time, "level": line.level, "message": shorten(line.message, MOST_COLUMNS)}
        task = view.nodes.get(line.task_run_id or "")
        lines.append(said if task is None else {**said, "task": shorten(one_line(task.name), 60)})
    return {"lines": lines, "seen": view.log_count}


def answer_of(view: RunView, question: Question) -> Json:
    """What is known of `question`; nothing for a question that this version does not know."""
    after, node = question.get("after"), question.get("node")
    if question.get("what") == "logs":
        return log_lines(view, after if isinstance(after, int) else 0, node if isinstance(node, str) else None)
    return {}
