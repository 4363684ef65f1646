"""``flowbook runs``, also called ``flowbook flow-run``."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from flowbook.cli.options import moment, output_option, print_json, print_table


@click.group()
def runs() -> None:
    """The history of runs."""


@runs.command("ls", epilog="Example: flowbook runs ls -n 5 --deployment report")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--deployment", help="Only those of this deployment.")
@click.option("--failed", is_flag=True, help="Only those that failed, crashed or were cancelled.")
@output_option
def ls(count: int, deployment: str | None, failed: bool, output: str) -> None:
    """List recent runs."""
    from flowbook.core.plain import duration_text
    from flowbook.runs import recent_runs

    bad = ("failed", "crashed", "cancelled")
    found = recent_runs(count if not failed else max(count, 500), deployment=deployment)
    chosen = [run for run in found if not failed or run.look in bad][:count]
    if output == "json":
        print_json([asdict(run) for run in chosen])
        return
    now = time.time()
    rows = []
    for run in chosen:
        took = run.duration(now if run.ended is None else None)
        rows.append(
            {
                "Run": str(run.number),
                "Name": run.name,
                "Flow": run.flow,
                "State": run.word,
                "Tasks": f"{run.done}/{run.total}",
                "Created": moment(run.created),
                "Duration": "" if took is None else duration_text(took),
            }
        )
    print_table(rows, "Nothing has run here yet." if not found else "No run matches.")


@runs.command(epilog="Example: flowbook runs show last")
@click.argument("run")
@output_option
def show(run: str, output: str) -> None:
    """Show one run: its number, its id, its name, `last` or `prev`."""
    from flowbook.runs import find_run, run_view

    if output == "text":
        show_run(run)
        return
    found = find_run(run)
    view = run_view(found.id)
    tasks = [
        {
            "name": node.name,
            "state": node.look,
            "attempts": node.attempts,
            "duration": node.duration(),
            "message": node.state.message if node.state else None,
            "upstream": list(node.upstream),
        }
        for node in view.nodes.values()
    ]
    print_json({**asdict(found), "tasks": tasks})


def show_run(run: str) -> None:
    """Print a run: the sentence, the tasks, the graph, and where its files are."""
    from flowbook.core.text import sentence, task_table, text_dag
    from flowbook.runs import find_run, run_folder, run_view

    found = find_run(run)
    view = run_view(found.id)
    now = time.time()
    by = f", deployment {found.deployment!r}" if found.deployment else ""
    click.echo(f"Run {found.number} · {found.name} · flow {found.flow!r}{by}")
    click.echo(sentence(view, now))
    for part in (task_table(view, now), text_dag(view, now)):
        if part:
            click.echo(f"\n{part}")
    log = run_folder(found.id) / "output.log"
    files = {
        "Executed notebook": found.notebook,
        "As a page": found.html,
        "Graph": found.svg,
        "Output": str(log) if log.is_file() else None,
    }
    kept = {title: path for title, path in files.items() if path}
    if kept:
        click.echo()
    for title, path in kept.items():
        click.echo(f"{title + ':':<18} {path}")
