"""The process that executes one run of a deployment: ``python -m flowbook.promote.execute FLOW_RUN_ID``.

Whatever happens in it, the run ends in a final state that tells the cause. What happens *to* it (it is killed) is told
by the worker that waits for it, or by the reaper.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.states import FINAL_TYPES, cancelled
from flowbook.errors import CancelRequested, FlowbookError, NotebookError
from flowbook.promote.folder import RunFolder
from flowbook.promote.imports import skip_grammar_of_iris
from flowbook.promote.kinds import Kind
from flowbook.promote.local_code import changed_imports
from flowbook.promote.notebook import load_snapshot, snapshot_path
from flowbook.promote.parameters import schema_from_json, validate
from flowbook.promote.plan import Plan, plan_of
from flowbook.run.inline import Sequential
from flowbook.run.work import Work
from flowbook.runs import run_folder
from flowbook.store.deployments import manifest_of
from flowbook.store.processes import this_process
from flowbook.store.queue import QueuedRun, queued_run, take_over
from flowbook.store.reaper import crash, end

if TYPE_CHECKING:
    from flowbook.promote.client import RunClient

_KERNEL_GRACE = 1.2  # seconds that the kernel has to end a flow, before it is ended itself


def main(arguments: list[str]) -> int:
    """Execute the run that was claimed for us; returns the exit status.

    The second argument is the fence of the claim; without it, the claim that is in force is ours.
    """
    database = engine.engine().database
    run = queued_run(database, arguments[0])
    fence = int(arguments[1]) if len(arguments) > 1 else run.fence
    if not take_over(database, run.id, fence, this_process()):
        print(f"Run {run.id} has ended, or another process has it.", file=sys.stderr)  # noqa: T201
        return 1
    try:
        plan = _planned(run, manifest_of(database, run.deployment_id, run.version))
    except FlowbookError as error:
        asyncio.run(_fail(run, error))
        return 1
    asyncio.run(_execute(plan))
    return 0


def _planned(run: QueuedRun, manifest: Mapping[str, Any]) -> Plan:
    """Everything that is needed to execute the run; raises a FlowbookError that says what is missing."""
    folder = Path(manifest["cwd"])
    if not folder.is_dir():
        raise NotebookError(f"The folder of the notebook, {folder}, is gone; runs are executed in it.")
    for name in changed_imports(manifest["local_imports"], folder):
        print(f"Warning: {name} is not as it was when the notebook was promoted.")  # noqa: T201 - this is the log
    notebook = load_snapshot(engine.engine().settings.home, manifest["snapshot"])
    values = validate(schema_from_json(manifest["schema"]), run.parameters, f"run {run.name!r}")
    return plan_of(run, manifest, notebook, values)


async def _execute(plan: Plan) -> None:
    from flowbook.promote.client import RunClient

    folder = RunFolder(run_folder(plan.run.id), plan.notebook)
    folder.write_facts(plan.facts(snapshot_path(engine.engine().settings.home, plan.manifest["snapshot"])))
    folder.save()
    client = RunClient(plan.notebook, kernel=plan.manifest["kernel"], changed=folder.changed)
    for number, reason in (
        (signal.SIGTERM, SystemExit("SIGTERM: the worker was told to stop, and did not wait any longer")),
        (signal.SIGINT, KeyboardInterrupt()),
    ):
        asyncio.get_running_loop().add_signal_handler(number, client.stop, reason)
    saver = asyncio.create_task(_save_as_it_grows(folder))
    try:
        await (_run_flow(plan, client, folder) if plan.kind is Kind.FLOW else _run_cells(plan, client, folder))
    finally:
        saver.cancel()
        folder.save()
        folder.write_pictures(plan.run.id)


def _run_cells(plan: Plan, client: RunClient, folder: RunFolder) -> Coroutine[Any, Any, None]:
    from flowbook.promote.cell_runs import run_cells

    async def body(**_parameters: Any) -> None:
        async with _kernel(plan, client, folder):
            await run_cells(plan, client, folder)

    return _as_flow_run(plan.run, body, stop=client.cancel)


async def _run_flow(plan: Plan, client: RunClient, folder: RunFolder) -> None:
    from flowbook.promote.flow_cells import run_defined_flow

    watcher = engine.engine().watcher
    watcher.enter(plan.run.id, _InKernel(plan, client))
    try:
        async with _kernel(plan, client, folder):
            await run_defined_flow(plan, client, folder)
    except Exception as error:
        await _make_final(plan.run, error)
    except (KeyboardInterrupt, SystemExit, CancelRequested) as error:
        await _make_final(plan.run, error)
    else:
        await _make_final(plan.run, FlowbookError("The flow ended, and its final state was not recorded."))
    finally:
        watcher.leave(plan.run.id)


class _InKernel:
    """A flow run that the kernel executes and records. What is asked of it once it has begun, the kernel answers."""

    def __init__(self, plan: Plan, client: RunClient) -> None:
        self._plan = plan
        self._client = client
        self._loop = asyncio.get_running_loop()

    def cancel(self, reason: str) -> None:
        """End the kernel: at once if it has not come to the flow, else if it does not end that itself."""
        self._loop.call_soon_threadsafe(self._cancel, CancelRequested(reason))

    def resume(self, data: Mapping[str, Any]) -> bool:
        """Left to the kernel."""
        return False

    def _cancel(self, error: CancelRequested) -> None:
        from flowbook.promote.flow_cells import flow_is_called

        if flow_is_called(self._plan):
            self._loop.call_later(_KERNEL_GRACE, self._client.stop, error)
        else:
            self._client.cancel(error)


async def _make_final(run: QueuedRun, error: BaseException) -> None:
    """End the run with `error`, if the kernel has not ended it."""
    from flowbook.promote.client import KernelDied

    database = engine.engine().database
    state = queued_run(database, run.id).state_type
    if state in FINAL_TYPES:
        return
    if state == "PENDING" and not isinstance(error, KernelDied):
        await _fail(run, error)
    elif isinstance(error, CancelRequested):
        end(database, run.id, cancelled(str(error)))
    else:
        crash(database, run.id, str(error) or type(error).__name__)


async def _fail(run: QueuedRun, error: BaseException) -> None:
    """Record the run as one that began, and ended with `error`."""

    async def body(**_parameters: Any) -> None:
        raise error

    await _as_flow_run(run, body)


async def _as_flow_run(run: QueuedRun, body: Any, stop: Callable[[BaseException], None] | None = None) -> None:
    """Execute `body` as the flow run that is recorded already; `stop` ends it with an error when it is cancelled."""
    work = Work(name=run.flow, fn=body, is_async=True, key=f"deployment.{run.deployment_id}")
    flow = engine.new_flow_run(
        work, run.parameters, Sequential(), name=run.name, flow_run_id=run.id, recorded=True, trigger=run.trigger
    )
    await engine.run_flow_async(flow, stop=stop)


def _kernel(plan: Plan, client: RunClient, folder: RunFolder) -> Any:
    from flowbook.promote.kernel import started_kernel

    return started_kernel(plan, client, folder)


async def _save_as_it_grows(folder: RunFolder) -> None:
    while True:
        await asyncio.sleep(0.5)
        folder.save_if_due()


if __name__ == "__main__":
    skip_grammar_of_iris()
    sys.exit(main(sys.argv[1:]))
