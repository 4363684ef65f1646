"""``flowbook runs``, also called ``flowbook flow-run``."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import instant, moment, output_option, pairs, print_json, print_table
from flowbook.errors import FlowbookError, UsageError, did_you_mean

if TYPE_CHECKING:
    from flowbook.core.comparison import Comparison

_ENDS_WITHIN = 5.0  # seconds for a cancelled run to end
_LOOK_EVERY = 0.1  # seconds
_WIDEST_WHY = 80  # columns
_WIDEST_PARAMETERS = 400  # columns


@click.group()
def runs() -> None:
    """The history of runs."""


@runs.command("ls", epilog="Example: flowbook runs ls --deployment report --state failed --since 2h")
@click.option(
    "-n", "--limit", "count", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first."
)
@click.option("--deployment", metavar="NAME", help="Only those of this deployment.")
@click.option("--flow", metavar="NAME", help="Only those of this flow.")
@click.option("--state", metavar="STATE", help="Only those in this state, such as running, late or failed.")
@click.option("--failed", is_flag=True, help="Only those that failed, crashed or were cancelled.")
@click.option("--since", metavar="AGE|TIME", help="Only those made in the last 2h, 7d, …, or since 2026-01-31T07:00.")
@output_option
def ls(count: int, since: str | None, output: str, **said: Any) -> None:
    """List recent runs."""
    from flowbook.core.plain import duration_text, one_line, shorten
    from flowbook.runs import recent_runs

    if said["failed"] and said["state"]:
        raise click.UsageError("Both --failed and --state are given; keep one of them.")
    chosen = recent_runs(count, since=None if since is None else _moment_of(since), **said)
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
                "Why": shorten(one_line(run.why or ""), _WIDEST_WHY),
            }
        )
    if not any(row["Why"] for row in rows):
        rows = [{head: text for head, text in row.items() if head != "Why"} for row in rows]
    print_table(rows, _none_matches(said["flow"]) if since or any(said.values()) else "Nothing has run here yet.")


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


@runs.command(epilog="Example: flowbook runs logs last")
@click.argument("run")
@output_option
def logs(run: str, output: str) -> None:
    """Print what a run and its tasks logged."""
    from flowbook.runs import run_view

    view = run_view(run, keep_logs=sys.maxsize)
    names = {node.id: node.name for node in view.nodes.values()}
    lines = [{**asdict(line), "task": names.get(line.task_run_id or "")} for line in view.logs]
    if output == "json":
        print_json(lines)
        return
    for line in lines:
        click.echo(f"{moment(line['time'])} {line['level']:<7} {line['task'] or view.flow}: {line['message']}")
    if not lines:
        click.echo("The run logged nothing.")


@runs.command(epilog="Example: flowbook runs diff prev last --html changes.html")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--html", "page", metavar="FILE", help="Write the report as a page, with pictures.")
@output_option
def diff(before: str, after: str, page: str | None, output: str) -> None:
    """Compare two runs that have ended: parameters, tasks, and of notebooks the code and outputs of each cell.

    Exits with 0 if nothing is different but times, with 1 if something is, and with 2 if they cannot be compared.
    """
    from flowbook.core.comparison.facts import facts
    from flowbook.core.comparison.report import report
    from flowbook.run_comparison import compare_runs

    try:
        found = compare_runs(before, after)
    except FlowbookError as error:
        raise _NotComparable(" ".join(str(error).split("\n"))) from None
    if page is not None:
        _write_page(found, Path(page).expanduser())
    if output == "json":
        print_json(facts(found))
    else:
        click.echo(report(found))
    sys.exit(not found.is_same)


@runs.command(epilog="Example: flowbook runs cancel last")
@click.argument("run")
def cancel(run: str) -> None:
    """Cancel a run, wherever it is executed, and wait until it has ended."""
    from flowbook.flow_runs import cancel_flow_run
    from flowbook.runs import find_run

    found = find_run(run)
    cancel_flow_run(found.id)
    deadline = time.monotonic() + _ENDS_WITHIN
    while (found := find_run(found.id)).ended is None and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
    title = f"Run {found.number} ({found.name}) of flow {found.flow!r}"
    if found.ended is None:
        raise FlowbookError(
            f"{title} was asked to end and has not ended within {_ENDS_WITHIN:g} seconds; its process may be busy. "
            f"`flowbook runs show {found.number}` says what has become of it."
        )
    click.echo(f"{title} is {found.state_name}" + (f": {found.message}" if found.message else "."))


@runs.command(epilog="Example: flowbook runs retry last --watch")
@click.argument("run")
@click.option("--watch", is_flag=True, help="Follow the run to its end; the exit status is 1 if it does not complete.")
def retry(run: str, watch: bool) -> None:
    """Have a run of a deployment begin anew that failed, crashed or was cancelled.

    Tasks that had completed are not executed again where their results were kept.
    """
    from flowbook import engine
    from flowbook.cli.watch import follow, warn_without_worker
    from flowbook.flow_runs import retry_flow_run
    from flowbook.runs import find_run
    from flowbook.store.queue import queued_run

    found = find_run(run)
    retry_flow_run(found.id)
    click.echo(f"Run {found.number} ({found.name}) of flow {found.flow!r} is waiting for a worker, to begin anew.")
    warn_without_worker(pool=queued_run(engine.engine().database, found.id).pool)
    if watch:
        follow(found.id)


@runs.command(epilog="Example: flowbook runs watch last")
@click.argument("run")
def watch(run: str) -> None:
    """Follow a run to its end; the exit status is 1 if it does not complete."""
    from flowbook.cli.watch import follow
    from flowbook.runs import find_run

    follow(find_run(run).id)


@runs.command(epilog="Example: flowbook runs delete 17 18 --yes")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete runs that have ended, with their sub-flows, logs, artifacts, own results and files."""
    from flowbook import engine
    from flowbook.cli.prune import say_pruned
    from flowbook.runs import find_run
    from flowbook.store.retention import delete_runs

    found = {run.id: run for run in map(find_run, names)}
    for run in found.values():
        if run.ended is None:
            raise UsageError(
                f"Run {run.number} ({run.name}) of flow {run.flow!r} has not ended: it is {run.state_name}. "
                f"Cancel it first with: flowbook runs cancel {run.number}"
            )
    if not yes:
        named = ", ".join(f"{run.number} ({run.name} of {run.flow})" for run in found.values())
        click.confirm(f"Delete {named}?", abort=True)
    opened = engine.engine()
    say_pruned(delete_runs(opened.database, opened.settings.home, list(found)))


@runs.command(epilog="Example: flowbook runs resume last --input approved=true")
@click.argument("run")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of the input that the run waits for; lists and the like as JSON. Repeatable.",
)
def resume(run: str, inputs: tuple[str, ...]) -> None:
    """Have a paused run go on."""
    from flowbook.flow_runs import resume_with_texts
    from flowbook.runs import find_run

    given = pairs(inputs, "--input", "FIELD=VALUE, such as approved=true")
    found = find_run(run)
    resume_with_texts(found.id, given)
    click.echo(f"Run {found.number} ({found.name}) of flow {found.flow!r} goes on.")


def _none_matches(flow: str | None) -> str:
    """What an empty list says: a flow that was never run may be another one that is spelt like it."""
    from flowbook.runs import flows_that_ran

    known = [] if flow is None else flows_that_ran()
    return f"No run matches.{did_you_mean(flow, known) if flow is not None and flow not in known else ''}"


class _NotComparable(click.ClickException):
    """There are no two runs to compare, which is no answer to the question."""

    exit_code = 2


def _write_page(found: Comparison, file: Path) -> None:
    from flowbook.core.comparison.page import page

    try:
        file.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise _NotComparable(f"The report cannot be written to {file}: {error.strerror}.") from None
    click.echo(f"The report is in {file}.", err=True)


def _moment_of(text: str) -> float:
    """The time that ``--since`` means, in seconds since the epoch."""
    from flowbook.core.durations import is_duration, seconds

    return time.time() - seconds(text) if is_duration(text) else instant(text, "--since").timestamp()


def show_run(run: str) -> None:
    """Print a run: the sentence, the parameters, the tasks, the graph, where its files are, and how it may go on."""
    from flowbook.core.plain import one_line, shorten
    from flowbook.core.text import sentence, task_table, text_dag
    from flowbook.runs import find_run, how_it_failed, run_folder, run_view

    found = find_run(run)
    view = run_view(found.id)
    now = time.time()
    by = f", deployment {found.deployment!r}" if found.deployment else ""
    click.echo(f"Run {found.number} · {found.name} · flow {found.flow!r}{by}")
    click.echo(sentence(view, now))
    if found.parameters:
        said = ", ".join(f"{name}={value!r}" for name, value in found.parameters.items())
        click.echo(f"Parameters: {shorten(one_line(said), _WIDEST_PARAMETERS)}")
    for part in (task_table(view, now), text_dag(view, now), how_it_failed(found, view)):
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
    if found.deployment and found.state_type in ("FAILED", "CRASHED"):
        click.echo(f"\nBegin it anew, without what had completed: flowbook runs retry {found.number}")
