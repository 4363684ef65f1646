"""The line that makes a task of a cell, brought to where IPython looks for it.

``#| task …`` is the same as ``%%task …``, but plain Python to every other tool. Comments may stand above either.
"""

from __future__ import annotations

from flowbook.cells.cell_lines import marked_line


def comment_to_magic(lines: list[str]) -> list[str]:
    """An input transformer of IPython: the lines of a cell, a task's or flow's own line first and as a magic."""
    marked = marked_line("".join(lines))
    if marked is None or (marked.number == 0 and lines[0].startswith("%%") and len(lines) > 1):
        return lines
    body = [*lines[: marked.number], *lines[marked.number + 1 :]]
    # IPython refuses a cell magic without a body in words of its own: an empty line gives ours the word.
    return [f"%%{marked.kind}{marked.rest}\n", *(body or ["\n"])]
