"""``flowbook work-queue``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import output_option, pool_option, print_json, print_table

if TYPE_CHECKING:
    from flowbook.store.pools import WorkQueue

_priority_option = click.option(
    "--priority", type=click.IntRange(1), metavar="N", help="Runs of a queue with a lower number begin first."
)


@click.group("work-queue")
def work_queue() -> None:
    """Queues of a work pool: which of its runs come first, and how many of each there are at a time."""


@work_queue.command(epilog="Example: flowbook work-queue create urgent --pool reports --priority 1 --limit 2")
@click.argument("name")
@pool_option
@_priority_option
@click.option("--limit", type=click.IntRange(0), metavar="N", help="How many runs it has at a time.")
def create(name: str, pool: str, priority: int | None, limit: int | None) -> None:
    """Make the queue NAME in a work pool."""
    from flowbook import engine
    from flowbook.store.pools import create_queue

    made = create_queue(engine.engine().database, pool, name, priority=priority or 1, concurrency_limit=limit)
    click.echo(f"Made the queue {_sentence(made)}")


@work_queue.command("ls", epilog="Example: flowbook work-queue ls --pool reports")
@pool_option
@output_option
def ls(pool: str, output: str) -> None:
    """List the queues of a work pool, those that come first in front."""
    from flowbook import engine
    from flowbook.store.pools import pool_named, queues_of, use_of_pool

    database = engine.engine().database
    pool_named(database, pool)
    found = [(queue, use_of_pool(database, pool, queue.name)) for queue in queues_of(database, pool)]
    if output == "json":
        print_json([{**asdict(queue), **asdict(use)} for queue, use in found])
        return
    rows = [
        {
            "Name": queue.name,
            "Priority": str(queue.priority),
            "Limit": "" if queue.concurrency_limit is None else str(queue.concurrency_limit),
            "Executed": str(use.active),
            "Waiting": str(use.waiting),
            "Paused": "yes" if queue.paused else "no",
        }
        for queue, use in found
    ]
    print_table(rows, f"The work pool {pool!r} has no queues.")


@work_queue.command(epilog="Example: flowbook work-queue inspect urgent --pool reports")
@click.argument("name")
@pool_option
def inspect(name: str, pool: str) -> None:
    """Print all that is known of the queue NAME, as JSON."""
    from flowbook import engine
    from flowbook.store.pools import queue_named, use_of_pool

    database = engine.engine().database
    print_json({**asdict(queue_named(database, pool, name)), **asdict(use_of_pool(database, pool, name))})


@work_queue.command(epilog="Example: flowbook work-queue update urgent --pool reports --limit 4")
@click.argument("name")
@pool_option
@_priority_option
@click.option("--limit", type=click.IntRange(0), metavar="N", help="The new number of runs that it has at a time.")
@click.option("--no-limit", is_flag=True, help="As many as the pool has.")
def update(name: str, pool: str, priority: int | None, limit: int | None, no_limit: bool) -> None:
    """Change the queue NAME. What runs goes on."""
    if limit is not None and no_limit:
        raise click.UsageError("Both --limit and --no-limit are given; keep one of them.")
    changes: dict[str, Any] = {} if priority is None else {"priority": priority}
    if limit is not None or no_limit:
        changes["concurrency_limit"] = limit
    if not changes:
        raise click.UsageError("Say what is to change: --priority, --limit or --no-limit.")
    click.echo(f"Changed the queue {_sentence(_set(pool, name, **changes))}")


@work_queue.command(epilog="Example: flowbook work-queue pause urgent --pool reports")
@click.argument("name")
@pool_option
def pause(name: str, pool: str) -> None:
    """Begin no more runs of the queue NAME, until it is resumed. What runs goes on."""
    _set(pool, name, paused=True)
    click.echo(f"Paused the queue {name!r}. Go on with: flowbook work-queue resume {name} --pool {pool}")


@work_queue.command(epilog="Example: flowbook work-queue resume urgent --pool reports")
@click.argument("name")
@pool_option
def resume(name: str, pool: str) -> None:
    """Begin runs of the queue NAME again."""
    _set(pool, name, paused=False)
    click.echo(f"Resumed the queue {name!r} of {pool!r}.")


@work_queue.command(epilog="Example: flowbook work-queue delete urgent --pool reports --yes")
@click.argument("name")
@pool_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, pool: str, yes: bool) -> None:
    """Delete the queue NAME. One that a deployment names is not deleted."""
    from flowbook import engine
    from flowbook.store.pools import delete_queue

    if not yes:
        click.confirm(f"Delete the queue {name!r} of the work pool {pool!r}?", abort=True)
    delete_queue(engine.engine().database, pool, name)
    click.echo(f"Deleted {name!r}.")


def _set(pool: str, name: str, **changes: Any) -> WorkQueue:
    from flowbook import engine
    from flowbook.store.pools import update_queue

    return update_queue(engine.engine().database, pool, name, **changes)


def _sentence(queue: WorkQueue) -> str:
    limit = "" if queue.concurrency_limit is None else f", {queue.concurrency_limit} runs at a time"
    return f"{queue.name!r} of {queue.pool!r}, priority {queue.priority}{limit}."
