"""Executing a run of a deployment of a Python flow, in the process that has taken the run over."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.parameters import bind
from flowbook.core.states import describe_error
from flowbook.errors import CancelRequested, FlowbookError
from flowbook.promote.claimed import claimed, execution_folder
from flowbook.store.queue import QueuedRun
from flowbook.store.snapshots import load_snapshot

if TYPE_CHECKING:
    from flowbook.flows import Flow

_OURS = Path(__file__).parents[1]
_TOLD_TO_STOP = "SIGTERM: the worker was told to stop, and did not wait any longer"


def execute(run: QueuedRun, manifest: Mapping[str, Any]) -> None:
    """Execute the run to its end; raises a FlowbookError for one that cannot begin."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        flow = load_flow(manifest)
    except FlowbookError as error:
        if error.__cause__ is not None:  # what went wrong in the user's file
            _print_traceback(error.__cause__)
        raise
    parameters = bind(flow.fn, f"flow {flow.name!r}", (), run.parameters)
    try:
        begun = flow.begin(parameters, flow_run_id=run.id, claimed=claimed(run), name=run.name, trigger=run.trigger)
    except FlowbookError:
        raise
    except Exception as error:  # code of the user that is called before the run begins, such as a flow_run_name
        _print_traceback(error)
        raise FlowbookError(f"Flow {flow.name!r} could not begin: {describe_error(error)}.") from None
    try:
        finished = flow.finish(begun)
        if inspect.isawaitable(finished):
            import asyncio

            asyncio.run(_awaited(finished))
    except Exception as error:  # what it ended with is recorded
        if begun.has_ended():
            _print_traceback(error)
    except (SystemExit, KeyboardInterrupt, CancelRequested):
        pass


def _print_traceback(error: BaseException) -> None:
    """Say where it went wrong, from the code of the user on: this is in the log of the run."""
    innermost = error.__traceback__
    while innermost is not None and Path(innermost.tb_frame.f_code.co_filename).is_relative_to(_OURS):
        innermost = innermost.tb_next
    if innermost is not None:
        traceback.print_exception(type(error), error, innermost)


def load_flow(manifest: Mapping[str, Any]) -> Flow[..., Any]:
    """The flow that a version runs: from its snapshot, in the folder that runs are executed in."""
    folder = execution_folder(manifest)
    if not folder.is_dir():
        raise FlowbookError(f"The folder {folder}, which the flow was deployed from, is gone; runs are executed in it.")
    os.chdir(folder)
    _search(folder)
    _warn_of_changes(manifest, folder)
    content = load_snapshot(engine.engine().database, manifest["snapshot"])
    if manifest["kind"] == "pickle":
        from flowbook.promote.pickled import unpickle_flow

        _search(_root(manifest, folder))
        return unpickle_flow(content, engine.engine().settings.home)
    from flowbook.entrypoints import load_from_code
    from flowbook.flows import Flow

    source = Path(manifest["source"])
    if not source.is_file() and source.is_relative_to(manifest["root"]):  # another machine has it elsewhere
        source = _root(manifest, folder) / source.relative_to(manifest["root"])
    return load_from_code(content, source, manifest["flow"], Flow)


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _root(manifest: Mapping[str, Any], folder: Path) -> Path:
    """The folder that its imports begin in, if runs are executed in `folder`."""
    return Path(manifest["root"]) if folder == Path(manifest["cwd"]) else folder


def _warn_of_changes(manifest: Mapping[str, Any], folder: Path) -> None:
    from flowbook.promote.local_code import changed_imports

    for name in changed_imports(manifest["local_imports"], _root(manifest, folder)):
        print(f"Warning: {name} is not as it was when the flow was deployed.")  # noqa: T201 - this is the log


async def _awaited(finished: Any) -> Any:
    return await finished


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(_TOLD_TO_STOP)
