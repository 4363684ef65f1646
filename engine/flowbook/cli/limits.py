"""``flowbook concurrency-limit``, also called ``flowbook gcl``."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import moment, output_option, print_json, print_table

if TYPE_CHECKING:
    from flowbook.core.slots import Limit
    from flowbook.store.limits import LimitUse

_decay_option = click.option(
    "--slot-decay-per-second",
    "decay",
    type=click.FloatRange(0),
    metavar="D",
    help="Make it a rate limit: this many slots that were taken come back every second.",
)


@click.group("concurrency-limit")
def concurrency_limit() -> None:
    """How much may happen at once, and how often: of tasks with a tag, and of code that asks for slots."""


@concurrency_limit.command(epilog="Example: flowbook concurrency-limit create external-api 5")
@click.argument("name")
@click.argument("slots", type=click.IntRange(0), metavar="[N]", required=False)
@click.option("--limit", type=click.IntRange(0), metavar="N", help="The number of slots, if it is not given as N.")
@_decay_option
@click.option("--disable", is_flag=True, help="Limit nothing until it is enabled.")
def create(name: str, slots: int | None, limit: int | None, decay: float | None, disable: bool) -> None:
    """Make the limit NAME with N slots. With 0 slots it lets nobody in."""
    from flowbook import engine
    from flowbook.store.limits import create_limit

    if (slots is None) is (limit is None):
        raise click.UsageError(f"Say how many slots there are, once: flowbook concurrency-limit create {quote(name)} 5")
    number = slots if slots is not None else limit
    assert number is not None
    made = create_limit(engine.engine().database, name, number, decay=decay or 0.0, active=not disable)
    click.echo(f"Made the concurrency limit {_sentence(made)}")


@concurrency_limit.command("ls", epilog="Example: flowbook concurrency-limit ls --output json")
@output_option
def ls(output: str) -> None:
    """List the limits, and how many of their slots are in use."""
    from flowbook import engine
    from flowbook.store.limits import uses_of_limits

    uses = uses_of_limits(engine.engine().database)
    if output == "json":
        print_json([_as_json(use) for use in uses])
        return
    rows = [
        {
            "Name": use.limit.name,
            "Slots": str(use.limit.slots),
            "In use": str(use.in_use),
            "Decay": f"{use.limit.decay:g}/s" if use.limit.decay else "",
            "Active": "yes" if use.limit.active else "no",
        }
        for use in uses
    ]
    print_table(rows, "There are no concurrency limits. Make one with: flowbook concurrency-limit create NAME N")


@concurrency_limit.command(epilog="Example: flowbook concurrency-limit inspect external-api")
@click.argument("name")
@output_option
def inspect(name: str, output: str) -> None:
    """Show the limit NAME, and who holds its slots or waits for them."""
    from flowbook import engine
    from flowbook.store.limits import use_of_limit

    use = use_of_limit(engine.engine().database, name)
    if output == "json":
        print_json(_as_json(use))
        return
    click.echo(_sentence(use.limit))
    click.echo(f"In use: {use.in_use} of {use.limit.slots}.")
    rows = [
        {
            "Process": f"{holder.pid} on {holder.host}",
            "": "waits for" if holder.waiting else "holds",
            "Slots": str(holder.slots),
            "Since": moment(holder.since),
            "Run": holder.run_id or "",
        }
        for holder in use.holders
    ]
    if rows:
        click.echo()
        print_table(rows, "")


@concurrency_limit.command(epilog="Example: flowbook concurrency-limit update external-api --limit 10")
@click.argument("name")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="The new number of slots.")
@_decay_option
@click.option("--enable/--disable", "active", default=None, help="Whether it limits anything.")
def update(name: str, limit: int | None, decay: float | None, active: bool | None) -> None:
    """Change the limit NAME. What runs goes on; running processes notice within three seconds."""
    from flowbook import engine
    from flowbook.store.limits import update_limit

    if limit is None and decay is None and active is None:
        raise click.UsageError("Say what is to change: --limit, --slot-decay-per-second, --enable or --disable.")
    changed = update_limit(engine.engine().database, name, slots=limit, decay=decay, active=active)
    click.echo(f"Changed the concurrency limit {_sentence(changed)}")


@concurrency_limit.command(epilog="Example: flowbook concurrency-limit reset external-api")
@click.argument("name")
def reset(name: str) -> None:
    """Free all slots of the limit NAME, whoever holds them. What runs goes on."""
    from flowbook import engine
    from flowbook.store.limits import reset_limit

    freed = reset_limit(engine.engine().database, name)
    click.echo(f"Reset {name!r}: {freed or 'no'} {'slot was' if freed == 1 else 'slots were'} held.")


@concurrency_limit.command(epilog="Example: flowbook concurrency-limit delete external-api --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the limit NAME. Nothing is limited by it any more."""
    from flowbook import engine
    from flowbook.store.limits import delete_limit, use_of_limit

    database = engine.engine().database
    use = use_of_limit(database, name)
    if not yes:
        click.confirm(f"Delete the concurrency limit {name!r}, {use.in_use} of whose slots are in use?", abort=True)
    delete_limit(database, name)
    click.echo(f"Deleted {name!r}.")


def _sentence(limit: Limit) -> str:
    slots = "1 slot" if limit.slots == 1 else f"{limit.slots} slots"
    decay = f", {limit.decay:g} of which come back every second" if limit.decay else ""
    return f"{limit.name!r}: {slots}{decay}{'' if limit.active else '; it is not active'}."


def _as_json(use: LimitUse) -> dict[str, Any]:
    return {
        "name": use.limit.name,
        "limit": use.limit.slots,
        "in_use": use.in_use,
        "slot_decay_per_second": use.limit.decay,
        "active": use.limit.active,
        "holders": [
            {
                "slots": holder.slots,
                "waiting": holder.waiting,
                "run_id": holder.run_id,
                "host": holder.host,
                "pid": holder.pid,
                "since": holder.since,
            }
            for holder in use.holders
        ],
    }
