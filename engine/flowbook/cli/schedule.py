"""``flowbook schedule``."""

from __future__ import annotations

import click

from flowbook.cli.options import output_option, print_json


@click.group()
def schedule() -> None:
    """What schedules mean."""


@schedule.command("next", epilog="Example: flowbook schedule next '0 7 * * 1-5' --tz Europe/Zurich -n 3")
@click.argument("text", metavar="SCHEDULE")
@click.option("--tz", "timezone", metavar="ZONE", help="The time zone, such as Europe/Zurich (default: UTC).")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many times.")
@output_option
def next_(text: str, timezone: str | None, count: int, output: str) -> None:
    """Print when SCHEDULE fires next: a cron line, a recurrence rule such as FREQ=DAILY;BYHOUR=7, or 15m, 1h30m, 1d."""
    from datetime import UTC, datetime

    from flowbook.cli.planning import schedule_from_text
    from flowbook.schedules import caveats, describe, next_fires

    planned = schedule_from_text(text, timezone)
    fires = next_fires(planned, datetime.now(UTC), count)
    if output == "json":
        print_json([fire.isoformat() for fire in fires])
        return
    click.echo(f"{describe(planned)}, {planned.timezone}:")
    for fire in fires:
        click.echo(f"  {fire:%a %Y-%m-%d %H:%M:%S %Z}")
    if not fires:
        click.echo("  never again")
    for caveat in caveats(planned):
        click.echo(f"Warning: {caveat}", err=True)
