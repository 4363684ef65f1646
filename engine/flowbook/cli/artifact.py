"""``flowbook artifact``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flowbook.cli.options import moment, output_option, print_json, print_table

if TYPE_CHECKING:
    from flowbook.store.database import Database


@click.group()
def artifact() -> None:
    """What tasks and flows have published: markdown, tables, links, images, progress."""


@artifact.command("ls", epilog="Example: flowbook artifact ls --key daily-report")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--key", help="Only those of this key.")
@output_option
def ls(count: int, key: str | None, output: str) -> None:
    """List artifacts, without what they hold."""
    from flowbook.core.plain import one_line, shorten
    from flowbook.store.artifacts import listed

    found = listed(_database(), key=key, limit=count)
    if output == "json":
        print_json([asdict(each) for each in found])
        return
    rows = [
        {
            "Key": each.key or "",
            "Type": each.type,
            "Description": shorten(one_line(each.description or ""), 40),
            "Run": "" if each.run is None else str(each.run),
            "Created": moment(each.created),
            "ID": each.id,
        }
        for each in found
    ]
    print_table(rows, "Nothing has been published here yet." if key is None else f"No artifact has the key {key!r}.")


@artifact.command(epilog="Example: flowbook artifact inspect daily-report")
@click.argument("artifact", metavar="KEY|ID")
def inspect(artifact: str) -> None:
    """Print an artifact, or the newest of a key, with what it holds, as JSON."""
    from flowbook.store.artifacts import by_id, matching

    database = _database()
    found = matching(database, artifact)
    newest = by_id(database, found[0].id)
    if newest is None:
        raise click.ClickException(f"The artifact {artifact!r} was deleted just now.")
    print_json({**asdict(newest), "versions": len(found)})


@artifact.command(epilog="Example: flowbook artifact delete daily-report --yes")
@click.argument("artifact", metavar="KEY|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(artifact: str, yes: bool) -> None:
    """Delete one artifact, or all of a key, with what they hold."""
    from flowbook.store.artifacts import delete_artifacts, matching

    database = _database()
    number = len(matching(database, artifact))
    if not yes:
        what = f"the artifact {artifact!r}" if number == 1 else f"all {number} artifacts of the key {artifact!r}"
        click.confirm(f"Delete {what}?", abort=True)
    deleted = delete_artifacts(database, artifact)
    click.echo(f"Deleted {deleted} {'artifact' if deleted == 1 else 'artifacts'}.")


def _database() -> Database:
    """The database, with what this process has recorded in it."""
    from flowbook import engine

    opened = engine.engine()
    opened.journal.flush()
    return opened.database
