"""A comparison in plain text, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from flowbook.core.comparison import words
from flowbook.core.comparison.records import Comparison, PictureChange, TableChange, TableRow, TaskPair, TextChange
from flowbook.core.plain import one_line, pad, shorten, text_width

__all__ = ["WIDTH", "report"]

#: No line is wider, in terminal columns.
WIDTH = 80
_MOST_ROWS = 20  # of a table
_MOST_PARTS = 6  # lines that one line of a diff takes
_NAME = 32  # columns of a task's name


def report(found: Comparison) -> str:
    """What is different, the whole before the parts."""
    parts = [[*_about(found)]]
    if found.parameters:
        parts.append(["Parameters", *_parameters(found)])
    if found.tasks:
        parts.append(_tasks(found))
    if found.program is not None:
        parts.append(["Program", *_diff(found.program)])
    parts += [_cell(found, number) for number in range(len(found.changed_cells))]
    if said := words.same_cells(found):
        parts.append([said])
    if found.log is not None:
        parts.append(["Log", *_diff(found.log)])
    return "\n\n".join("\n".join(shorten(line, WIDTH) for line in part) for part in parts)


def _about(found: Comparison) -> Iterable[str]:
    for side in found.sides:
        yield from _wrapped(words.heading(side))
        yield from _wrapped(words.ending(side), "  ")
    yield ""
    for said in (words.verdict(found), *found.said):
        yield from _wrapped(said)


def _parameters(found: Comparison) -> Iterable[str]:
    for each in found.parameters:
        name = one_line(each.name)
        old, new = (value if value is not None else "(not given)" for value in (each.before, each.after))
        line = f"  {name}: {old} → {new}"
        yield from [line] if text_width(line) <= WIDTH else [f"  {name}:", f"    - {old}", f"    + {new}"]


def _tasks(found: Comparison) -> list[str]:
    """A table; what ended in another way is marked."""
    rows = [("Task", found.before.title.capitalize(), found.after.title.capitalize())]
    rows += [_task(task) for task in found.tasks]
    widths = [max(text_width(row[column]) for row in rows) for column in range(2)]
    marks = ["  ", *("* " if task.is_changed else "  " for task in found.tasks)]
    return [
        f"{mark}{pad(name, widths[0])}  {pad(old, widths[1])}  {new}".rstrip()
        for mark, (name, old, new) in zip(marks, rows, strict=True)
    ]


def _task(task: TaskPair) -> tuple[str, str, str]:
    return shorten(one_line(task.name), _NAME), words.shown_task(task.before), words.shown_task(task.after)


def _cell(found: Comparison, number: int) -> list[str]:
    cell = found.changed_cells[number]
    lines = [words.cell_heading(cell, found)]
    if cell.code is not None:
        lines += ["  code", *_diff(cell.code)]
    for output in cell.outputs:
        lines.append(f"  {words.output_heading(output.title, output.what)}")
        if isinstance(output.what, TextChange):
            lines += _diff(output.what)
        elif isinstance(output.what, TableChange):
            lines += _table(output.what)
        elif isinstance(output.what, PictureChange):
            continue  # the heading says all that can be said of a picture
    return lines


def _diff(change: TextChange) -> list[str]:
    """The lines of a diff; long ones go on below, as it may be their ends that differ."""
    lines = [part for line in change.lines for part in _wrapped_line(one_line(line))]
    return lines + ([f"    … and {change.left_out} more lines"] if change.left_out else [])


def _wrapped_line(line: str) -> list[str]:
    width = WIDTH - 8
    parts = [line[at : at + width] for at in range(0, min(len(line), width * _MOST_PARTS), width)] or [""]
    return [("    " if i == 0 else "      ") + part for i, part in enumerate(parts)]


def _table(change: TableChange) -> list[str]:
    lines = [f"    {one_line(said)}" for said in change.said]
    for row in change.rows[:_MOST_ROWS]:
        lines += _wrapped(_row(row, change.heads), "    ", "      ")
    left = len(change.rows) - _MOST_ROWS + change.left_out
    return lines + ([f"    … and {left} more rows"] if left > 0 else [])


def _row(row: TableRow, heads: Sequence[str]) -> str:
    titles = heads[len(heads) - len(row.cells) :]
    sign = {"added": "+", "removed": "-", "changed": " "}[row.change]
    named = list(zip(titles, row.cells, strict=True))
    if row.change == "changed":
        cells = [f"{title}: {old or '(empty)'} → {new or '(empty)'}" for title, (old, new) in named if old != new]
    else:
        cells = [f"{title}: {text}" for title, (old, new) in named if (text := new if old is None else old) is not None]
    return one_line(f"{sign} row {' / '.join(row.label)} · {', '.join(cells)}")


def _wrapped(text: str, lead: str = "", later: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=lead if later is None else later)
