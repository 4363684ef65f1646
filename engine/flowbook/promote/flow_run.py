"""Executing a run of a deployment of a Python flow, in the process that has taken the run over."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.errors import FlowbookError
from flowbook.promote.claimed import claimed, execution_folder
from flowbook.store.queue import QueuedRun
from flowbook.store.snapshots import load_snapshot

if TYPE_CHECKING:
    from flowbook.flows import Flow

_TOLD_TO_STOP = "SIGTERM: the worker was told to stop, and did not wait any longer"


def execute(run: QueuedRun, manifest: Mapping[str, Any]) -> None:
    """Execute the run to its end; raises a FlowbookError for one that cannot begin."""
    signal.signal(signal.SIGTERM, _stop)
    flow = load_flow(manifest)
    begun = flow.begin(run.parameters, flow_run_id=run.id, claimed=claimed(run), name=run.name, trigger=run.trigger)
    with suppress(Exception, SystemExit, KeyboardInterrupt):  # what it ended with is recorded
        finished = flow.finish(begun)
        if inspect.isawaitable(finished):
            import asyncio

            asyncio.run(_awaited(finished))


def load_flow(manifest: Mapping[str, Any]) -> Flow[..., Any]:
    """The flow that a version runs: from its snapshot, in the folder that runs are executed in."""
    folder = execution_folder(manifest)
    if not folder.is_dir():
        raise FlowbookError(f"The folder {folder}, which the flow was deployed from, is gone; runs are executed in it.")
    os.chdir(folder)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    _warn_of_changes(manifest, folder)
    content = load_snapshot(engine.engine().database, manifest["snapshot"])
    if manifest["kind"] == "pickle":
        from flowbook.promote.pickled import unpickle_flow

        return unpickle_flow(content, engine.engine().settings.home)
    from flowbook.entrypoints import load_from_code
    from flowbook.flows import Flow

    return load_from_code(content, Path(manifest["source"]), manifest["flow"], Flow)


def _warn_of_changes(manifest: Mapping[str, Any], folder: Path) -> None:
    from flowbook.promote.local_code import changed_imports

    for name in changed_imports(
        manifest["local_imports"], Path(manifest["root"]) if folder == Path(manifest["cwd"]) else folder
    ):
        print(f"Warning: {name} is not as it was when the flow was deployed.")  # noqa: T201 - this is the log


async def _awaited(finished: Any) -> Any:
    return await finished


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(_TOLD_TO_STOP)
