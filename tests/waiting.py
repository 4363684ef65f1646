"""Waiting for what other processes do, and for their end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from flowbook.runs import recent_runs

#: Seconds that a machine at work may need for what takes a moment, and that lasts what a test sees cut short.
WITHIN = 60.0
#: Seconds after which it was not cut short. How fast flowbook is, the benchmarks tell.
CUT_SHORT = 25.0


def until(condition: Callable[[], Any], within: float = WITHIN) -> Any:
    """What `condition` returns once it is true, after `within` seconds at the latest."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s; runs: {[(run.name, run.state_name) for run in recent_runs()]}")


class NativeCode:
    """Code outside of Python, in which nothing reaches a thread until a test lets it return."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self._reads, self._writes = os.pipe()

    def call(self) -> None:
        """Be deaf."""
        self.called.set()
        os.read(self._reads, 1)
        os.close(self._reads)

    def let_return(self) -> None:
        """End it."""
        os.close(self._writes)


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended, and did not end just now."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
