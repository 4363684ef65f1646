"""``flowbook deployment schedule``."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.deployment_rows import schedule_row
from flowbook.cli.options import json_object, output_option, print_json, print_table
from flowbook.cli.planning import planning_options

if TYPE_CHECKING:
    from flowbook.promote import Promoted

_which = click.argument("schedule", metavar="[SLUG|ID]", required=False)


@click.group()
def schedule() -> None:
    """The schedules of a deployment."""


@schedule.command("ls", epilog="Example: flowbook deployment schedule ls report")
@click.argument("name")
@output_option
def ls(name: str, output: str) -> None:
    """List the schedules of the deployment NAME."""
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, schedules_of

    database = engine.engine().database
    found = find_deployment(database, name)
    rows = [schedule_row(each, is_paused=found.paused) for each in schedules_of(database, found.id)]
    if output == "json":
        print_json(rows)
        return
    shown = [
        {
            "Schedule": row["slug"] or row["id"][:8],
            "When": row["words"],
            "Missed times": row["catchup"],
            "Active": "yes" if row["active"] else "no",
            "Next run": row["next"] or "",
        }
        for row in rows
    ]
    print_table(
        shown,
        f"{name} has no schedule. Give it one with: flowbook deployment schedule create {quote(name)} --every 15m",
    )


@schedule.command(epilog="Example: flowbook deployment schedule create report --cron '0 7 * * 1-5' --slug mornings")
@click.argument("name")
@planning_options
@click.option("--slug", help="What the schedule is called.")
@click.option("--params", "json_text", metavar="JSON", help="Parameters of its runs as a JSON object.")
@click.option("--inactive", is_flag=True, help="Make no runs by it until it is resumed.")
def create(name: str, slug: str | None, json_text: str | None, inactive: bool, **planning: Any) -> None:
    """Give the deployment NAME one more schedule. This makes a new version of it, so a rollback takes it back."""
    from dataclasses import replace

    from flowbook.promote.options import planned_schedules
    from flowbook.promote.revising import add_schedule

    planned = planned_schedules(**{option: value for option, value in planning.items() if value is not None})
    if planned is None:
        raise click.UsageError("Say when it runs: with --schedule (--cron), --every or --rrule.")
    (one,) = planned
    made = add_schedule(name, replace(one, slug=slug, active=not inactive, parameters=json_object(json_text)))
    _say(made)


@schedule.command(epilog="Example: flowbook deployment schedule delete report mornings --yes")
@click.argument("name")
@_which
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, schedule: str | None, yes: bool) -> None:
    """Take a schedule of the deployment NAME away. This makes a new version of it, so a rollback brings it back."""
    from flowbook import engine
    from flowbook.promote.revising import remove_schedule
    from flowbook.store.deployments import find_deployment, schedule_of

    database = engine.engine().database
    found = find_deployment(database, name)
    stored = schedule_of(database, found, schedule)
    if not yes:
        words = schedule_row(stored, is_paused=True)["words"]
        click.confirm(f"Take the schedule {words!r} of {found.name!r} away?", abort=True)
    _say(remove_schedule(f"{found.flow}/{found.name}", stored.id))


@schedule.command(epilog="Example: flowbook deployment schedule pause report mornings")
@click.argument("name")
@_which
def pause(name: str, schedule: str | None) -> None:
    """Make no more runs by a schedule of the deployment NAME, until it is resumed."""
    _set_active(name, schedule, active=False)


@schedule.command(epilog="Example: flowbook deployment schedule resume report mornings")
@click.argument("name")
@_which
def resume(name: str, schedule: str | None) -> None:
    """Make runs by a schedule of the deployment NAME again."""
    _set_active(name, schedule, active=True)


def _set_active(name: str, schedule: str | None, *, active: bool) -> None:
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, schedule_of, set_schedule_active

    database = engine.engine().database
    found = find_deployment(database, name)
    stored = schedule_of(database, found, schedule)
    set_schedule_active(database, stored.id, active)
    row = schedule_row(schedule_of(database, found, stored.id), is_paused=found.paused)
    what = f"the schedule {row['slug'] or row['id'][:8]!r} of {found.name!r} ({row['words']})"
    if not active:
        click.echo(f"Paused {what}.")
        return
    none = "none, the deployment is paused" if found.paused else "none, it has come to its end"
    click.echo(f"Resumed {what}. Next run: {row['next'] or none}")


def _say(made: Promoted) -> None:
    click.echo(f"Deployed {made.name!r}, version {made.version}: {made.captured}.")
    for warning in made.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if made.next_fires:
        click.echo("It runs at:")
        for fire in made.next_fires:
            click.echo(f"  {fire:%a %Y-%m-%d %H:%M:%S %Z}")
    else:
        click.echo(made.why_no_fires)
