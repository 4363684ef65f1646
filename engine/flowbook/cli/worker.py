"""``flowbook worker``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flowbook.cli.options import moment, output_option, pool_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.schedule.service import Service

_limit_option = click.option(
    "--limit", type=click.IntRange(1), default=2, show_default=True, help="How many runs at a time."
)


@click.group()
def worker() -> None:
    """Workers execute what is due."""


@worker.command(epilog="Example: flowbook worker start --pool default --limit 4")
@click.option("--pool", default="default", show_default=True, help="The work pool whose runs it executes.")
@click.option("--work-queue", "queues", multiple=True, metavar="QUEUE", help="Only of this queue. Repeatable.")
@_limit_option
@click.option("--name", help="What the worker is called (default: host and process).")
@click.option("--run-once", is_flag=True, help="Execute what is due now, wait for it, and exit.")
def start(pool: str, queues: tuple[str, ...], limit: int, name: str | None, run_once: bool) -> None:
    """Start a worker: it fires schedules and executes runs until it is stopped (Ctrl-C, SIGTERM).

    The first signal lets runs come to their end for 30 seconds, the second ends them at once. With --run-once the exit
    status is 1 if a run did not complete.
    """
    from flowbook import engine
    from flowbook.run.lifeline import when_cut
    from flowbook.schedule.serving import hearing_signals, print_line, stopped_by_signals
    from flowbook.schedule.worker import Worker
    from flowbook.store.pools import queue_named

    made = Worker(limit=limit, pool=pool, queues=queues, name=name, said=print_line)
    for queue in queues:
        queue_named(engine.engine().database, pool, queue)
    with stopped_by_signals(made.stop):
        when_cut(lambda _process: made.stop())
        if run_once:
            count = hearing_signals(made.run_once)
            click.echo(f"{count} {'run was' if count == 1 else 'runs were'} executed.")
            if failed := made.unsuccessful():
                click.echo(f"{_not_completed(failed)} See why with: flowbook runs show {failed[0]}", err=True)
            sys.exit(bool(failed))
        print_line(f"The worker is ready, for {limit} runs of pool {pool!r} at a time. Stop it with Ctrl-C.")
        hearing_signals(made.run)


@worker.command("ls", epilog="Example: flowbook worker ls --output json")
@output_option
def ls(output: str) -> None:
    """List the workers that live, as far as their heartbeats say."""
    import time
    from dataclasses import asdict

    from flowbook import engine
    from flowbook.core.plain import duration_text
    from flowbook.store.workers import living_workers

    now = time.time()
    found = living_workers(engine.engine().database, now)
    if output == "json":
        print_json([asdict(each) for each in found])
        return
    rows = [
        {
            "Name": each.name,
            "Pool": each.pool or "(serves its own)",
            "Queues": ", ".join(each.queues) or "all",
            "Busy": f"{each.busy}/{each.slots}",
            "Host": each.host,
            "Process": str(each.pid),
            "Since": moment(each.started),
            "Heartbeat": f"{duration_text(max(0.0, now - each.heartbeat))} ago",
        }
        for each in found
    ]
    print_table(rows, "No worker is running. Start one with: flowbook worker start")


@worker.command(epilog="Example: flowbook worker install --pool default --limit 4 --now")
@pool_option
@_limit_option
@click.option("--name", help="What the worker is called (default: host and process).")
@click.option("--now", is_flag=True, help="Start it as well.")
@click.option("--print", "only_print", is_flag=True, help="Print the unit, and write nothing.")
@click.option("--force", is_flag=True, help="Replace a unit that is there and says something else.")
def install(pool: str, limit: int, name: str | None, now: bool, only_print: bool, force: bool) -> None:
    """Have systemd keep a worker of this user running, with the settings of this shell.

    The unit is written to ~/.config/systemd/user. A database URL with a password goes to a file beside, which only you
    can read.
    """
    from flowbook import engine
    from flowbook.schedule.service import has_systemd, service_for
    from flowbook.schedule.service import install as write
    from flowbook.store.pools import pool_named

    service = service_for(pool, limit, name)
    if only_print:
        click.echo(service.unit(), nl=False)
        return
    pool_named(engine.engine().database, pool)
    if not has_systemd():
        _say_cron(service)
        sys.exit(1)
    written = write(service, force=force)
    click.echo(f"{'Wrote' if written else 'Nothing has changed in'} {service.unit_path}:\n")
    click.echo(service.unit())
    if now:
        _enable(service)
        click.echo(f"The worker runs. Look at it with: systemctl --user status {service.unit_name}")
        click.echo("So that it also runs while you are not logged in: loginctl enable-linger")
        return
    click.echo("Start it now, and whenever you log in; the last one has it run while you are not logged in too:")
    for command in service.commands():
        click.echo(f"  {command}")


def _not_completed(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers))
    return f"Run {named} did not complete." if len(numbers) == 1 else f"Runs {named} did not complete."


def _say_cron(service: Service) -> None:
    """Say what to do where there is no systemd."""
    from flowbook.schedule.service import write_secrets

    write_secrets(service)
    click.echo(
        "There is no systemd here, so nothing was installed. With cron, add this line by `crontab -e`:", err=True
    )
    click.echo(service.cron_line())


def _enable(service: Service) -> None:
    import shlex
    import subprocess

    from flowbook.errors import FlowbookError

    for command in service.commands()[:2]:
        try:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
        except OSError as error:
            raise FlowbookError(f"`{command}` cannot be run: {error.strerror}.") from None
        if done.returncode != 0:
            raise FlowbookError(f"`{command}` failed: {done.stderr.strip() or f'status {done.returncode}'}")
