"""Following a run from the terminal to its end."""

from __future__ import annotations

import sys
import time

import click

_LOOK_EVERY = 0.25  # seconds
_FILES_WITHIN = 20.0  # seconds after the end, in which the executing process writes the page and the picture


def follow(run_id: str) -> None:
    """Print the changes of a run until it has ended, then show it; exits with status 1 unless it completed."""
    from flowbook.cli.runs import show_run
    from flowbook.core.text import sentence
    from flowbook.runs import run_view

    said = ""
    while True:
        view = run_view(run_id)
        now = sentence(view, time.time())
        if view.state is not None and view.state.is_final():
            break
        progress = sentence(view)
        if progress != said:
            click.echo(now)
            said = progress
        time.sleep(_LOOK_EVERY)
    _wait_for_files(run_id)
    show_run(run_id)
    if not view.state.is_completed():
        sys.exit(1)


def warn_without_worker(*, pool: str | None) -> None:
    """Say so if nobody is there to execute runs of this pool; None is one that ``serve`` executes."""
    from flowbook import engine
    from flowbook.store.workers import living_workers

    if any(worker.pool == pool for worker in living_workers(engine.engine().database, time.time())):
        return
    if pool is None:
        click.echo("Nobody serves it now: run the program that calls serve().", err=True)
        return
    option = "" if pool == "default" else f" --pool {pool}"
    click.echo(f"No worker is running. Start one with: flowbook worker start{option}", err=True)


def _wait_for_files(run_id: str) -> None:
    """The executed notebook is there; its page and picture are made after the run has ended."""
    from flowbook.runs import find_run, run_folder

    if find_run(run_id).deployment is None:  # of a notebook that was called there is no page
        return
    page = run_folder(run_id) / "notebook.html"
    deadline = time.monotonic() + _FILES_WITHIN
    while page.parent.is_dir() and not page.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
