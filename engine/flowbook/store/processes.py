"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_SAME_START = 0.5  # seconds by which two readings of one process's start may differ


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process of a machine. `started` tells it from a later one with the same pid.

    On Linux these are seconds since the machine started, which no change of the clock moves; elsewhere since the epoch.
    """

    host: str
    pid: int
    started: float

    def as_text(self) -> str:
        """The process in one column; `process_from` reads it."""
        return f"{self.pid} {self.started} {self.host}"


def process_from(text: str) -> Process:
    """The process that `Process.as_text` wrote."""
    pid, started, host = text.split(" ", 2)
    return Process(host=host, pid=int(pid), started=float(started))


def this_process() -> Process:
    """The process that asks."""
    return process_of(os.getpid())


@lru_cache(maxsize=1)
def process_of(pid: int) -> Process:
    """The process that has this pid now."""
    return Process(host=_this_host(), pid=pid, started=_started(pid))


def is_gone(process: Process) -> bool:
    """Whether `process` is known to have ended: False for one of another machine, of which nothing is known."""
    import psutil

    if process.host != _this_host():
        return False
    try:
        zombie = psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        return zombie or abs(_started(process.pid) - process.started) > _SAME_START
    except psutil.NoSuchProcess:
        return True


def is_here(process: Process) -> bool:
    """Whether `process` is one of this machine."""
    return process.host == _this_host()


def is_stopped(pid: int) -> bool:
    """Whether a process of this machine is stopped (SIGSTOP, a debugger), or gone."""
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.NoSuchProcess:
        return True


def _this_host() -> str:
    import socket

    return socket.gethostname()


def _started(pid: int) -> float:
    """When a process started; raises psutil.NoSuchProcess."""
    try:
        # proc(5): the 22nd field, in clock ticks; the second one is a name that may hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        import psutil

        return float(psutil.Process(pid).create_time())
