"""Comparing two runs of the history, and finding what they left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.comparison import Comparison, Side, compare
from flowbook.errors import NotFound, StoreError, UsageError
from flowbook.runs import RunSummary, find_run, run_view

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["compare_runs", "executed_notebook", "previous_runs"]

_LOG_LINES = 200


def compare_runs(before: str | int, after: str | int) -> Comparison:
    """Compare two runs, by what :func:`flowbook.runs.find_run` understands.

    Raises NotFound for a run that there is not, UsageError for one that has not ended or for the same one twice, and
    StoreError for an executed notebook that cannot be read.
    """
    first, second = find_run(before), find_run(after)
    if first.id == second.id:
        raise UsageError(f"Both are run {first.number} ({first.name}); name two runs, such as `prev` and `last`.")
    for run in (first, second):
        if run.ended is None:
            raise UsageError(
                f"Run {run.number} ({run.name}) of flow {run.flow!r} has not ended: it is {run.state_name}. "
                f"`flowbook runs watch {run.number}` follows it to its end."
            )
    return compare(_side(first), _side(second))


def previous_runs(run_ids: Collection[str]) -> dict[str, int]:
    """For each of these runs that has ended, by its id, the number of the run to compare it with.

    That is the latest one before it that has ended, of the same deployment, or of the same flow without one. Runs
    before which there is none are left out.
    """
    from sqlalchemy import desc, select

    from flowbook.store.schema import flow_run

    earlier = flow_run.alias()
    previous = (
        select(earlier.c.number)
        .where(earlier.c.flow == flow_run.c.flow)
        .where(earlier.c.deployment_id.is_not_distinct_from(flow_run.c.deployment_id))
        .where(earlier.c.number < flow_run.c.number, earlier.c.ended.is_not(None), earlier.c.parent_id.is_(None))
        .order_by(desc(earlier.c.number))
        .limit(1)
        .scalar_subquery()
    )
    query = select(flow_run.c.id, previous).where(flow_run.c.id.in_(run_ids), flow_run.c.ended.is_not(None))
    with engine.engine().database.read() as connection:
        return {run_id: number for run_id, number in connection.execute(query) if number is not None}


def executed_notebook(run: str | int) -> Path:
    """Where the executed notebook of a run is kept. Raises NotFound for a run that has none."""
    found = find_run(run)
    if found.notebook is None:
        raise NotFound(
            f"Run {found.number} ({found.name}) of flow {found.flow!r} has no executed notebook: only unattended runs "
            "of notebooks keep one, on the machine that executed them. "
            f"`flowbook runs logs {found.number}` shows its log."
        )
    return Path(found.notebook)


def _side(run: RunSummary) -> Side:
    version, manifest = _version(run)
    return Side(
        number=run.number,
        view=run_view(run.id, keep_logs=_LOG_LINES),
        deployment=run.deployment,
        version=version,
        defaults={each["name"]: each["default"] for each in manifest.get("schema", ()) if each.get("default")},
        notebook=_notebook(run),
        source=_program(manifest),
    )


def _version(run: RunSummary) -> tuple[int | None, dict[str, Any]]:
    """The version of the deployment that the run executed, and its manifest; None and nothing for other runs."""
    from flowbook.store.deployments import manifest_of
    from flowbook.store.queue import queued_run

    if run.deployment is None:
        return None, {}
    database = engine.engine().database
    queued = queued_run(database, run.id)
    assert queued.deployment_id is not None
    assert queued.version is not None
    try:
        return queued.version, manifest_of(database, queued.deployment_id, queued.version)
    except NotFound:  # the version is gone, and the run is still worth comparing
        return queued.version, {}


def _notebook(run: RunSummary) -> dict[str, Any] | None:
    if run.notebook is None:
        return None
    try:
        notebook = json.loads(Path(run.notebook).read_text(encoding="utf-8"))
        if isinstance(notebook, dict) and all(isinstance(cell, dict) for cell in notebook["cells"]):
            return notebook
        why = "it holds no cells"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error)
    raise StoreError(f"The executed notebook of run {run.number}, {run.notebook}, cannot be read: {why}.")


def _program(manifest: Mapping[str, Any]) -> str | None:
    """The file of a Python flow as the version captured it; None for other runs, and if it is not kept any more."""
    from flowbook.store.snapshots import load_snapshot

    if manifest.get("kind") != "python":
        return None
    try:
        return load_snapshot(engine.engine().database, manifest["snapshot"]).decode("utf-8", "replace")
    except NotFound:
        return None
