"""What this kernel knows of the tasks of a flow run beyond its record: values, tracebacks, why a task ran."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowbook.core.boxes import look_in
from flowbook.core.plain import duration_text
from flowbook.core.view import NodeView, RunView
from flowbook_magics.freshness import stale_tasks
from flowbook_magics.notebook_cells import NotebookCell
from flowbook_magics.session import flow_name, notebook_path
from flowbook_magics.task_notes import TaskNotes, listed
from flowbook_magics.values import inputs_of

if TYPE_CHECKING:
    from flowbook_magics.session import Session


class RunDetails:
    """Details of the task runs of one flow run. Make it before the run begins: it notes why tasks are going to run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._why = stale_tasks(session.cells)
        self.notes = session.notes = TaskNotes(session.shell)

    def of(self, node: NodeView, view: RunView) -> dict[str, Any]:
        """What is known of a task run, as plain JSON. Secrets never appear."""
        cell = self._cell(node)
        look = look_in(node, view)
        facts = [("Usually takes", _usually(node, view.id)), ("Why it ran", self._reason(node, look))]
        found: dict[str, Any] = {"facts": [[title, text] for title, text in facts if text], **self.notes.of(node.id)}
        if cell is not None:
            found["inputs"] = listed(inputs_of(self._session.cells, cell, self._session.notebook))
            if look in ("succeeded", "reused"):
                found["result"] = listed(cell.values)
            found["attempts"] = cell.options.retries + 1
        if look in ("failed", "crashed") and (said := _last_success(node, view)):
            found["last_success"] = said
        return found

    def _cell(self, node: NodeView) -> NotebookCell | None:
        return next((cell for cell in self._session.cells.tasks if cell.graph_id == node.cell), None)

    def _reason(self, node: NodeView, look: str) -> str:
        """Why the task was not reused."""
        return "" if look in ("reused", "not-run") else self._why.get(node.cell or "", "")


def _usually(node: NodeView, flow_run_id: str) -> str:
    from flowbook.runs import usual_duration

    usual, n = usual_duration(node.key, but=flow_run_id)
    runs = "1 earlier run" if n == 1 else f"{n} earlier runs"
    return "" if usual is None else f"{duration_text(usual)} (median of {runs})"


def _last_success(node: NodeView, view: RunView) -> str:
    from flowbook.runs import last_success

    if notebook_path() is None and view.flow == flow_name():
        return ""  # other notebooks whose files are not known are flows of this name, too
    found = last_success(view.flow, node.key, but=view.id)
    return f"run {found[0]}, {datetime.fromtimestamp(found[1]).astimezone():%Y-%m-%d %H:%M %Z}" if found else ""
