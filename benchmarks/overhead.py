"""What a no-op task costs: CPU and wall time per task, bytes per task in the database.

``python benchmarks/overhead.py [--tasks N] [--repeats R] [--peer-python PATH] [--peer-tasks N]``

In the same run: a bare ThreadPoolExecutor, the floor (see floor.py) and, with the Python of an environment that has
them, other frameworks. Everything durable is committed when a flow call returns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import floor
from measuring import Cost, best, cost_of, header, heading, median, new_home, row, stored_bytes
from peers import measured_peers

from flowbook import flow, task
from flowbook.cache_policies import INPUTS
from flowbook.engine import close_engines


def nothing(x: int) -> int:
    """The work whose overhead is measured."""
    return x


def answer(x: int, base: int) -> int:
    """Like `nothing`; where it is used, `base` is never the same twice unless it is meant to be."""
    return x + base


noop = task(nothing)
cached = task(cache_policy=INPUTS)(answer)


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


@flow
def chained(n: int) -> None:
    """Every task run takes the result of the one before, so each is recorded with an edge."""
    future = noop.submit(0)
    for _ in range(n - 1):
        future = noop.submit(future)
    future.result()


@flow
def reused(n: int) -> None:
    for i in range(n):
        cached(i, 0)


@flow
def empty() -> None:
    pass


def plain_pool(n: int) -> None:
    """The same calls in a bare executor, with nothing recorded."""
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(nothing, i) for i in range(n)]:
            future.result()


def floor_cost(n: int) -> tuple[Cost, float]:
    """The cost of the floor, and its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "floor.db")
        cost = cost_of(lambda: floor.run_tasks(nothing, n, database))
        return cost, stored_bytes(database)


def flow_cost(run: Callable[[int], object], n: int) -> tuple[Cost, float]:
    """The cost of a flow in a home of its own, after a warm-up with ten tasks, and its bytes in the database."""
    with new_home() as home:
        run(10)
        before = stored_bytes(home / "flowbook.db")
        cost = cost_of(lambda: run(n))
        close_engines()
        return cost, stored_bytes(home / "flowbook.db") - before


def with_lines_shown(n: int) -> tuple[Cost, float]:
    """Like `submitted`, as it is by default: with a line about each run on standard error (here: thrown away)."""
    shown, sys.stderr = sys.stderr, Path(os.devnull).open("w")  # noqa: SIM115
    os.environ["FLOWBOOK_LOGGING_LEVEL"] = "INFO"
    try:
        return flow_cost(submitted, n)
    finally:
        os.environ["FLOWBOOK_LOGGING_LEVEL"] = "WARNING"
        sys.stderr = shown


WAYS: dict[str, Callable[[int], tuple[Cost, float | None]]] = {
    "bare ThreadPoolExecutor, nothing kept": lambda n: (cost_of(lambda: plain_pool(n)), None),
    "floor: executor and SQLite": floor_cost,
    "direct call in a flow": lambda n: flow_cost(direct, n),
    "`.submit()`": lambda n: flow_cost(submitted, n),
    "`.submit()`, with a line shown per run": with_lines_shown,
    "`.submit()`, each after the one before": lambda n: flow_cost(chained, n),
    "`.map()`": lambda n: flow_cost(mapped, n),
}


def tasks_table(n: int, repeats: int, peer_python: str | None, peer_tasks: int) -> None:
    """One row for each way to call `n` tasks; the ways take turns, so that noise meets all of them."""
    header("no-op tasks", "tasks", "CPU ms per task", "(median)", "wall ms per task", "(median)", "bytes per task")
    found: dict[str, list[tuple[Cost, float | None]]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            found[name].append(way(n))
    for name, runs in found.items():
        _task_row(name, n, [cost for cost, _ in runs], runs[-1][1])
    for peer in measured_peers(peer_python, peer_tasks) if peer_python else ():
        _task_row(peer.name, peer.tasks, peer.costs, peer.stored)


def _task_row(name: str, n: int, costs: list[Cost], stored: float | None) -> None:
    least, middle = best(costs), median(costs)
    times = (1000 * seconds / n for seconds in (least.cpu, middle.cpu, least.wall, middle.wall))
    row(name, n, *times, None if stored is None else stored / n)


def cache_table(n: int, repeats: int) -> None:
    """What it takes to compute and keep a small result, and to find it again."""
    header("cached task with a small result", "CPU ms per task", "(median)", "wall ms per task", "(median)")
    first, again = [], []
    for _ in range(repeats):
        with new_home():
            empty()
            first.append(cost_of(lambda: reused(n)))
            again.append(cost_of(lambda: reused(n)))
            close_engines()
    for name, costs in (("computed and kept", first), ("reused", again)):
        least, middle = best(costs), median(costs)
        row(name, *(1000 * seconds / n for seconds in (least.cpu, middle.cpu, least.wall, middle.wall)))


def flow_table(repeats: int) -> None:
    """What a flow without tasks takes in a process that has run one before, its commit included."""
    header("flow without a task, warm", "CPU ms", "(median)", "wall ms", "(median)")
    with new_home():
        empty()
        costs = [cost_of(empty) for _ in range(20 * repeats)]
        close_engines()
    least, middle = best(costs), median(costs)
    row("one run", *(1000 * seconds for seconds in (least.cpu, middle.cpu, least.wall, middle.wall)))


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tasks", type=int, default=10_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--peer-python", help="the Python of an environment with psutil and other frameworks")
    options.add_argument("--peer-tasks", type=int, default=200, help="few, because they are slow")
    given = options.parse_args()
    os.environ["FLOWBOOK_LOGGING_LEVEL"] = "WARNING"
    heading("Overhead of a no-op task and of a flow")
    tasks_table(given.tasks, given.repeats, given.peer_python, given.peer_tasks)
    print()
    cache_table(max(1, given.tasks // 10), given.repeats)
    print()
    flow_table(given.repeats)


if __name__ == "__main__":
    main()
