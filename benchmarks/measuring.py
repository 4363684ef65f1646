"""Measuring: CPU of a process and everything it started, wall time, memory; and the tables that are printed.

Needs nothing but psutil, so that other frameworks can be measured by it in their own environment.
"""

from __future__ import annotations

import datetime
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil


class Cost(NamedTuple):
    """What something took, in seconds."""

    cpu: float
    wall: float


def cpu_seconds() -> float:
    """The CPU time until now of this process, its threads, and the processes that it started, ended or not.

    That of processes which still run comes in steps of 10 ms (proc(5)), so what they do must last some seconds.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # it ended just now; its parent is about to be told what it took
    return total


def cost_of(run: Callable[[], object]) -> Cost:
    """What a call of `run` takes."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    return Cost(cpu_seconds() - cpu, time.perf_counter() - wall)


def cost_of_process(*command: str, **variables: str) -> Cost:
    """What a process takes from its start to its end. Python keeps its compiled modules, as it does by default."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return cost_of(
        lambda: subprocess.run(command, env={**environment, **variables}, check=True, stdout=subprocess.DEVNULL)
    )


def best(costs: Sequence[Cost]) -> Cost:
    """The least CPU and the least wall time: what it takes when nothing else disturbs."""
    return Cost(min(cost.cpu for cost in costs), min(cost.wall for cost in costs))


def median(costs: Sequence[Cost]) -> Cost:
    """The median CPU and wall time."""
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


def resident_mib() -> float:
    """The memory this process holds now, in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def peak_mib() -> float:
    """The most memory this process ever held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


@contextmanager
def new_home() -> Iterator[Path]:
    """An empty FLOWBOOK_HOME; afterwards it is gone, and what was set before is set again."""
    before = os.environ.get("FLOWBOOK_HOME")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["FLOWBOOK_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["FLOWBOOK_HOME"]
            else:
                os.environ["FLOWBOOK_HOME"] = before


def stored_bytes(database: Path) -> int:
    """The size of a SQLite database, what is still in its write-ahead log included."""
    import sqlite3

    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return database.stat().st_size


def heading(title: str) -> None:
    """Print a title with the date, the machine and the command line that was given."""
    command = shlex.join(["python", *sys.orig_argv[1:]])
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"## {title} — {datetime.datetime.now(datetime.UTC).date()}\n\n`{command}` ({machine})\n", flush=True)


def header(*columns: str) -> None:
    """Print the head of a Markdown table."""
    row(*columns)
    row(*("---" for _ in columns))


def row(*cells: object) -> None:
    """Print a row of a Markdown table: numbers with three significant digits, None as nothing."""
    print("| " + " | ".join(_shown(cell) for cell in cells) + " |", flush=True)


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
