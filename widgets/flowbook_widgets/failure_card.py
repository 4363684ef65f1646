"""The failure card: as JSON for the live view, and as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from html import escape

from flowbook.core.failure import Failure, Frame, log_text, names_not_run, one_line_each
from flowbook_widgets.actions import Action
from flowbook_widgets.messages import Json

#: As high as a target for a pointer has to be (WCAG 2.5.8), with the line heights of common pages.
_TARGET = "padding: 4px 0"
_EDGE = "border-left: 3px solid #d32f2f; padding-left: 8px"


def failure_json(failure: Failure) -> Json:
    """What `src/types.ts` calls Failure."""
    said = asdict(failure)
    said["title"], said["source"] = failure.title, failure.source
    said["not_run"] = names_not_run(failure)
    return said


def failure_html(failure: Failure, actions: Iterable[Action] = ()) -> str:
    """The card, with the code that does each of the actions; front ends that can offer buttons put them there."""
    message = "\n".join(one_line_each(failure.message))
    parts = [f"<div><strong>{escape(failure.title)}</strong></div>"]
    parts += _code(message), _code(f"> {failure.source}" if failure.source else "")
    if failure.inputs:
        values = "  ".join(f"{name}={text}" for name, text in failure.inputs)
        parts.append(f"<div>Inputs <code>{escape(values)}</code></div>")
    if failure.last_success:
        parts.append(f"<div>Last success: {escape(failure.last_success)}</div>")
    if failure.not_run:
        parts.append(f"<div>Not run: {escape(names_not_run(failure))}</div>")
    parts.append(_ways(actions))
    if failure.log:
        parts.append(_fold(_title_of_log(failure), "\n".join(log_text(line) for line in failure.log)))
    if failure.frames:
        parts.append(_fold("Traceback, the last call last", _traceback(failure.own)))
    if len(failure.own) < len(failure.frames):
        parts.append(_fold(f"All {len(failure.frames)} frames", _traceback(failure.frames)))
    return f'<div class="flowbook-failure" style="{_EDGE}">{"".join(parts)}</div>'


def _title_of_log(failure: Failure) -> str:
    n = len(failure.log)
    return "Log (its last line)" if n == 1 else f"Log (its last {n} lines)"


def _ways(actions: Iterable[Action]) -> str:
    said = [
        f"{escape(each.label)}: {f'<code>{escape(each.code)}</code>' if each.code else escape(each.problem)}"
        for each in actions
    ]
    return f'<div class="flowbook-ways">{"<br>".join(said)}</div>' if said else ""


def _traceback(frames: Iterable[Frame]) -> str:
    return "\n".join(f"{frame.where}\n    {frame.code}".rstrip() for frame in frames)


def _code(text: str) -> str:
    return f"<pre>{escape(text)}</pre>" if text else ""


def _fold(title: str, text: str) -> str:
    return f'<details><summary style="{_TARGET}">{escape(title)}</summary>{_code(text)}</details>'
