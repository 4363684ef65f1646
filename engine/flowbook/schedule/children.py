"""The processes that execute runs: started in groups of their own, waited for, and ended with all that they started."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowbook.runs import run_folder
from flowbook.store.queue import QueuedRun

_SAY_LAST = 5.0  # seconds that an executing process has to record why it ends


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A process that executes `run`, claimed under `fence`."""

    run: QueuedRun
    fence: int
    process: subprocess.Popen[bytes]
    folder: Path

    def ended_by(self) -> str:
        """How the process ended, in words."""
        status = self.process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"it was killed by {signal.Signals(-status).name}"
        return f"it exited with status {status}"


def start(run: QueuedRun, fence: int, *, ended: Callable[[], None]) -> Child:
    """Start the process that executes a claimed run; `ended` is called, in another thread, when it has ended."""
    folder = run_folder(run.id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "output.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flowbook.promote.execute", run.id, str(fence)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    child = Child(run=run, fence=fence, process=process, folder=folder)

    def wait() -> None:
        process.wait()
        ended()

    threading.Thread(target=wait, name=f"flowbook-run-{run.number}", daemon=True).start()
    return child


def end(children: Sequence[Child]) -> None:
    """Ask the processes to end, and end those that do not, with their kernels."""
    for child in children:
        if child.process.poll() is None:
            _signal_group(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _SAY_LAST
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
        end_at_once(child)


def end_at_once(child: Child) -> None:
    """End the process, if it still lives, and a kernel that it left behind."""
    if child.process.poll() is None:
        _signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()
    end_kernel(child.folder)


def end_kernel(folder: Path) -> None:
    """End the kernel of a run whose process was killed: it is in a process group of its own."""
    path = folder / "kernel.json"
    try:
        told = json.loads(path.read_text())
        pid, sockets = int(told["pid"]), Path(told["sockets"])
    except (OSError, ValueError, LookupError, TypeError):
        return
    if _is_kernel_of(pid, folder):
        _signal_group(pid, signal.SIGKILL)
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


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
