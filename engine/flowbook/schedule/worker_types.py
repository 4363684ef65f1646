"""What a worker does with a claimed run depends on the type of its pool. The types are entry points.

A distribution adds one with the entry point group ``flowbook.workers``; the name is the type of the pools, the object a
`WorkerType`. ``process`` is always there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flowbook.errors import UsageError, did_you_mean
from flowbook.store.queue import QueuedRun

GROUP = "flowbook.workers"


class Launched(Protocol):
    """The execution of one run, somewhere. No method but `end_at_once` waits."""

    run: QueuedRun

    def is_over(self) -> bool:
        """Whether it has ended."""

    def ended_by(self) -> str:
        """How it ended, in words, for a run that could not say so itself."""

    def ask_to_end(self) -> None:
        """Have it end, and record why."""

    def end_at_once(self) -> None:
        """End it with all that it has begun, and return when it is gone."""


class WorkerType(Protocol):
    """How workers of one type execute runs."""

    def check(self, settings: Mapping[str, Any], title: str) -> dict[str, Any]:
        """The settings of a pool, or of a deployment for it, as they are kept. Raises UsageError naming the setting."""

    def prepare(self, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Get ready what runs of the version that `manifest` describes need, so that the first need not wait for it.

        Called for a few versions when the worker starts and every few seconds; does not wait. Raises OSError.
        """

    def launch(
        self, run: QueuedRun, manifest: Mapping[str, Any], settings: Mapping[str, Any], ended: Callable[[], None]
    ) -> Launched:
        """Begin to execute a claimed run of the version that `manifest` describes.

        `ended` is called, in any thread, when that has ended. Raises OSError.
        """

    def close(self) -> None:
        """Let go of what it holds: the worker ends, and everything that was launched is over."""


def worker_type(name: str) -> WorkerType:
    """The worker type of this name. Raises UsageError if none is installed."""
    from importlib.metadata import entry_points

    if name == "process":
        from flowbook.schedule.processes import ProcessWorker

        return ProcessWorker()
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = sorted({*found, "process"})
        raise UsageError(f"There is no worker type {name!r}.{did_you_mean(name, known)} Installed: {', '.join(known)}.")
    made: WorkerType = found[name].load()()
    return made
