"""Executing a notebook in the process of the command line, which says what becomes of its cells."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flowbook.core.view import RunReducer
    from flowbook.promote.kernel_process import KernelProcess
    from flowbook.store.queue import QueuedRun

_LOOK_EVERY = 0.25  # seconds
_CANCELLED = 130  # what a shell says of a program that Ctrl-C has ended


def execute_here(run: QueuedRun, output: str | None, *, quiet: bool, kernel: KernelProcess) -> int:
    """Execute a run that this process has in the process of `kernel`; returns the exit status."""
    from flowbook.core.text import sentence
    from flowbook.promote.execute import execute_called
    from flowbook.runs import run_folder, run_view

    with _progress(run, quiet=quiet), redirect_stdout(sys.stderr):
        execute_called(run, kernel)
    view = run_view(run.id)
    kept = run_folder(run.id) / "notebook.ipynb"
    if output is not None:
        _hand_over(kept, output)
    if not quiet:
        click.echo(f"Run {run.number} ({run.name}) of {run.flow!r}: {output or kept}", err=True)
    is_completed = view.state is not None and view.state.is_completed()
    if not (quiet and is_completed):
        click.echo(sentence(view), err=True)
    return 0 if is_completed else _CANCELLED if view.look == "cancelled" else 1


def _hand_over(kept: Path, output: str) -> None:
    """The last state of the executed notebook, wherever it could not be written while it grew."""
    from flowbook.store.files import replace_file

    try:
        if kept.exists():  # a run that could not begin has none
            replace_file(Path(output), kept.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}. The notebook is {kept}.") from None


@contextmanager
def _progress(run: QueuedRun, *, quiet: bool) -> Iterator[None]:
    """Say of each cell and task what became of it, as the record tells: some of them the kernel records."""
    if quiet:
        yield
        return
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(run.id, ended), name="flowbook-progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell(run_id: str, ended: threading.Event) -> None:
    from flowbook import engine
    from flowbook.core.view import RunReducer
    from flowbook.store.events import events_of

    opened = engine.engine()
    reducer = RunReducer(run_id)
    told: set[str] = set()
    is_last = False
    while not is_last:
        is_last = ended.wait(_LOOK_EVERY)
        if is_last:
            opened.journal.flush()
        events = events_of(opened.database, run_id, after=reducer.view.last_seq)
        if events:
            reducer.apply(events)
            _tell_changed(reducer, told)


def _tell_changed(reducer: RunReducer, told: set[str]) -> None:
    """A line for each node that has come to its end."""
    from flowbook.core.plain import duration_text, one_line
    from flowbook.core.view import WORDS

    nodes = reducer.view.nodes
    for node_id in [each for each in nodes if each in reducer.changed and each not in told]:
        node = nodes[node_id]
        if node.state is not None and node.state.is_final():
            told.add(node_id)
            took = node.duration()
            after = "" if took is None else f" ({duration_text(took)})"
            click.echo(f"{one_line(node.name)}: {WORDS[node.look].lower()}{after}", err=True)
    reducer.changed.clear()
