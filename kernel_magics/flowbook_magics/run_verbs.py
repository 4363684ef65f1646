"""``%runs retry`` and ``%runs cancel``."""

from __future__ import annotations

from flowbook.cells.grammar import Command, Parsed
from flowbook.errors import UsageError
from flowbook.flow_runs import cancel_flow_run, retry_flow_run
from flowbook.runs import RunSummary, find_run
from flowbook_magics import commands
from flowbook_magics.tables import Text


def retry(said: Parsed) -> Text:
    """Have a run begin anew."""
    run = _run(commands.RUNS_RETRY, said)
    retry_flow_run(run.id)
    return Text(f"Run {run.number} ({run.name}) of flow {run.flow!r} is waiting for a worker, to begin anew.")


def cancel(said: Parsed) -> Text:
    """Cancel a run."""
    run = _run(commands.RUNS_CANCEL, said)
    state = cancel_flow_run(run.id)
    return Text(f"Run {run.number} ({run.name}) of flow {run.flow!r} is {state.name}.")


def _run(command: Command, said: Parsed) -> RunSummary:
    if not said.words:
        raise UsageError(f"{command.name} needs a run: its number, its name, or `last`, as in {command.example}.")
    return find_run(said.words[0])


#: What the verbs of ``%runs`` do.
ACTS = {commands.RUNS_RETRY: retry, commands.RUNS_CANCEL: cancel}
