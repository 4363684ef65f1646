"""Whether much stays cheap: 100,000 tasks in a flow, 1,000 tasks asleep or waiting, a million log lines in a flow.

``python benchmarks/endurance.py [tasks|asleep|lines] [-n N]``

Without a name all of them run, each in a process of its own, so that a peak of memory belongs to one.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Cost, cost_of, header, heading, new_home, peak_mib, resident_mib, row, stored_bytes

from flowbook import flow, get_run_logger, task
from flowbook.engine import close_engines, engine
from flowbook.task_runners import ThreadPoolTaskRunner

_PARTS = 10
_ASLEEP = 10.0  # seconds before the retry
_ASKED = 500  # tasks that are timed while others sleep or wait
Part = tuple[Cost, float]  # what it took, and the MiB held after it


@task
def noop(x: int) -> int:
    return x


_begun: set[int] = set()


@task(retries=1, retry_delay_seconds=_ASLEEP)
def fails_once(i: int) -> None:
    """Asleep after its first attempt."""
    if i not in _begun:
        _begun.add(i)
        raise ValueError("not yet")


@flow(validate_parameters=False)  # which would copy the list
def dropping(n: int, parts: list[Part]) -> None:
    """Tasks in flights of 1,000, whose results nobody keeps."""
    parts.extend((cost_of(lambda: _flights(n // _PARTS)), resident_mib()) for _ in range(_PARTS))


def _flights(n: int) -> None:
    for first in range(0, n, 1000):
        for future in [noop.submit(i) for i in range(first, min(n, first + 1000))]:
            future.result()
    engine().recorder.flush()  # so that no part pays for the record of another


_over = threading.Event()


@task
def holds_the_slot(i: int) -> None:
    """The first to begin keeps the one slot, for which all others wait, until the measurement is over."""
    _over.wait()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=8), validate_parameters=False)
def among_sleepers(n: int, delays: list[float]) -> None:
    """`n` tasks sleep until their retry; meanwhile others are asked for."""
    sleepers = [fails_once.submit(i) for i in range(n)]
    while len(_begun) < n:
        time.sleep(0.01)
    _ask(delays)
    if sleepers and not any(future.state.name == "AwaitingRetry" for future in sleepers):
        raise RuntimeError(f"The tasks slept {_ASLEEP} seconds, and the measurement took longer: it says nothing.")


@flow(
    task_runner=ThreadPoolTaskRunner(max_workers=8),
    validate_parameters=False,
    concurrency_limit={holds_the_slot.name: 1},
)
def among_waiting(n: int, delays: list[float]) -> None:
    """`n` tasks wait for one slot; meanwhile others are asked for."""
    _over.clear()
    for i in range(n):
        holds_the_slot.submit(i)
    try:
        _ask(delays)
    finally:
        _over.set()


def _ask(delays: list[float]) -> None:
    """Submit tasks one after the other; how many seconds each result took."""
    for i in range(_ASKED):
        since = time.perf_counter()
        noop.submit(i).result()
        delays.append(time.perf_counter() - since)


@flow(validate_parameters=False)
def talkative(n: int, parts: list[Part]) -> None:
    """Says `n` lines."""
    log = get_run_logger()
    parts.extend((cost_of(lambda: _say(log, n // _PARTS)), resident_mib()) for _ in range(_PARTS))


def _say(log: logging.LoggerAdapter[logging.Logger], n: int) -> None:
    for i in range(n):
        log.info("line %d of a long story", i)


def tasks(n: int) -> None:
    """Many tasks in one flow run: whether the last cost what the first did, and the peak of memory."""
    parts: list[Part] = []
    dropping(1000, [])
    cost = cost_of(lambda: dropping(n, parts))
    header("tasks in one flow, results dropped", "tasks", "CPU ms per task", "wall ms per task", "MiB held after")
    for name, (part, held) in (("the first", parts[0]), ("the last", parts[-1])):
        row(name, n // _PARTS, *(1000 * seconds * _PARTS / n for seconds in part), held)
    row("all, until committed", n, *(1000 * seconds / n for seconds in cost), resident_mib())
    print(f"\nPeak of memory: {peak_mib():.0f} MiB. Last to first, CPU: {parts[-1][0].cpu / parts[0][0].cpu:.2f}.")


def asleep(n: int) -> None:
    """Whether tasks that sleep or wait for a slot, in a pool of 8 threads, delay others."""
    header("meanwhile, in a pool of 8 threads", "wall ms of a submitted no-op task: median", "longest")
    for name, run, others in (
        ("nothing", among_sleepers, 0),
        (f"{n:,} asleep until their retry", among_sleepers, n),
        (f"{n:,} waiting for one slot", among_waiting, n),
    ):
        delays: list[float] = []
        run(others, delays)
        row(name, 1000 * statistics.median(delays), 1000 * max(delays))


def lines(n: int) -> None:
    """Many log lines of one flow run, kept in the store; those for the terminal are thrown away."""
    parts: list[Part] = []
    talkative(1000, [])
    before = stored_bytes(Path(os.environ["FLOWBOOK_HOME"], "flowbook.db"))
    cost = cost_of(lambda: talkative(n, parts))
    held = resident_mib()
    close_engines()
    stored = stored_bytes(Path(os.environ["FLOWBOOK_HOME"], "flowbook.db")) - before
    header("log lines", "lines per s", "CPU µs per line", "bytes per line", "MiB after a tenth", "at the end", "peak")
    row(n, n / cost.wall, 1e6 * cost.cpu / n, stored / n, parts[0][1], held, peak_mib())


MEASURES: dict[str, tuple[Callable[[int], None], int, str]] = {
    "tasks": (tasks, 100_000, "WARNING"),
    "asleep": (asleep, 1_000, "ERROR"),
    "lines": (lines, 1_000_000, "INFO"),
}


def _shown(name: str) -> int | None:
    """Where the lines for the terminal go: nowhere if there are a million."""
    return subprocess.DEVNULL if name == "lines" else None


def main() -> None:
    """Measure one thing here, or everything in processes of their own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="?", choices=MEASURES)
    options.add_argument("-n", type=int, help="how many (100,000 tasks, 1,000 asleep or waiting, 1,000,000 lines)")
    given = options.parse_args()
    if given.what is None:
        heading("Endurance")
        for name in MEASURES:
            number = ["-n", str(given.n)] if given.n else []
            subprocess.run([sys.executable, __file__, name, *number], check=True, stderr=_shown(name))
            print()
        return
    measure, usual, level = MEASURES[given.what]
    os.environ["FLOWBOOK_LOGGING_LEVEL"] = level
    with new_home():
        measure(given.n or usual)
        close_engines()


if __name__ == "__main__":
    main()
