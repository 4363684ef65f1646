"""Executing a run of a deployment of a notebook, in the process that has taken the run over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.durations import duration_text
from flowbook.core.states import FINAL_TYPES, cancelled, failed
from flowbook.errors import CancelRequested, FlowbookError, NotebookError, TaskTimeoutError
from flowbook.promote.called import snapshot_of_called
from flowbook.promote.claimed import as_flow_run, execution_folder, fail
from flowbook.promote.data_files import DECLARED, gone
from flowbook.promote.folder import RunFolder
from flowbook.promote.kernel import kernel_of
from flowbook.promote.kernel_process import KernelProcess
from flowbook.promote.kinds import Kind
from flowbook.promote.parameters import schema_from_json, validate
from flowbook.promote.plan import Plan, plan_of
from flowbook.runs import run_folder
from flowbook.store.queue import QueuedRun, queued_run
from flowbook.store.reaper import crash, end
from flowbook.store.snapshots import load_snapshot

if TYPE_CHECKING:
    from flowbook.promote.client import RunClient

_KERNEL_GRACE = 1.2  # seconds that the kernel has to end a flow, before it is ended itself


def execute(run: QueuedRun, manifest: Mapping[str, Any], kernel: KernelProcess | None = None) -> None:
    """Execute the run to its end, in the process of a `kernel` that is starting, if there is one.

    Raises a FlowbookError for a run that cannot begin.
    """
    plan, own = _planned(run, manifest), kernel is None
    kernel = kernel or KernelProcess(plan.manifest["kernel"])
    try:
        asyncio.run(_execute(plan, kernel))
    finally:
        if own:
            kernel.end()


def _planned(run: QueuedRun, manifest: Mapping[str, Any]) -> Plan:
    """Everything that is needed to execute the run; raises a FlowbookError that says what is missing."""
    folder = Path(manifest["cwd"]) if run.deployment_id is None else execution_folder(manifest)
    if not os.path.isdir(folder):  # noqa: PTH112 - unlike Path.is_dir, it raises nothing where we may not look
        raise NotebookError(
            f"The folder of the notebook, {folder}, is gone; runs are executed in it. Bring it back, or promote the "
            f"notebook from where it is now."
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise NotebookError(f"The folder of the notebook, {folder}, may not be opened by the user of the worker.")
    _warn_of_changed(manifest["local_imports"], folder)
    _check_data_files(manifest, folder)
    snapshot = _content(run, manifest["snapshot"])
    values = validate(schema_from_json(manifest["schema"]), run.parameters, f"run {run.name!r}")
    return plan_of(run, {**manifest, "cwd": str(folder), "kernel": kernel_of(manifest)}, snapshot, values)


def _warn_of_changed(imported: dict[str, str], folder: Path) -> None:
    """Say which of the files that the notebook imports are others than when it was promoted."""
    if imported:
        from flowbook.promote.local_code import changed_imports

        for name in changed_imports(imported, folder):
            print(f"Warning: {name} is not as it was when the notebook was promoted.")  # noqa: T201 - this is the log


def _check_data_files(manifest: Mapping[str, Any], folder: Path) -> None:
    """Raise NotebookError if one is gone that was declared. Of one that the code reads it is said beforehand."""
    for name, why in gone(manifest.get("data_files", {}), folder):
        if why == DECLARED:
            raise NotebookError(
                f"The data file {name}, which the notebook needs, is gone from {folder}. Bring it back, or promote the "
                "notebook without it (--data, --no-data)."
            )
        print(f"Warning: {name}, which the notebook reads, is gone from {folder}.")  # noqa: T201 - this is the log


def _content(run: QueuedRun, sha: str) -> bytes:
    """The notebook as it was promoted, or called."""
    if run.deployment_id is None:
        return snapshot_of_called(run)
    before = engine.engine().settings.home / "snapshots" / f"{sha}.ipynb"
    return load_snapshot(engine.engine().database, sha, before)


async def _execute(plan: Plan, kernel: KernelProcess) -> None:
    from flowbook.promote.client import RunClient

    folder = RunFolder(run_folder(plan.run.id), plan.notebook, plan.manifest.get("output"))
    folder.write_facts(plan.facts(folder.write_snapshot(plan.snapshot)))
    folder.save(growing=True)
    timeouts = plan.manifest.get("timeouts", {})
    client = RunClient(plan.notebook, kernel=kernel, changed=folder.changed, cell_timeout=timeouts.get("cell"))
    loop = asyncio.get_running_loop()
    if limit := timeouts.get("run"):
        loop.call_later(limit, _out_of_time, plan, client, limit)
    loop.add_signal_handler(signal.SIGTERM, client.stop, SystemExit(_told_to_stop(plan.run)))
    loop.add_signal_handler(signal.SIGINT, _interrupt, plan.run, client)
    saver = asyncio.create_task(_save_as_it_grows(folder))
    try:
        await (_run_flow(plan, client, folder) if plan.kind is Kind.FLOW else _run_cells(plan, client, folder))
    finally:
        saver.cancel()
        folder.save_if_possible()
        if plan.run.deployment_id is not None:  # whoever called the notebook waits, and these take longer than a cell
            folder.write_pictures(plan.run.id)


def _told_to_stop(run: QueuedRun) -> str:
    if run.deployment_id is None:
        return "SIGTERM: the process that executes the run was told to stop"
    return "SIGTERM: the worker was told to stop, and did not wait any longer"


def _out_of_time(plan: Plan, client: RunClient, limit: float) -> None:
    from flowbook.promote.flow_cells import flow_is_called

    error = TaskTimeoutError(f"The run took longer than its timeout of {duration_text(limit)}.")
    if plan.kind is Kind.FLOW and flow_is_called(plan):
        client.stop(error)  # to the kernel, which records this run, an interrupt would be that of a person
    else:
        client.cancel(error)


def _interrupt(run: QueuedRun, client: RunClient) -> None:
    """Ctrl-C cancels the run, as a request from elsewhere does."""
    asked = engine.engine().watcher.find(run.id)
    if asked is None:
        client.stop(KeyboardInterrupt())
    else:
        asked.cancel("Interrupted.")


def _run_cells(plan: Plan, client: RunClient, folder: RunFolder) -> Coroutine[Any, Any, None]:
    from flowbook.promote.cell_runs import run_cells

    async def body(**_parameters: Any) -> None:
        async with _kernel(plan, client, folder):
            await run_cells(plan, client, folder)
        folder.save()  # a run whose notebook cannot be kept has not succeeded

    return as_flow_run(plan.run, body, stop=client.cancel)


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
    if state in FINAL_TYPES or state == "PAUSED":  # one that is suspended has no error
        return
    if state == "PENDING" and not isinstance(error, KernelDied):
        await fail(run, error)
    elif isinstance(error, CancelRequested):
        end(database, run.id, cancelled(str(error)))
    elif isinstance(error, TaskTimeoutError):
        end(database, run.id, failed(error))
    else:
        crash(database, run.id, str(error) or type(error).__name__)


def _kernel(plan: Plan, client: RunClient, folder: RunFolder) -> Any:
    from flowbook.promote.kernel import started_kernel

    return started_kernel(plan, client, folder)


async def _save_as_it_grows(folder: RunFolder) -> None:
    while True:
        await asyncio.sleep(0.5)
        if folder.is_due:
            folder.save_if_possible(growing=True)
