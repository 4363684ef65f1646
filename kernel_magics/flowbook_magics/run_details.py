"""What this kernel knows of the tasks of a flow run beyond its record: values, tracebacks, why a task ran."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowbook.core.boxes import look_in
from flowbook.core.failure import Frame
from flowbook.core.jsonable import to_json_value
from flowbook.core.plain import duration_text, one_line, shorten
from flowbook.core.view import NodeView, RunView
from flowbook_magics.freshness import stale_tasks
from flowbook_magics.notebook_cells import NotebookCell
from flowbook_magics.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from flowbook_magics.session import Session

_MOST_VALUES, _MOST_FRAMES, _MOST_COLUMNS = 30, 40, 160
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class RunDetails:
    """Details of the task runs of one flow run. Make it before the run begins: it notes why tasks are going to run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._why = stale_tasks(session.cells)

    def of(self, node: NodeView, view: RunView) -> dict[str, Any]:
        """What is known of a task run, as plain JSON. Secrets never appear."""
        cell = self._cell(node)
        look = look_in(node, view)
        facts = [("Usually takes", _usually(node, view.id)), ("Why it ran", self._reason(node, look))]
        found: dict[str, Any] = {"facts": [[title, text] for title, text in facts if text]}
        if cell is not None:
            found["inputs"] = _listed(inputs_of(self._session.cells, cell, self._session.notebook))
            if look in ("succeeded", "reused"):
                found["result"] = _listed(cell.values)
            found["attempts"] = cell.options.retries + 1
        if look in ("failed", "crashed") and (said := _last_success(node, view)):
            found["last_success"] = said
        frames = self._session.traces.get(node.id, ())
        if frames:
            found["frames"] = [{"where": f.where, "code": f.code, "own": f.own} for f in frames]
        return found

    def _cell(self, node: NodeView) -> NotebookCell | None:
        return next((cell for cell in self._session.cells.tasks if cell.graph_id == node.cell), None)

    def _reason(self, node: NodeView, look: str) -> str:
        """Why the task was not reused."""
        return "" if look in ("reused", "not-run") else self._why.get(node.cell or "", "")


def frames_of(shell: Any, error: BaseException, tb: TracebackType | None) -> tuple[Frame, ...]:
    """The traceback of an error as it happened, the innermost line last."""
    found = traceback.extract_tb(tb, limit=-_MOST_FRAMES)
    return tuple(_frame(shell, summary) for summary in found)


def brief(value: Any) -> str:
    """A value in one short line."""
    plain = to_json_value(value, 2)
    # what stands for an object, such as <DataFrame 100x5>, is no text of the user's
    said = plain if isinstance(plain, str) and not isinstance(value, str) else repr(plain)
    return shorten(one_line(said), _MOST_COLUMNS)


def _listed(values: Mapping[str, Any]) -> list[list[str]]:
    return [[name, brief(value)] for name, value in list(values.items())[:_MOST_VALUES]]


def _usually(node: NodeView, flow_run_id: str) -> str:
    from flowbook.runs import usual_duration

    usual, n = usual_duration(node.key, but=flow_run_id)
    runs = "1 earlier run" if n == 1 else f"{n} earlier runs"
    return "" if usual is None else f"{duration_text(usual)} (median of {runs})"


def _last_success(node: NodeView, view: RunView) -> str:
    from flowbook.runs import last_success

    found = last_success(view.flow, node.key, but=view.id)
    return f"run {found[0]}, {datetime.fromtimestamp(found[1]).astimezone():%Y-%m-%d %H:%M %Z}" if found else ""


def _frame(shell: Any, summary: traceback.FrameSummary) -> Frame:
    compiled = getattr(shell.compile, "format_code_name", lambda _: None)(summary.filename)
    where = f"cell {compiled[1]}" if compiled else summary.filename
    name = "" if summary.name == "<module>" else f" in {summary.name}"
    code = linecache.getline(summary.filename, summary.lineno or 0).strip()
    own = bool(compiled) or not summary.filename.startswith((*_LIBRARIES, sys.base_prefix, "<"))
    return Frame(where=f"{where}, line {summary.lineno}{name}", code=shorten(one_line(code), _MOST_COLUMNS), own=own)
