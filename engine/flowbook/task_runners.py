"""Task runners: how the submitted tasks of a flow run are executed."""

from __future__ import annotations

from typing import Protocol

from flowbook.errors import UsageError
from flowbook.run.inline import Sequential
from flowbook.run.pool import ThreadPool
from flowbook.run.runner import Runner

__all__ = ["ConcurrentTaskRunner", "SequentialTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"]


class TaskRunner(Protocol):
    """A way to execute the tasks of flow runs; `start` gives a flow run a runner of its own."""

    def start(self) -> Runner:
        """A runner for one flow run."""


class SequentialTaskRunner:
    """One task after the other, in the thread of the flow: ``.submit()`` returns when the task has ended."""

    def start(self) -> Runner:
        """A runner for one flow run."""
        return Sequential()

    def __repr__(self) -> str:
        return "SequentialTaskRunner()"


class ThreadPoolTaskRunner:
    """Tasks side by side in at most `max_workers` threads (by default the setting ``FLOWBOOK_TASK_WORKERS``)."""

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise UsageError(f"max_workers is {max_workers}; a task runner needs at least 1 thread.")
        self.max_workers = max_workers

    def start(self) -> Runner:
        """A runner for one flow run."""
        if self.max_workers is not None:
            return ThreadPool(self.max_workers)
        from flowbook.settings import current_settings

        return ThreadPool(current_settings().task_workers)

    def __repr__(self) -> str:
        return f"ThreadPoolTaskRunner(max_workers={self.max_workers})"


ConcurrentTaskRunner = ThreadPoolTaskRunner
