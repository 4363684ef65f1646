"""What a task runner is to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.run.future import Future

if TYPE_CHECKING:
    from flowbook.run.task_execution import TaskExecution


class Runner(Protocol):
    """Executes the submitted task runs of one flow run."""

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        """Execute `run` once all of `after` have ended; returns at once (or when it is done, if sequential)."""

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended.

        If the flow ended with `error`, what has not begun is cancelled; if that is an interrupt, what runs is
        interrupted too. The runner may be used again afterwards (by the flow's next attempt).
        """
