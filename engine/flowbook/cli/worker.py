"""``flowbook worker``."""

from __future__ import annotations

import click


@click.group()
def worker() -> None:
    """Workers execute what is due."""


@worker.command(epilog="Example: flowbook worker start --pool default --limit 4")
@click.option("--pool", default="default", show_default=True, help="The work pool whose runs it executes.")
@click.option("--work-queue", "queues", multiple=True, metavar="QUEUE", help="Only of this queue. Repeatable.")
@click.option("--limit", type=click.IntRange(1), default=2, show_default=True, help="How many runs at a time.")
@click.option("--name", help="What the worker is called (default: host and process).")
@click.option("--run-once", is_flag=True, help="Execute what is due now, wait for it, and exit.")
def start(pool: str, queues: tuple[str, ...], limit: int, name: str | None, run_once: bool) -> None:
    """Start a worker: it fires schedules and executes runs until it is stopped (Ctrl-C, SIGTERM).

    The first signal lets runs come to their end for 30 seconds, the second ends them at once.
    """
    from flowbook import engine
    from flowbook.schedule.serving import hearing_signals, print_line, stopped_by_signals
    from flowbook.schedule.worker import Worker
    from flowbook.store.pools import queue_named

    made = Worker(limit=limit, pool=pool, queues=queues, name=name, said=print_line)
    for queue in queues:
        queue_named(engine.engine().database, pool, queue)
    with stopped_by_signals(made.stop):
        if run_once:
            count = hearing_signals(made.run_once)
            click.echo(f"{count} {'run was' if count == 1 else 'runs were'} executed.")
            return
        print_line(f"The worker is ready, for {limit} runs of pool {pool!r} at a time. Stop it with Ctrl-C.")
        hearing_signals(made.run)
