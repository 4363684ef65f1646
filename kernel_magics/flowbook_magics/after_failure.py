"""What a person can do about a flow run of the notebook that has failed: the buttons of its card."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from flowbook.core.failure import failed_first
from flowbook.errors import FlowbookError
from flowbook_magics.selection import Wanted, select
from flowbook_widgets import Action

if TYPE_CHECKING:
    from flowbook.core.view import RunView
    from flowbook_magics.session import Session


def actions(session: Session, view: RunView, *, flow: str | None) -> tuple[Action, ...]:
    """To run again from the task that failed, and to look into it; `flow` names a flow that is made of functions."""
    first = failed_first(view)
    if first is None:
        return ()
    return _rerun(session, flow), _debug(first.name)


def is_last(shell: Any, run_id: str) -> bool:
    """Whether the last flow run of the notebook in this kernel is this one: the buttons are about that."""
    magics = shell.magics_manager.registry.get("FlowbookMagics")
    return magics is not None and magics.session.last_run == run_id


def _rerun(session: Session, flow: str | None) -> Action:
    label = "Rerun from here"
    if flow is not None:
        again = f"`%flow run {shlex.quote(flow)}`"
        return Action(label=label, key="R", problem=f"a flow made of functions runs as a whole, by {again}")
    try:
        selection = select(session, Wanted(from_failed=True))
    except FlowbookError as error:
        return Action(label=label, key="R", problem=str(error))
    n, total = len(selection.run), len(session.cells.tasks)
    return Action(label=f"{label} ({n} of {total})", key="R", code="%flow run --from-failed")


def _debug(task: str) -> Action:
    return Action(label="Debug here", key="d", code=f"%flow debug last {shlex.quote(task)}")
