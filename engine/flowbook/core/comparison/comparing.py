"""Everything that is different between two runs."""

from __future__ import annotations

from flowbook.core.comparison.cells import cell_pairs
from flowbook.core.comparison.lines import steady, text_change
from flowbook.core.comparison.records import Comparison, ParameterChange, Side, TextChange
from flowbook.core.comparison.tasks import task_pairs
from flowbook.core.plain import one_line, shorten
from flowbook.core.view import WORDS, RunView

_LONGEST_VALUE = 200  # columns


def compare(before: Side, after: Side) -> Comparison:
    """Compare two runs that have ended.

    Where both kept an executed notebook its cells are compared, else what the runs logged last.
    """
    both = before.notebook is not None and after.notebook is not None
    return Comparison(
        before=before,
        after=after,
        said=tuple(_said(before, after)),
        parameters=tuple(_parameters(before, after)),
        tasks=tuple(task_pairs(before.view, after.view)),
        cells=tuple(cell_pairs(before.notebook or {}, after.notebook or {})) if both else (),
        program=_program(before, after),
        log=None if both else text_change(_log(before.view), _log(after.view)),
    )


def _said(before: Side, after: Side) -> list[str]:
    said = []
    if before.view.flow != after.view.flow:
        said.append(f"They are runs of two flows, {before.view.flow!r} and {after.view.flow!r}.")
    if before.view.look != after.view.look:
        old, new = WORDS[before.view.look], WORDS[after.view.look]
        said.append(f"{before.title.capitalize()} ended as {old}, {after.title} as {new}.")
    elif before.view.look in ("failed", "crashed") and _message(before.view) != _message(after.view):
        said.append(f"{WORDS[after.view.look]} with another message: {_message(before.view)} → {_message(after.view)}")
    if (before.notebook is None) != (after.notebook is None):
        lacking = before if before.notebook is None else after
        said.append(f"{lacking.title.capitalize()} has no executed notebook, so cells and outputs are not compared.")
    return said


def _message(view: RunView) -> str:
    text = view.state.message if view.state is not None else None
    return shorten(one_line(steady(text or "no message")), _LONGEST_VALUE)


def _program(before: Side, after: Side) -> TextChange | None:
    if before.source is None or after.source is None:
        return None
    return text_change(before.source, after.source)


def _parameters(before: Side, after: Side) -> list[ParameterChange]:
    """The parameters whose values differ, also where one of them, or both, are defaults."""
    names = dict.fromkeys(name for side in (before, after) for name in (*side.view.parameters, *side.defaults))
    return [
        ParameterChange(name=name, before=_shown(before, name), after=_shown(after, name))
        for name in names
        if _value(before, name) != _value(after, name)
    ]


def _value(side: Side, name: str) -> str | None:
    """The value as Python writes it; None if the run has none."""
    given = side.view.parameters
    return repr(given[name]) if name in given else side.defaults.get(name)


def _shown(side: Side, name: str) -> str | None:
    value = _value(side, name)
    if value is None:
        return None
    return shorten(one_line(value), _LONGEST_VALUE) + ("" if name in side.view.parameters else " (default)")


def _log(view: RunView) -> str:
    """The last log lines, those of each task together: tasks that run side by side log in any order."""
    names = {node.id: node.name for node in view.nodes.values()}
    by_task: dict[str, list[str]] = {}
    for line in view.logs:
        task = names.get(line.task_run_id or "", "")
        said = line.message.replace(view.name, "…") if view.name else line.message
        by_task.setdefault(task, []).append(f"{line.level} {task or view.flow}: {said}")
    return "\n".join(line for task in sorted(by_task) for line in by_task[task])
