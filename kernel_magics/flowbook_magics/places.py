"""The runner of cells: each task run is executed where its cell says, most of them in the kernel's own threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Self

from flowbook import engine
from flowbook.run.future import Future
from flowbook.run.pool import ThreadPool
from flowbook.run.runner import Runner
from flowbook.run.task_execution import TaskExecution
from flowbook.task_runners import DaskTaskRunner, ProcessPoolTaskRunner


class Places:
    """Executes task runs in the place of their work; processes and clusters are started when one needs them.

    In each place at most `max_parallel` run at the same time, or as many as are usual there.
    """

    def __init__(self, max_parallel: int | None = None) -> None:
        self._max = max_parallel
        self._threads = ThreadPool(max_parallel or engine.engine().settings.task_workers)
        self._others: dict[str, Runner] = {}
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.close(error)

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        """Execute `run` once all of `after` have ended."""
        self._runner(run.work.place).submit(run, after)

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended, and the processes are gone; see `Runner.close`."""
        try:
            self._threads.close(error)  # first: a mapped cell that is executed there submits to the others
        finally:
            others, self._others = self._others, {}
            for runner in others.values():
                runner.close(error)

    def _runner(self, place: str) -> Runner:
        if place == "threads":
            return self._threads
        with self._starting:
            if place not in self._others:
                self._others[place] = _started(place, self._max)
            return self._others[place]


def _started(place: str, most: int | None) -> Runner:
    if place == "processes":
        return ProcessPoolTaskRunner(most).start()
    limits = {} if most is None else {"n_workers": most, "threads_per_worker": 1}
    return DaskTaskRunner(cluster_kwargs=limits).start()
