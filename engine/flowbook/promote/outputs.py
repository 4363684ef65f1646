"""Outputs of a cell as they are stored: streams in one piece, and not endless."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Characters of one stream, and outputs of one cell, that are kept.
MOST_TEXT = 1_000_000
MOST_OUTPUTS = 2_000

_NOTE = "\n… flowbook left out the rest of this output.\n"
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")


def add_output(outputs: list[NotebookNode], output: NotebookNode) -> None:
    """Append `output`, or join it to the stream that comes last. An error is always kept."""
    stream = output["name"] if output["output_type"] == "stream" else None
    if is_left_out(outputs, output["output_type"], stream):
        return
    if not _continues(outputs, stream):
        is_kept = len(outputs) < MOST_OUTPUTS or output["output_type"] == "error"
        outputs.append(output if is_kept else _note(output))
        if stream is None or not is_kept:
            return
        last, text = output, output["text"]
    else:
        last = outputs[-1]
        text = last["text"] + output["text"]
    # A progress bar writes over its line: only what it wrote last is kept, as a terminal shows it.
    text = _OVERWRITTEN.sub("", text.replace("\r\n", "\n")) if "\r" in text else text
    last["text"] = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + _NOTE


def is_left_out(outputs: list[NotebookNode], kind: str, stream: str | None) -> bool:
    """Whether an output of this `kind`, on this `stream`, would be left out: there is a note of that already."""
    if _continues(outputs, stream):
        return bool(outputs[-1]["text"].endswith(_NOTE))
    return kind != "error" and len(outputs) > MOST_OUTPUTS


def _continues(outputs: list[NotebookNode], stream: str | None) -> bool:
    return bool(stream and outputs and outputs[-1]["output_type"] == "stream" and outputs[-1]["name"] == stream)


def _note(like: Any) -> NotebookNode:
    kind = type(like)
    note: NotebookNode = kind(output_type="stream", name="stderr", text=_NOTE)
    return note
