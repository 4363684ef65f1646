"""No-op tasks in Prefect 3 with the server that it starts for itself and its SQLite database."""

import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ["PREFECT_HOME"] = str(Path.cwd() / "prefect-home")
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

from measuring import Cost, cost_of, cpu_seconds, stored_bytes
from prefect import flow, task

from peers import report


@task
def noop(x: int) -> int:
    return x


@flow
def direct(n: int) -> None:
    for i in range(n):
        noop(i)


@flow
def submitted(n: int) -> None:
    for future in [noop.submit(i) for i in range(n)]:
        future.result()


def cost_of_everything(run: Callable[[], object]) -> Cost:
    """The wall time of `run`; the CPU until the server, which records it behind its back, has come to rest."""
    before = cpu_seconds()
    wall = cost_of(run).wall
    for _ in range(30):
        since = cpu_seconds()
        time.sleep(1)
        if cpu_seconds() - since < 0.1:
            break
    return Cost(since - before, wall)


def main() -> None:
    n = int(sys.argv[1])
    database = Path(os.environ["PREFECT_HOME"], "prefect.db")
    cost_of_everything(lambda: submitted(5))
    for way, run in (("direct call", direct), ("`.submit()`", submitted)):
        before = stored_bytes(database)
        cost = cost_of_everything(lambda run=run: run(n))
        report(f"Prefect {version('prefect')}, {way}", [cost], stored_bytes(database) - before)


if __name__ == "__main__":
    main()
