"""``flowbook prune``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from flowbook.core.durations import seconds

if TYPE_CHECKING:
    from flowbook.store.kept_files import Pruned


@click.command(epilog="Example: flowbook prune --older-than 30d --dry-run")
@click.option("--older-than", "age", required=True, metavar="AGE", help="How long ago it ended, such as 30d or 12h.")
@click.option("--keep-failed", is_flag=True, help="Keep runs that failed or crashed.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(age: str, keep_failed: bool, dry_run: bool, yes: bool) -> None:
    """Delete runs that ended long ago, with all that was kept of them.

    That is: their sub-flows, task runs, logs, artifacts, files such as executed notebooks, and the results that only
    they could reuse; also records of due times as old, and results that have expired. Runs that have not ended stay.

    Workers do the same by themselves, once an hour, with what ended 90 days ago: the environment variable
    FLOWBOOK_KEEP_RUNS says how long instead (30d, say), or `forever`.
    """
    from flowbook import engine
    from flowbook.store.retention import Rule
    from flowbook.store.retention import prune as delete

    try:
        kept = seconds(age)
    except ValueError as error:
        raise click.BadParameter(f"{age!r} is no age; {error}.", param_hint="'--older-than'") from None
    opened = engine.engine()
    before = time.time() - kept
    planned = delete(opened.database, opened.settings.home, Rule(before=before, keep_failed=keep_failed, dry_run=True))
    if dry_run:
        say_pruned(planned, done="Would delete")
        return
    if not yes and not planned.is_nothing():
        say_pruned(planned, done="This deletes")
        click.confirm("Go on?", abort=True)
    say_pruned(delete(opened.database, opened.settings.home, Rule(before=before, keep_failed=keep_failed)))


def say_pruned(pruned: Pruned, *, done: str = "Deleted") -> None:
    """Say how much was deleted, or would be."""
    from flowbook.core.sizes import size_text

    counts = {
        "flow run": pruned.flow_runs,
        "task run": pruned.task_runs,
        "event": pruned.events,
        "artifact": pruned.artifacts,
        "result": pruned.results,
        "due time": pruned.fires,
        "snapshot": pruned.snapshots,
        "environment": pruned.environments,
        "folder": pruned.folders,
    }
    said = ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items() if count)
    if not said and not pruned.bytes:
        click.echo("There is nothing to delete.")
        return
    click.echo(f"{done} {said or 'files'}, and {size_text(pruned.bytes)} of files.")
