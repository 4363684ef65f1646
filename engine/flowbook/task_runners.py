"""Task runners: how the submitted tasks of a flow run are executed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flowbook.errors import UsageError
from flowbook.run.inline import Sequential
from flowbook.run.pool import ThreadPool
from flowbook.run.runner import Runner

__all__ = [
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "ProcessPoolTaskRunner",
    "SequentialTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
]


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


class ProcessPoolTaskRunner:
    """Tasks side by side in at most `max_workers` processes of this machine (by default one per processor).

    A task, its arguments and its result are pickled by cloudpickle, so they may be defined in a notebook or in the
    script that was started. A process is started when it is needed and ends with the flow run. It executes one task at
    a time: at its deadline it is killed, so that a timeout ends any code; if it goes away, the task run is Crashed and
    retried as others are.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise UsageError(f"max_workers is {max_workers}; a task runner needs at least 1 process.")
        self.max_workers = max_workers

    def start(self) -> Runner:
        """A runner for one flow run."""
        from flowbook.run.processes import ProcessPool
        from flowbook.settings import current_settings

        return ProcessPool(self.max_workers or _processors(), current_settings().task_workers)

    def __repr__(self) -> str:
        return f"ProcessPoolTaskRunner(max_workers={self.max_workers})"


class DaskTaskRunner:
    """Tasks on the workers of a Dask cluster, as many side by side as those have threads.

    Which cluster: the `cluster` that is given, the one whose scheduler is at `address`, or one that is started for the
    flow run and closed after it: ``cluster_class(**cluster_kwargs)``, a ``distributed.LocalCluster`` by default.
    `adapt_kwargs` makes it grow and shrink (``cluster.adapt``); `client_kwargs` is for ``distributed.Client``. It needs
    ``pip install "flowbook[dask]"``, and flowbook on the workers.
    """

    def __init__(
        self,
        cluster: Any = None,
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if sum(given is not None for given in (cluster, address, cluster_class or cluster_kwargs)) > 1:
            raise UsageError(
                "DaskTaskRunner takes one of the three: a cluster, an address, or a cluster_class with cluster_kwargs."
            )
        if address is not None and adapt_kwargs:
            raise UsageError("adapt_kwargs needs a cluster: whoever started the one at an address says how it grows.")
        self.cluster = cluster
        self.address = address
        self.cluster_class = cluster_class
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = dict(adapt_kwargs or {})
        self.client_kwargs = dict(client_kwargs or {})

    def start(self) -> Runner:
        """A runner for one flow run; it connects when the first task is submitted. Raises UsageError without Dask."""
        from flowbook.run.dask import DaskPool, Target, check_usable
        from flowbook.settings import current_settings

        check_usable()
        return DaskPool(Target(**vars(self)), current_settings().task_workers)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"DaskTaskRunner({given})"


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
