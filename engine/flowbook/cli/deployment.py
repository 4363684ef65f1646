"""``flowbook deployment``."""

from __future__ import annotations

from shlex import quote
from typing import Any

import click

from flowbook.cli.backfill import backfill, fires
from flowbook.cli.deployment_rows import deployment_row, deployment_text
from flowbook.cli.deployment_schedule import schedule
from flowbook.cli.options import (
    instant,
    json_object,
    moment,
    output_option,
    param_option,
    print_json,
    print_table,
    version_number,
)


@click.group()
def deployment() -> None:
    """Notebooks and flows that were deployed: run them, look at them."""


@deployment.command(epilog="Example: flowbook deployment run report --param day=2026-01-01 --watch")
@click.argument("name")
@param_option
@click.option("--params", "json_text", metavar="JSON", help="Parameters as a JSON object.")
@click.option("--at", metavar="TIME", help="When it is to begin, as 2026-01-31T07:00; without an offset in local time.")
@click.option("--name", "run_name", metavar="RUN_NAME", help="What the run is called.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of the run. Repeatable.")
@click.option("--queue", help="The queue of its pool, instead of the deployment's.")
@click.option("--idempotency-key", metavar="KEY", help="Asking again with the same key makes no second run.")
@click.option("--watch", is_flag=True, help="Follow the run to its end; the exit status is 1 if it does not complete.")
def run(name: str, params: tuple[str, ...], json_text: str | None, at: str | None, watch: bool, **said: Any) -> None:
    """Ask for a run of the deployment NAME (or FLOW/NAME), now or at a certain time."""
    from flowbook.cli.watch import follow, warn_without_worker
    from flowbook.promote import request_run

    due = None if at is None else instant(at, "--at")
    asked = request_run(
        name,
        json_object(json_text),
        parameter_texts=params,
        due=None if due is None else due.timestamp(),
        **said,
    )
    when = "is waiting for a worker" if due is None else f"begins at {moment(due.timestamp())}"
    if asked.state_type != "SCHEDULED":  # made when somebody asked with the same key before
        when = f"was asked for before, and is {asked.state_type.capitalize()}"
    click.echo(f"Run {asked.number} ({asked.name}) of {asked.flow!r} {when}.")
    warn_without_worker(pool=asked.pool)
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

    database = engine.engine().database
    rows = [deployment_row(database, found) for found in all_deployments(database)]
    if output == "json":
        print_json(rows)
        return
    shown = [
        {
            "Name": row["name"],
            "Flow": row["flow"],
            "Version": str(row["version"]),
            "Pool": row["pool"] or "(served)",
            "Schedule": ("; ".join(each["words"] for each in row["schedules"] if each["active"]) or "none")
            + (" (paused)" if row["paused"] else ""),
            "Next run": row["next"] or "",
        }
        for row in rows
    ]
    print_table(shown, "There are no deployments yet. Make one with: flowbook promote NOTEBOOK.ipynb")


@deployment.command(epilog="Example: flowbook deployment inspect report")
@click.argument("name")
@output_option
def inspect(name: str, output: str) -> None:
    """Show what is known of the deployment NAME, and what its newest version captured (all of it: --output json)."""
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, manifest_of

    database = engine.engine().database
    found = find_deployment(database, name)
    row, captured = deployment_row(database, found), manifest_of(database, found.id, found.version)
    if output == "json":
        print_json({**row, "captured": captured})
    else:
        click.echo(deployment_text(row, captured))


@deployment.command(epilog="Example: flowbook deployment pause report")
@click.argument("name")
@click.option("--schedule", "slug", metavar="SLUG|ID", help="Only this schedule of it.")
def pause(name: str, slug: str | None) -> None:
    """Make no more runs of the deployment NAME by its schedules, until it is resumed. Runs on demand go on."""
    _set_paused(name, slug, paused=True)


@deployment.command(epilog="Example: flowbook deployment resume report")
@click.argument("name")
@click.option("--schedule", "slug", metavar="SLUG|ID", help="Only this schedule of it.")
def resume(name: str, slug: str | None) -> None:
    """Make runs of the deployment NAME by its schedules again."""
    _set_paused(name, slug, paused=False)


@deployment.command(epilog="Example: flowbook deployment versions report")
@click.argument("name")
@output_option
def versions(name: str, output: str) -> None:
    """List the versions of the deployment NAME, and what changed in each, the newest first."""
    from flowbook import engine
    from flowbook.promote.changes import changes
    from flowbook.store.deployments import find_deployment, versions_of

    database = engine.engine().database
    found = versions_of(database, find_deployment(database, name).id)
    before = {number: manifest for number, _, manifest in found}
    rows = [
        {
            "version": number,
            "created": created,
            "label": manifest.get("label"),
            "snapshot": manifest["snapshot"],
            "changed": changes(before.get(number - 1), manifest),
        }
        for number, created, manifest in found
    ]
    if output == "json":
        print_json(rows)
        return
    shown = [
        {
            "Version": str(row["version"]),
            "Made": moment(row["created"]),
            "Label": row["label"] or "",
            "Snapshot": row["snapshot"][:12],
            "Changed": "; ".join(row["changed"]),
        }
        for row in rows
    ]
    print_table(shown, "There are no versions.")


@deployment.command(epilog="Example: flowbook deployment lock report > requirements.txt")
@click.argument("name")
@click.option("--version", callback=version_number, metavar="N", help="That of an older version.")
def lock(name: str, version: int | None) -> None:
    """Print the lock of the deployment NAME: what was installed where it was deployed, as pip and uv read it."""
    from flowbook import engine
    from flowbook.promote.lock import lock_of

    click.echo(lock_of(engine.engine().database, name, version), nl=False)


@deployment.command(epilog="Example: flowbook deployment rollback report 3")
@click.argument("name")
@click.argument("version", callback=version_number, required=False)
def rollback(name: str, version: int | None) -> None:
    """Make a new version of the deployment NAME that is a copy of VERSION (default: the one before the newest).

    Its code, parameters, settings and schedules are those of VERSION. Runs that wait already keep their version.
    """
    from flowbook.promote.revising import roll_back

    made = roll_back(name, version)
    click.echo(f"Deployed {made.name!r}, version {made.version}: {made.captured}.")
    if made.next_fires:
        click.echo(f"Next run: {made.next_fires[0].isoformat(timespec='seconds')}")
    else:
        click.echo(made.why_no_fires)


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


deployment.add_command(schedule)
deployment.add_command(fires)
deployment.add_command(backfill)


def _set_paused(name: str, slug: str | None, *, paused: bool) -> None:
    from flowbook import engine
    from flowbook.store.deployments import find_deployment, schedule_of, set_paused, set_schedule_active

    database = engine.engine().database
    found = find_deployment(database, name)
    if slug is not None:
        set_schedule_active(database, schedule_of(database, found, slug).id, not paused)
    else:
        set_paused(database, found.id, paused)
    what = repr(found.name) if slug is None else f"the schedule {slug!r} of {found.name!r}"
    if paused:
        option = "" if slug is None else f" --schedule {slug}"
        click.echo(f"Paused {what}. Go on with: flowbook deployment resume {quote(found.name)}{option}")
        return
    row = deployment_row(database, find_deployment(database, f"{found.flow}/{found.name}"))
    click.echo(f"Resumed {what}. Next run: {row['next'] or _why_none(row)}")


def _why_none(row: dict[str, Any]) -> str:
    if row["paused"]:
        return "none, the deployment is paused"
    return "on demand, it has no schedule" if not row["schedules"] else "on demand, no schedule of it is active"
