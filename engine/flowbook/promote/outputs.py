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
    """Append `output`, or join it to the stream that comes last."""
    if output["output_type"] != "stream":
        if len(outputs) < MOST_OUTPUTS:
            outputs.append(output)
        elif len(outputs) == MOST_OUTPUTS:
            outputs.append(_note(output))
        return
    last = outputs[-1] if outputs else None
    if last is None or last["output_type"] != "stream" or last["name"] != output["name"]:
        if len(outputs) < MOST_OUTPUTS:
            outputs.append(output)
        last, text = output, output["text"]
    elif last["text"].endswith(_NOTE):
        return
    else:
        text = last["text"] + output["text"]
    # A progress bar writes over its line: only what it wrote last is kept, as a terminal shows it.
    text = _OVERWRITTEN.sub("", text.replace("\r\n", "\n")) if "\r" in text else text
    last["text"] = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + _NOTE


def _note(like: Any) -> NotebookNode:
    kind = type(like)
    note: NotebookNode = kind(output_type="stream", name="stderr", text=_NOTE)
    return note
