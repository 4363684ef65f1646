"""``%flow run --set name=value`` where the notebook itself is the flow: its parameters are what plain cells bind."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from flowbook.core.parameters import coerce_one
from flowbook.errors import UsageError, did_you_mean
from flowbook_magics.notebook_cells import NotebookCell
from flowbook_magics.session import Session


def set_parameters(session: Session, given: Iterable[tuple[str, str]]) -> None:
    """Bind the names to the values, each as the type that it has now, as if its plain cell had been run with them.

    Raises UsageError, and then nothing is bound.
    """
    makers = {name: _maker(session, name) for name, _ in given}
    values = {name: _converted(name, text, makers[name].values[name]) for name, text in given}
    for name, value in values.items():
        makers[name].values[name] = value
        makers[name].runs += 1
        session.notebook[name] = value


def _maker(session: Session, name: str) -> NotebookCell:
    cells = session.cells
    bound = {key: cell for cell in cells if not cell.is_task for key in cell.values if key not in cell.analysis.imports}
    task = next((cell for cell in cells.tasks if name in cell.analysis.writes), None)
    if task is not None:
        raise UsageError(f"%flow run: --set cannot set {name!r}, which the task {task.label!r} makes.")
    if name not in bound:
        raise UsageError(
            f"%flow run: --set names {name!r}, which no plain cell binds.{did_you_mean(name, bound)} "
            "Bind it in a cell without %%task first, and run that cell."
        )
    maker = bound[name]
    for cell in cells:
        if not cell.is_task and cells.graph.inputs(cell.graph_id).get(name) == maker.graph_id:
            raise UsageError(
                f"%flow run: --set cannot set {name!r}, because {cell.label} has used it already and is no task, "
                "so it would not run again: put `%%task` on that cell."
            )
    return maker


def _converted(name: str, text: str, current: Any) -> Any:
    value: Any = text
    if isinstance(current, list | tuple | set | dict):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise UsageError(
                f"%flow run: --set {name}={text} is no {type(current).__name__}; write it as in Python, in quotes."
            ) from None
    return value if current is None else coerce_one(value, type(current), f"{name!r}", name)
