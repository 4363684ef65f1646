"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

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
