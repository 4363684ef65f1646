"""The sentences that every form of the report has."""

from __future__ import annotations

from flowbook.core.comparison.records import (
    CellPair,
    Comparison,
    PictureChange,
    Side,
    TableChange,
    TaskFace,
    TextChange,
)
from flowbook.core.plain import duration_text, one_line
from flowbook.core.text import sentence


def heading(side: Side) -> str:
    """``Run 4 · calm-otter · flow 'report' · deployment 'daily', version 2``."""
    deployed = "" if side.deployment is None else f" · deployment {side.deployment!r}"
    version = "" if side.version is None else f", version {side.version}"
    view = side.view
    return one_line(f"{side.title.capitalize()} · {view.name} · flow {view.flow!r}{deployed}{version}")


def ending(side: Side) -> str:
    """What became of the run."""
    return sentence(side.view)


def verdict(found: Comparison) -> str:
    """Whether the runs differ, and in how many respects."""
    if found.is_same:
        return "Nothing is different but times."
    outputs = sum(len(cell.outputs) for cell in found.cells)
    code = sum(cell.code is not None for cell in found.cells)
    counts = (
        (len(found.parameters), "parameter"),
        (len(found.changed_tasks), "task"),
        (code, "cell's code" if code == 1 else "cells' code"),
        (outputs, "output"),
    )
    parts = [f"{n} {noun}{'' if n == 1 or noun.endswith('code') else 's'}" for n, noun in counts if n]
    parts += [title for title, change in (("the program", found.program), ("the log", found.log)) if change]
    return f"Different: {', '.join(parts)}." if parts else "Different."


def same_cells(found: Comparison) -> str:
    """How many cells are not shown; empty if all are."""
    n = len(found.cells) - len(found.changed_cells)
    return "" if not n else "1 cell is the same." if n == 1 else f"{n} cells are the same."


def cell_heading(cell: CellPair, found: Comparison) -> str:
    """``Cell 3 · print(city)``, and where it stands if that changed."""
    where = f"Cell {cell.after or cell.before}"
    if cell.before is None or cell.after is None:
        where += f" (only in {(found.after if cell.before is None else found.before).title})"
    elif cell.before != cell.after:
        where += f" (cell {cell.before} in {found.before.title})"
    return f"{where} · {cell.about}"


def output_heading(title: str, what: TextChange | TableChange | PictureChange) -> str:
    """What kind of output it is, and how much of it changed."""
    if isinstance(what, PictureChange):
        return f"{title}: {_of_picture(what)}"
    if isinstance(what, TableChange):
        counts = [
            (sum(row.change == "added" for row in what.rows), "{} added"),
            (sum(row.change == "removed" for row in what.rows), "{} removed"),
            (sum(row.change == "changed" for row in what.rows), "{} changed"),
        ]
        rows = ", ".join(form.format(_number(n, "row")) for n, form in counts if n)
        more = f", {what.left_out} more different" if what.left_out else ""
        return f"{title}: {rows or 'the same cells'}{more}, {what.same_rows} the same"
    return title


def shown_task(task: TaskFace | None) -> str:
    """``Succeeded 1.2 s``; a dash for a task that is not part of the run."""
    if task is None:
        return "-"
    took = "" if task.duration is None else f" {duration_text(task.duration)}"
    return f"{task.word}{took}" + (f" ({task.note})" if task.note else "")


def _of_picture(change: PictureChange) -> str:
    if change.before is None:
        return "only in the second run"
    if change.after is None:
        return "only in the first run"
    if (found := change.pixels) is None:
        return f"of two sizes, {change.sizes}" if change.sizes else "not the same"
    return f"{found.changed:,} of {found.total:,} pixels differ ({_percent(found.changed / found.total)})"


def _percent(part: float) -> str:
    return "less than 0.1 %" if part < 0.001 else f"{100 * part:.1f} %"


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
