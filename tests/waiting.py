"""Waiting for what other processes do, and for their end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil

from flowbook.runs import recent_runs

#: Seconds that a machine at work may need for what takes a moment.
WITHIN = 60.0


def until(condition: Callable[[], Any], within: float = WITHIN) -> Any:
    """What `condition` returns once it is true, after `within` seconds at the latest."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s; runs: {[(run.name, run.state_name) for run in recent_runs()]}")


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended, and did not end just now."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
