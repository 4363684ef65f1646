"""``flowbook cache``."""

from __future__ import annotations

from dataclasses import asdict

import click

from flowbook.cli.options import output_option, print_json, print_table


@click.group()
def cache() -> None:
    """Results that are reused, and the time that this saves."""


@cache.command("ls", epilog="Example: flowbook cache ls --output json")
@output_option
def ls(output: str) -> None:
    """List the tasks whose results are kept: how often they were reused, the most time saved first."""
    from flowbook.core.plain import duration_text
    from flowbook.results import cache_statistics

    found = cache_statistics()
    if output == "json":
        print_json([asdict(task) for task in found])
        return
    rows = [
        {
            "Task": task.task,
            "Reused": str(task.hits),
            "Made": str(task.misses),
            "Share reused": f"{task.hits / (task.hits + task.misses):.0%}",
            "Time saved": duration_text(task.seconds_saved),
        }
        for task in found
    ]
    print_table(rows, "No task's results have been kept here yet: give a task a cache_policy.")
