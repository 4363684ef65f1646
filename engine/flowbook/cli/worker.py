"""``flowbook worker``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

T = TypeVar("T")


@click.group()
def worker() -> None:
    """Workers execute what is due."""


@worker.command(epilog="Example: flowbook worker start --limit 4")
@click.option("--limit", type=click.IntRange(1), default=2, show_default=True, help="How many runs at a time.")
@click.option("--run-once", is_flag=True, help="Execute what is due now, wait for it, and exit.")
def start(limit: int, run_once: bool) -> None:
    """Start a worker: it fires schedules and executes runs until it is stopped (Ctrl-C, SIGTERM).

    The first signal lets runs come to their end for 30 seconds, the second ends them at once.
    """
    from flowbook.schedule.worker import Worker

    def said(line: str) -> None:
        click.echo(line)

    made = Worker(limit=limit, said=said)

    with _stopped_by_signals(made.stop):
        if run_once:
            count = _hearing_signals(made.run_once)
            click.echo(f"{count} {'run was' if count == 1 else 'runs were'} executed.")
            return
        click.echo(f"The worker is ready, for {limit} runs at a time. Stop it with Ctrl-C.")
        _hearing_signals(made.run)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT call `stop`."""
    import signal

    before = {
        number: signal.signal(number, lambda _number, _frame: stop()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hearing_signals(work: Callable[[], T]) -> T:
    """Do `work` in another thread: a signal is handled in this one, and could else find a lock held by itself."""
    from concurrent.futures import ThreadPoolExecutor, wait

    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(work)
        while not done.done():
            wait([done], timeout=1.0)
        return done.result()
