"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache

_SAME_START = 2.0  # seconds by which two readings of one process's start may differ


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process of a machine. `started` (seconds since the epoch) tells it from a later one with the same pid."""

    host: str
    pid: int
    started: float


def this_process() -> Process:
    """The process that asks."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    import psutil

    return Process(host=socket.gethostname(), pid=pid, started=psutil.Process(pid).create_time())


def is_gone(process: Process) -> bool:
    """Whether `process` is known to have ended: False for one of another machine, of which nothing is known."""
    import psutil

    if process.host != socket.gethostname():
        return False
    try:
        found = psutil.Process(process.pid)
        started: float = found.create_time()
        return found.status() == psutil.STATUS_ZOMBIE or abs(started - process.started) > _SAME_START
    except psutil.NoSuchProcess:
        return True
