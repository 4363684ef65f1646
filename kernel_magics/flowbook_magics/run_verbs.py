"""The verbs of ``%runs``."""

from __future__ import annotations

from flowbook.cells.grammar import Command, Parsed
from flowbook.errors import UsageError
from flowbook.flow_runs import cancel_flow_run, retry_flow_run
from flowbook.runs import RunSummary, find_run
from flowbook_magics import commands
from flowbook_magics.session import Session
from flowbook_magics.tables import Marked, Text


def show(_session: Session, said: Parsed) -> Marked:
    """Show a run as it is now."""
    from flowbook_magics.reports import run_report

    return run_report(_run(commands.RUNS_SHOW, said))


def open_executed(session: Session, said: Parsed) -> Text | None:
    """Show a link to the executed notebook of a run."""
    from flowbook_magics.executed import executed

    if session.unattended is not None:
        session.unattended.ignored("%runs open")
        return None
    return executed(session.shell, _run(commands.RUNS_OPEN, said))


def diff(_session: Session, said: Parsed) -> Marked:
    """Compare two runs."""
    from flowbook.core.comparison.page import fragment
    from flowbook.core.comparison.report import report
    from flowbook.run_comparison import compare_runs

    if len(said.words) < 2:
        raise UsageError(f"%runs diff needs two runs: their numbers or names, as in {commands.RUNS_DIFF.example}.")
    found = compare_runs(*said.words)
    return Marked(report(found), fragment(found))


def retry(_session: Session, said: Parsed) -> Text:
    """Have a run begin anew."""
    run = _run(commands.RUNS_RETRY, said)
    retry_flow_run(run.id)
    return Text(f"Run {run.number} ({run.name}) of flow {run.flow!r} is waiting for a worker, to begin anew.")


def cancel(_session: Session, said: Parsed) -> Text:
    """Cancel a run."""
    run = _run(commands.RUNS_CANCEL, said)
    state = cancel_flow_run(run.id)
    return Text(f"Run {run.number} ({run.name}) of flow {run.flow!r} is {state.name}.")


def _run(command: Command, said: Parsed) -> RunSummary:
    if not said.words:
        raise UsageError(f"{command.name} needs a run: its number, its name, or `last`, as in {command.example}.")
    return find_run(said.words[0])


#: What the verbs of ``%runs`` do.
ACTS = {
    commands.RUNS_SHOW: show,
    commands.RUNS_OPEN: open_executed,
    commands.RUNS_DIFF: diff,
    commands.RUNS_RETRY: retry,
    commands.RUNS_CANCEL: cancel,
}
