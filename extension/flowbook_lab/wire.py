"""What the REST interface says of runs, workers and deployments: records of the engine as JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.view import WORDS, NodeView, RunView
from flowbook.errors import NotFound

if TYPE_CHECKING:
    from flowbook.runs import RunSummary
    from flowbook_lab.hosted_worker import HostedWorker

_FILES = ("notebook", "html", "svg")


def runs_to_json(limit: int, root: Path | None) -> list[dict[str, Any]]:
    """The latest runs, newest first, as rows of the runs list."""
    from flowbook.run_comparison import previous_runs
    from flowbook.runs import recent_runs

    runs = recent_runs(limit)
    previous = previous_runs([run.id for run in runs])
    return [summary_to_json(run, root, previous.get(run.id)) for run in runs]


def summary_to_json(run: RunSummary, root: Path | None, previous: int | None) -> dict[str, Any]:
    """A row of the runs list.

    Paths of the machine do not leave it: a kept file is given as its address below the server's base URL, and
    `notebook_path` is the executed notebook's place in the server's file browser if it can be opened there. `diff` is
    the address of what is different from the run numbered `previous`, if there is one.
    """
    links = {kind: f"flowbook/api/runs/{run.id}/files/{kind}" if getattr(run, kind) else None for kind in _FILES}
    diff = None if previous is None else f"flowbook/api/runs/{previous}/diff/{run.number}"
    row = {
        **asdict(run),
        **links,
        "notebook_path": _contents_path(run.notebook, root),
        "previous": previous,
        "diff": diff,
    }
    del row["parameters"]
    return row


def run_to_json(run: RunView) -> dict[str, Any]:
    """A run with its nodes, without its logs and parameters."""
    return {**_common(run), "flow": run.flow, "nodes": [_node(node) for node in run.nodes.values()]}


def workers_to_json(hosted: HostedWorker) -> dict[str, Any]:
    """The workers that live, and whether schedules fire.

    `starting` says that this server's own worker is not ready yet. `next_fire` is in seconds since the epoch.
    """
    from flowbook import engine
    from flowbook.schedule.standing import standing
    from flowbook.settings import current_settings
    from flowbook.store.processes import this_process

    now, own = time.time(), (this_process().host, hosted.pid)
    found = standing(engine.engine().database, now)
    workers = [
        {
            "name": worker.name,
            "pool": worker.pool,
            "host": worker.host,
            "busy": worker.busy,
            "slots": worker.slots,
            "heartbeat_age": max(0.0, now - worker.heartbeat),
            "hosted": (worker.host, worker.pid) == own,
        }
        for worker in found.workers
    ]
    return {
        "workers": workers,
        "hosting": current_settings().server_worker,
        "starting": hosted.is_coming and not any(worker["hosted"] for worker in workers),
        "deployments": found.deployments,
        "schedules": found.schedules,
        "fires": found.fires,
        "idle_pools": list(found.idle_pools),
        "next_fire": found.next_fire,
    }


def deployments_to_json() -> list[dict[str, Any]]:
    """All deployments by name, with their schedules in words. `next_fire` is in seconds since the epoch."""
    from flowbook import engine
    from flowbook.promote.options import coming_fires
    from flowbook.schedules import describe, from_dict
    from flowbook.store.deployments import all_deployments, schedules_of

    database = engine.engine().database
    found = []
    for deployment in sorted(all_deployments(database), key=lambda each: (each.name, each.flow)):
        schedules = [from_dict({**each.spec, "active": each.active}) for each in schedules_of(database, deployment.id)]
        fires = () if deployment.paused else coming_fires(schedules)
        found.append(
            {
                "name": deployment.name,
                "flow": deployment.flow,
                "version": deployment.version,
                "paused": deployment.paused,
                "schedules": [f"{describe(each)}, {each.timezone}" for each in schedules],
                "next_fire": fires[0].timestamp() if fires else None,
            }
        )
    return found


def kept_file(run_id: str, kind: str) -> tuple[str, bytes]:
    """The name and content of a file kept with a run; NotFound when the run has none, or it is gone."""
    from flowbook.runs import find_run

    run = find_run(run_id)
    kept = getattr(run, kind)
    if kept is None:
        raise NotFound(f"Run {run.number} of {run.flow} has kept no {kind}.")
    try:
        return f"{run.flow}-run-{run.number}{Path(kept).suffix}", Path(kept).read_bytes()
    except OSError as error:
        raise NotFound(f"The {kind} of run {run.number} cannot be read: {error.strerror}.") from error


def comparison_page(before: str, after: str) -> str:
    """The page that ``flowbook runs diff --html`` writes. Raises what `compare_runs` raises."""
    from flowbook.core.comparison.page import page
    from flowbook.run_comparison import compare_runs

    return page(compare_runs(before, after))


def _common(item: RunView | NodeView) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "look": item.look,
        "word": WORDS[item.look],
        "message": item.state.message if item.state else None,
        "started": item.started,
        "ended": item.ended,
    }


def _node(node: NodeView) -> dict[str, Any]:
    return {**_common(node), "upstream": list(node.upstream), "cell": node.cell, "attempts": node.attempts}


def _contents_path(path: str | None, root: Path | None) -> str | None:
    """`path` as the file browser names it; None outside of `root` and in hidden folders, which it refuses to open."""
    if path is None or root is None or not Path(path).is_relative_to(root):
        return None
    relative = Path(path).relative_to(root)
    return None if any(part.startswith(".") for part in relative.parts) else relative.as_posix()
