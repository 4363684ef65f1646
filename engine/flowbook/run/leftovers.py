"""Ending what processes that were killed have left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path


def end_kernel(folder: Path) -> None:
    """End the kernel of a run whose process was killed: it is in a process group of its own."""
    path = folder / "kernel.json"
    try:
        told = json.loads(path.read_text())
        pid, sockets = int(told["pid"]), Path(told["sockets"])
    except (OSError, ValueError, LookupError, TypeError):
        return
    if _is_kernel_of(pid, folder):
        signal_group(pid, signal.SIGKILL)
    if sockets.name.startswith("flowbook-"):
        shutil.rmtree(sockets, ignore_errors=True)
    path.unlink(missing_ok=True)


def _is_kernel_of(pid: int, folder: Path) -> bool:
    """Whether this is still the kernel, and not a later process with its number."""
    import psutil

    try:
        return psutil.Process(pid).environ().get("FLOWBOOK_RUN_FOLDER") == str(folder)
    except psutil.Error:
        return False


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group, if there is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
