"""The process that executes one run of a deployment: ``python -m flowbook.promote.execute FLOW_RUN_ID FENCE``.

It executes a run of a notebook that another process has called as well.

Whatever happens in it, the run ends in a final state that tells the cause. What happens *to* it (it is killed) is told
by the process that waits for it, or by the reaper.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.states import cancelled
from flowbook.errors import CancelRequested, FlowbookError
from flowbook.run import logs
from flowbook.run.lifeline import when_cut
from flowbook.store.deployments import manifest_of
from flowbook.store.processes import this_process
from flowbook.store.queue import QueuedRun, queued_run, take_over
from flowbook.store.reaper import end

if TYPE_CHECKING:
    from flowbook.promote.kernel_process import KernelProcess


def main(arguments: list[str]) -> int:
    """Execute the run that was claimed for us; returns the exit status.

    The second argument is the fence of the claim; without it, the claim that is in force is ours.
    """
    given = dict(os.environ)
    gc.disable()  # what is imported stays; looking through it now, and again at the end, is a fifth of what a run costs
    opened = engine.engine()
    run = queued_run(opened.database, arguments[0])
    fence = int(arguments[1]) if len(arguments) > 1 else run.fence
    if fence != run.fence or not take_over(opened.database, run.id, fence, this_process()):
        print(f"Run {run.id} has ended, or another process has it.", file=sys.stderr)  # noqa: T201
        return 1
    opened.journal.claims.hold(run.id, fence)
    _end_with_worker(run)
    logs.quiet_terminal()
    return _execute_to_end(run, ("flowbook.promote.execute", *arguments), given)


def execute_called(run: QueuedRun, kernel: KernelProcess | None = None) -> None:
    """Execute a run that this process has recorded, and that no deployment has, to its end.

    It is executed in the process of a `kernel` that is starting, if there is one.
    """
    engine.engine().journal.claims.hold(run.id, run.fence)
    logs.quiet_terminal()
    try:
        _execute_to_end(run, kernel=kernel)
    except KeyboardInterrupt:  # before the run could hear of it
        end(engine.engine().database, run.id, cancelled("Interrupted."))


def _execute_to_end(
    run: QueuedRun,
    module: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    kernel: KernelProcess | None = None,
) -> int:
    """Returns the exit status. `module` and `env` begin this process anew, in another environment."""
    try:
        manifest = _manifest(run)
        if env is not None and manifest.get("lock") is not None:
            from flowbook.promote.environment import go_on_inside, is_wanted

            if is_wanted():
                go_on_inside(run, manifest, module, env)
        _limit_memory()
        if manifest["kind"] in ("python", "pickle"):
            from flowbook.promote.flow_run import execute
        else:
            from flowbook.promote import notebook_run
            from flowbook.promote.imports import spare_formats

            spare_formats()
            execute = partial(notebook_run.execute, kernel=kernel)
        gc.freeze()
        gc.enable()
        execute(run, manifest)
        _let_go(run)
    except FlowbookError as error:
        import asyncio

        from flowbook.promote.claimed import fail

        asyncio.run(fail(run, error))
        return 1
    except CancelRequested as error:  # before it began
        end(engine.engine().database, run.id, cancelled(str(error)), fence=run.fence)
        return 1
    return 0


def _manifest(run: QueuedRun) -> Mapping[str, Any]:
    if run.deployment_id is None or run.version is None:
        from flowbook.promote.called import manifest_of_called

        return manifest_of_called(run)
    return manifest_of(engine.engine().database, run.deployment_id, run.version)


def _let_go(run: QueuedRun) -> None:
    """What its tasks left for a retry is not needed once the run has completed; one that is suspended is nobody's."""
    database = engine.engine().database
    state = queued_run(database, run.id).state_type
    if state == "COMPLETED" and run.deployment_id is not None:
        from flowbook.recovery import forget

        forget(run.id)
    elif state == "PAUSED":
        from flowbook.store.events import last_state_of
        from flowbook.store.queue import suspend

        suspend(database, run, last_state_of(database, run.id).get("timeout"))


def _end_with_worker(run: QueuedRun) -> None:
    """End the run as Crashed, and this process with all of its group, when the worker that started it is gone."""

    def end(worker: int) -> None:
        try:
            whose = "Its worker" if run.deployment_id is not None else "Whoever called it"
            _give_up(run, f"{whose}, process {worker}, is gone.")
        finally:
            os.killpg(0, signal.SIGKILL)

    when_cut(end)


def _give_up(run: QueuedRun, message: str) -> None:
    from flowbook.run.leftovers import end_kernel
    from flowbook.runs import run_folder
    from flowbook.store.reaper import crash

    end_kernel(run_folder(run.id))
    crash(engine.engine().database, run.id, message, fence=run.fence)


def _limit_memory() -> None:
    """Let the processes of this run allocate as much as the pool says: what wants more gets a MemoryError."""
    megabytes = os.environ.pop("FLOWBOOK_MEMORY_MB", "")
    if megabytes.isdigit():
        import resource

        most = int(megabytes) << 20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
