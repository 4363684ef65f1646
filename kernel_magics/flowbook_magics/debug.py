"""``%flow debug``: what a task run of any process was given, and how it failed, brought into the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.core.view import NodeView, RunView
from flowbook.errors import CellError
from flowbook.post_mortem import FailedCall, MissingResult, failed_call
from flowbook.runs import RunSummary, find_run, run_view
from flowbook_magics import outputs
from flowbook_magics.reports import check_task
from flowbook_magics.tables import Text

if TYPE_CHECKING:
    from flowbook_magics.session import Session


def debug(session: Session, run: str, task: str | None = None) -> Text:
    """Show the traceback of a task run that failed (of `run` the first one, or that of `task`), and bind its inputs.

    Raises NotFound for an unknown run or task, and CellError where there is nothing to debug.
    """
    found = find_run(run)
    view = run_view(found.id)
    node = _failed(found, view, task)
    kept = _kept(found, node)
    live = session.notes.errors.get(node.id)
    outputs.show_error(session.shell, live or kept.error)
    session.notebook.update(kept.inputs)
    return Text(_said(found, node, kept, has_frames=live is not None))


def _failed(run: RunSummary, view: RunView, task: str | None) -> NodeView:
    """The task run that is meant. Of a mapped task it is the element that failed first."""
    check_task(view, task)
    broken = sorted(
        (node for node in view.nodes.values() if node.look in ("failed", "crashed")), key=lambda node: node.ended or 0.0
    )
    if task is not None:
        meant = {node.id for node in view.nodes.values() if node.name == task}
        broken = [node for node in broken if node.id in meant or node.mapped_by in meant]
    if not broken:
        what = f"No task of run {run.number}" if task is None else f"Task {task!r} of run {run.number}"
        raise CellError(f"{what} {'has' if task is None else 'has not'} failed, so there is nothing to debug.")
    return next((node for node in broken if node.mapped_by == broken[0].id), broken[0])


def _kept(run: RunSummary, node: NodeView) -> FailedCall:
    try:
        kept = failed_call(node.id)
    except MissingResult as error:
        raise CellError(f"What task {node.name!r} of run {run.number} was given cannot be read: {error}") from None
    if kept is None:
        raise CellError(
            f"Nothing is kept of {node.name!r} of run {run.number}: inputs are kept of the first tasks that fail in "
            f"their code, not of plain cells and of processes that died. See `%logs --run {run.number}`."
        )
    return kept


def _said(run: RunSummary, node: NodeView, kept: FailedCall, *, has_frames: bool) -> str:
    where = f"in run {run.number} of {run.flow}"
    lines = [f"{node.name} was given nothing {where}."]
    if kept.inputs:
        lines = [f"Bound here as {node.name} had them {where}: {', '.join(kept.inputs)}."]
    lines += [f"{name} was not kept: {why}." for name, why in kept.left_out.items()]
    if has_frames:
        lines.append("`%debug` opens the frames.")
    return "\n".join(lines)
