"""What all executions of claimed runs have in common: who they are in the record, where they work, how they fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.engine import Claimed
from flowbook.run.inline import Sequential
from flowbook.run.work import Work
from flowbook.store.queue import QueuedRun


def claimed(run: QueuedRun) -> Claimed:
    """What the engine has to know of a run that was recorded before it began."""
    return Claimed(
        fence=run.fence,
        parent_id=run.parent_id,
        tags=frozenset(run.tags),
        begins_anew=run.deployment_id is not None,
    )


def execution_folder(manifest: Mapping[str, Any]) -> Path:
    """The folder that runs are executed in: as the pool says, else where they were deployed from."""
    return Path(os.environ.get("FLOWBOOK_WORKING_DIR") or manifest["cwd"]).expanduser()


async def fail(run: QueuedRun, error: BaseException) -> None:
    """Record the run as one that began, and ended with `error`."""

    async def body(**_parameters: Any) -> None:
        raise error

    await as_flow_run(run, body)


async def as_flow_run(run: QueuedRun, body: Any, stop: Callable[[BaseException], None] | None = None) -> None:
    """Execute `body` as the flow run that is recorded already; `stop` ends it with an error when it is cancelled."""
    work = Work(name=run.flow, fn=body, is_async=True, key=f"deployment.{run.deployment_id or run.flow}")
    flow = engine.new_flow_run(
        work,
        run.parameters,
        Sequential(),
        name=run.name,
        flow_run_id=run.id,
        claimed=claimed(run),
        trigger=run.trigger,
    )
    await engine.run_flow_async(flow, stop=stop)
