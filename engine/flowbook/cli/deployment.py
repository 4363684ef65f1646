"""``flowbook deployment``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import moment, output_option, param_option, print_json, print_table

if TYPE_CHECKING:
    from flowbook.store.deployments import Deployment


@click.group()
def deployment() -> None:
    """Notebooks that were promoted: run them, look at them."""


@deployment.command(epilog="Example: flowbook deployment run report --param day=2026-01-01 --watch")
@click.argument("name")
@param_option
@click.option("--params", "json_text", metavar="JSON", help="Parameters as a JSON object.")
@click.option("--watch", is_flag=True, help="Follow the run to its end; the exit status is 1 if it does not complete.")
def run(name: str, params: tuple[str, ...], json_text: str | None, watch: bool) -> None:
    """Ask for a run of the deployment NAME (or FLOW/NAME), now."""
    from flowbook.cli.watch import follow, warn_without_worker
    from flowbook.promote import request_run

    asked = request_run(name, _json_object(json_text), parameter_texts=params)
    click.echo(f"Run {asked.number} ({asked.name}) of {asked.flow!r} is waiting for a worker.")
    warn_without_worker()
    if watch:
        follow(asked.id)
    else:
        click.echo(f"Look at it with: flowbook runs show {asked.number}")


@deployment.command("ls", epilog="Example: flowbook deployment ls --output json")
@output_option
def ls(output: str) -> None:
    """List the deployments."""
    from flowbook import engine
    from flowbook.store.deployments import all_deployments

    rows = [_row(found) for found in all_deployments(engine.engine().database)]
    if output == "json":
        print_json(rows)
        return
    shown = [
        {
            "Name": row["name"],
            "Flow": row["flow"],
            "Version": str(row["version"]),
            "Schedule": ("; ".join(row["schedules"]) or "none") + (" (paused)" if row["paused"] else ""),
            "Next run": "" if row["next"] is None else str(row["next"]),
        }
        for row in rows
    ]
    print_table(shown, "There are no deployments yet. Make one with: flowbook promote NOTEBOOK.ipynb")


@deployment.command(epilog="Example: flowbook deployment inspect report")
@click.argument("name")
def inspect(name: str) -> None:
    """Print what the newest version of a deployment captured, as JSON."""
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, manifest_of

    database = engine.engine().database
    found = find_deployment(database, name)
    print_json({**_row(found), "captured": manifest_of(database, found.id, found.version)})


@deployment.command(epilog="Example: flowbook deployment pause report")
@click.argument("name")
def pause(name: str) -> None:
    """Make no more runs of the deployment NAME by its schedules, until it is resumed."""
    _set_paused(name, paused=True)


@deployment.command(epilog="Example: flowbook deployment resume report")
@click.argument("name")
def resume(name: str) -> None:
    """Make runs of the deployment NAME by its schedules again."""
    _set_paused(name, paused=False)


@deployment.command(epilog="Example: flowbook deployment delete report --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the deployment NAME with its schedules. Its runs stay in the history."""
    from flowbook import engine
    from flowbook.store.deployments import delete_deployment, find_deployment

    database = engine.engine().database
    found = find_deployment(database, name)
    if not yes:
        click.confirm(f"Delete the deployment {found.name!r} with its {found.version} versions?", abort=True)
    delete_deployment(database, found.id)
    click.echo(f"Deleted {found.name!r}. Its runs are still listed by: flowbook runs ls")


def _set_paused(name: str, *, paused: bool) -> None:
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, set_paused

    database = engine.engine().database
    found = find_deployment(database, name)
    set_paused(database, found.id, paused)
    row = _row(find_deployment(database, found.name))
    if paused:
        click.echo(f"Paused {found.name!r}. Go on with: flowbook deployment resume {found.name}")
    else:
        click.echo(f"Resumed {found.name!r}. Next run: {row['next'] or 'on demand, it has no schedule'}")


def _row(found: Deployment) -> dict[str, Any]:
    from datetime import UTC, datetime

    from flowbook import engine
    from flowbook.schedules import describe, from_dict, next_fires
    from flowbook.store.deployments import schedules_of

    planned = [from_dict(stored.spec) for stored in schedules_of(engine.engine().database, found.id) if stored.active]
    now = datetime.now(UTC)
    fires = [fire for each in planned for fire in next_fires(each, now, 1)]
    soonest = min(fires, key=lambda fire: fire.astimezone(UTC), default=None)
    return {
        "name": found.name,
        "flow": found.flow,
        "version": found.version,
        "paused": bool(found.paused),
        "updated": moment(found.updated),
        "schedules": [f"{describe(each)}, {each.timezone}" for each in planned],
        "next": None if soonest is None or found.paused else soonest.isoformat(timespec="seconds"),
    }


def _json_object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(
            f"it is not JSON: {error.msg} at character {error.pos + 1}.", param_hint="--params"
        ) from None
    if not isinstance(value, dict):
        raise click.BadParameter('it must be an object, such as {"day": "2026-01-01"}.', param_hint="--params")
    return value
