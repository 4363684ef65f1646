"""Answers to what the front end asks about a run: plain JSON, functions of a snapshot. `src/types.ts` mirrors them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowbook.core.boxes import Box, boxes, look_in, runs_of
from flowbook.core.failure import Failure, failed_first, failure_of
from flowbook.core.plain import one_line, shorten
from flowbook.core.view import WORDS, NodeView, RunView
from flowbook.errors import FlowbookError
from flowbook_widgets.failure_card import failure_json
from flowbook_widgets.messages import Json

Question = Mapping[str, Any]
Answer = Callable[[Question], Json]

#: What is known of a task run beyond its snapshot, as plain JSON.
Details = Callable[[NodeView, RunView], Json]

#: Trouble first, then what is under way; the same as in `src/table.ts`.
_ORDER = (
    *("failed", "crashed", "retrying", "running", "paused", "cancelled", "not-run", "waiting", "scheduled"),
    *("reused", "succeeded"),
)
#: So many task runs of one box are listed.
MOST_MEMBERS = 200
#: So many lines go into one answer, and so many columns into a line.
MOST_LINES, MOST_COLUMNS = 500, 4000


def log_lines(view: RunView, after: int = 0, node: str | None = None) -> Json:
    """The last lines that were logged after line number `after`, of the whole run or of the tasks of one box."""
    first = view.log_count - len(view.logs)
    logs = view.logs[max(0, after - first) :]
    if node is not None:
        box = _box(view, node)
        members = box.members if box is not None else ()
        logs = tuple(line for line in logs if line.task_run_id in members)
    lines: list[Json] = []
    for line in logs[-MOST_LINES:]:
        said: Json = {"time": line.time, "level": line.level, "message": shorten(line.message, MOST_COLUMNS)}
        task = view.nodes.get(line.task_run_id or "")
        lines.append(said if task is None else {**said, "task": shorten(one_line(task.name), 60)})
    return {"lines": lines, "seen": view.log_count}


def node_details(view: RunView, key: str, details: Details | None) -> Json:
    """What is known of the task behind a box; of a box of many, its task runs, those in trouble first."""
    box = _box(view, key)
    members = runs_of(box, view) if box is not None else []
    if len(members) != 1:
        runs = sorted(members, key=lambda node: _ORDER.index(look_in(node, view)))
        return {"members": [_member(node, view) for node in runs[:MOST_MEMBERS]], "more": len(runs[MOST_MEMBERS:])}
    return details(members[0], view) if details is not None else {}


def failure_in(view: RunView, details: Details | None) -> Failure | None:
    """Why the run failed, or is going to, if a task of it failed."""
    first = failed_first(view)
    return failure_of(view, details(first, view) if details is not None else {}) if first is not None else None


def answer_of(
    view: RunView,
    question: Question,
    *,
    details: Details | None = None,
    cancel: Callable[[], object] | None = None,
) -> Json:
    """The answer to `question`; nothing for a question that this version does not know, or that has no answer here."""
    after, node = question.get("after"), question.get("node")
    match question.get("what"):
        case "logs":
            return log_lines(view, after if isinstance(after, int) else 0, node if isinstance(node, str) else None)
        case "details" if isinstance(node, str):
            return node_details(view, node, details)
        case "failure" if (failure := failure_in(view, details)) is not None:
            return {"failure": failure_json(failure)}
        case "cancel" if cancel is not None:
            try:
                cancel()
            except FlowbookError as error:
                return {"problem": str(error)}
    return {}


def _box(view: RunView, key: str) -> Box | None:
    return next((box for box in boxes(view) if box.key == key), None)


def _member(node: NodeView, view: RunView) -> Json:
    look = look_in(node, view)
    message = node.state.message if node.state is not None else None
    said = {
        "name": shorten(one_line(node.name), 100),
        "look": look,
        "word": WORDS[look],
        "message": shorten(one_line(message), 300) if message else None,
        "started": node.started,
        "ended": node.ended,
    }
    return {key: value for key, value in said.items() if value is not None}
