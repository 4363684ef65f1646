"""What is killed: processes that do what people and machines do with one home, until somebody ends them.

``python -m tests.faults.actors kernel|scheduler|deploy FOLDER``; a worker is the command line's own. What a process was
told is done it writes to a file of FOLDER, durably, before it goes on.
"""

from __future__ import annotations

import os
import sys
import threading
from itertools import count
from pathlib import Path

from flowbook import flow, task
from flowbook.engine import engine
from flowbook.runtime import flow_run


@task
def step(number: int) -> int:
    """A piece of work."""
    return number + 1


@flow(retries=2)
def scheduled(number: int = 0) -> int:
    """What the schedule runs: it leaves a mark of each execution."""
    mark("executed", flow_run.id)
    for _ in range(3):
        number = step(number)
    return number


@flow
def called(number: int) -> int:
    """What a person calls in a kernel."""
    futures = step.map(range(number % 7 + 1))
    return sum(future.result() for future in futures)


@flow
def told() -> str:
    """The id of its own run."""
    called(3)
    return str(flow_run.id)


def mark(kind: str, text: str) -> None:
    """Write a line that survives whatever becomes of this process."""
    path = Path(os.environ["FAULTS"]) / f"{kind}-{os.getpid()}.txt"
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kernel() -> None:
    """Call flows one after the other; each that returned is acknowledged."""
    for number in count():
        called(number)
        mark("acknowledged", told())


def scheduler() -> None:
    """Fire schedules, and execute nothing."""
    from flowbook.schedule.loop import Loop

    Loop(engine().database, lambda _now: None, stop=threading.Event()).run()


def deploy() -> None:
    """Make the deployments."""
    scheduled.deploy(name="every-second", cron="* * * * * *", print_next_steps=False)
    scheduled.deploy(name="every-other", interval=2, parameters={"number": 7}, print_next_steps=False)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
