"""What is noted of the task runs of a flow run as they end: where they failed, and of functions their values in short.

Cells keep their values; of a function nothing is left when it has ended. However large the run, only so much is noted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flowbook.core.jsonable import to_json_value
from flowbook.core.plain import one_line, shorten
from flowbook_magics.outputs import of_user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbook.core.states import State
    from flowbook.run.task_execution import TaskExecution

#: Of so many task runs, the first of each kind.
MOST_COMPLETED, MOST_FAILED = 200, 100
#: Of so many the error itself, whose frames keep what their variables hold.
MOST_ERRORS = 20
_MOST_VALUES, _MOST_COLUMNS = 30, 160
_log = logging.getLogger(__name__)


class TaskNotes:
    """The notes of one flow run, by the ids of its task runs, as plain JSON. Secrets never appear."""

    def __init__(self, shell: Any) -> None:
        self.errors: dict[str, BaseException] = {}
        """What task runs failed with, with the frames as they were left."""
        self._shell = shell
        self._completed: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, dict[str, Any]] = {}

    def of(self, task_run_id: str) -> dict[str, Any]:
        """What was noted; nothing for a run that has not ended, or that was one too many."""
        return self._failed.get(task_run_id) or self._completed.get(task_run_id) or {}

    def take(self, run: TaskExecution, state: State) -> None:
        """Note what is known of a task run that has ended in `state`. Called in the thread that executes it."""
        failed = state.is_failed() or state.is_crashed()
        notes, most = (self._failed, MOST_FAILED) if failed else (self._completed, MOST_COMPLETED)
        if len(notes) >= most or not (failed or (state.is_completed() and run.work.cell is None)):
            return
        if isinstance(state.data, BaseException) and len(self.errors) < MOST_ERRORS:
            self.errors[run.id] = state.data
        try:
            notes[run.id] = self._noted(run, state)
        except Exception:  # a value that cannot be described, say: the run counts, not what is noted of it
            _log.debug("Nothing could be noted of a task run.", exc_info=True)

    def _noted(self, run: TaskExecution, state: State) -> dict[str, Any]:
        found: dict[str, Any] = {"attempts": len(run.work.rules.delays) + 1}
        if run.work.cell is None:
            found["inputs"] = listed(run.parameters)
        if isinstance(state.data, BaseException):
            from flowbook_magics.tracebacks import frames_of

            frames = frames_of(self._shell, state.data, of_user(state.data))
            found["frames"] = [{"where": f.where, "code": f.code, "own": f.own} for f in frames]
        elif state.is_completed():
            found["result"] = listed({"returned": state.data})
        return found


def listed(values: Mapping[str, Any]) -> list[list[str]]:
    """Names and values, each in one short line."""
    return [[name, brief(value)] for name, value in list(values.items())[:_MOST_VALUES]]


def brief(value: Any) -> str:
    """A value in one short line."""
    plain = to_json_value(value, 2)
    # what stands for an object, such as <DataFrame 100x5>, is no text of the user's
    said = plain if isinstance(plain, str) and not isinstance(value, str) else repr(plain)
    return shorten(one_line(said), _MOST_COLUMNS)
