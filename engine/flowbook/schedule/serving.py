"""Serving: a worker for deployments of its own, in the process that made them, until a signal stops it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from flowbook import engine
from flowbook.errors import UsageError
from flowbook.schedule.worker import Worker
from flowbook.store.deployments import set_paused

T = TypeVar("T")


def require_main_thread() -> None:
    """Raise UsageError in any other thread, where no signal could be waited for."""
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("serve() waits for signals, so it has to be called in the main thread.")


def serve_until_stopped(
    deployments: Sequence[str], *, limit: int, pause_on_shutdown: bool, begun: Callable[[], None] = lambda: None
) -> None:
    """Execute the runs of these deployments, by their ids. Raises UsageError outside of the main thread.

    `begun` is called as soon as a signal stops it in order.
    """
    require_main_thread()
    worker = Worker(limit=limit, deployments=deployments, said=lambda line: print_line(line))
    try:
        with stopped_by_signals(worker.stop):
            begun()
            hearing_signals(worker.run)
    finally:
        if pause_on_shutdown:
            for deployment_id in deployments:
                set_paused(engine.engine().database, deployment_id, True)
            print_line("The schedules of what was served are paused until it is served again.")


def print_line(line: str) -> None:
    """Say it at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT call `stop`."""
    before = {
        number: signal.signal(number, lambda _number, _frame: stop()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hearing_signals(work: Callable[[], T]) -> T:
    """Do `work` in another thread: a signal is handled in this one, and could else find a lock held by itself."""
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(work)
        while not done.done():
            wait([done], timeout=1.0)
        return done.result()
