"""What a no-op task costs with the store on: CPU and wall time per task, bytes per task in the database.

Run ``python benchmarks/overhead.py [N ...]`` (default 1000 10000). A bare ThreadPoolExecutor in the same run is the
floor to compare with; CPU counts all threads of the process, the writer's included.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("FLOWBOOK_LOGGING_LEVEL", "WARNING")

from flowbook import flow, task
from flowbook.engine import close_engines


def nothing(x: int) -> int:
    """The work whose overhead is measured."""
    return x


noop = task(nothing)


@flow
def direct(n: int) -> None:
    for i in range(n):
        noop(i)


@flow
def submitted(n: int) -> None:
    for future in [noop.submit(i) for i in range(n)]:
        future.result()


@flow
def mapped(n: int) -> None:
    noop.map(range(n)).result()


def plain_pool(n: int) -> None:
    """The floor: the same calls in a bare executor, with nothing recorded."""
    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(nothing, i) for i in range(n)]:
            future.result()


def measure(name: str, run: Callable[[int], object], n: int) -> None:
    """Print one row: the run in a home of its own, after a warm-up with ten tasks."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["FLOWBOOK_HOME"] = home
        run(10)
        database = Path(home, "flowbook.db")
        before = _size(database)
        cpu, wall = time.process_time(), time.perf_counter()
        run(n)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        close_engines()
        stored = _size(database) - before
    print(f"{name:<12} {n:>7} {1000 * cpu / n:>10.4f} {1000 * wall / n:>10.4f} {stored / n:>10.0f}", flush=True)


def _size(database: Path) -> int:
    if not database.exists():
        return 0
    import sqlite3

    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return database.stat().st_size


def main() -> None:
    """Measure every way of calling for each N."""
    print(f"{'way':<12} {'tasks':>7} {'CPU ms':>10} {'wall ms':>10} {'bytes':>10}   (per task)")
    for n in [int(text) for text in sys.argv[1:]] or [1_000, 10_000]:
        for name, run in (
            ("executor", plain_pool),
            ("direct", direct),
            ("submit", submitted),
            ("map", mapped),
        ):
            measure(name, run, n)


if __name__ == "__main__":
    main()
