"""Executing the cells of a notebook in order, each as a task run; task cells are run by the kernel itself."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from flowbook import engine
from flowbook.core.states import cancelled, crashed
from flowbook.errors import CancelRequested
from flowbook.promote.cells import Role
from flowbook.promote.client import CellFailed, KernelDied, RunClient
from flowbook.promote.folder import RunFolder
from flowbook.promote.injection import injection
from flowbook.promote.kinds import Kind
from flowbook.promote.marks import mark, show_values
from flowbook.promote.plan import Plan, Step
from flowbook.promote.task_cells import join_records
from flowbook.promote.unattended import BEGIN, FINISH, SET_PARAMETERS, enter_cell
from flowbook.run.future import Future
from flowbook.run.work import Work


async def run_cells(plan: Plan, client: RunClient, folder: RunFolder) -> None:
    """Execute all cells; raises the error of the first one that fails, and then the others are not executed."""
    futures: dict[int, Future[Any]] = {}
    if plan.kind is Kind.PLAIN:
        await _run_in_order(plan, client, folder, futures)
        return
    ending = crashed("The run ended before it did.")
    try:
        await _run_with_tasks(plan, client, folder, futures)
    except (KernelDied, SystemExit, KeyboardInterrupt) as error:
        ending = crashed(str(error) or "Interrupted.")
        raise
    except CancelRequested as error:
        ending = cancelled(str(error))
        raise
    finally:
        join_records(plan, {index: future.task_run_id for index, future in futures.items()}, ending=ending)


async def _run_with_tasks(plan: Plan, client: RunClient, folder: RunFolder, futures: dict[int, Future[Any]]) -> None:
    await client.run_code(BEGIN)
    try:
        await _run_in_order(plan, client, folder, futures)
    except CellFailed as error:
        # Tasks that run already come to their end. One that failed is the cause; a cell that needs it only followed.
        followed = type(error).__name__ == "UpstreamTaskError"
        with contextlib.suppress(*(() if followed else (CellFailed,))):
            await client.run_code(FINISH)
        raise
    await client.run_code(FINISH)


async def _run_in_order(plan: Plan, client: RunClient, folder: RunFolder, futures: dict[int, Future[Any]]) -> None:
    for step in plan.steps:
        if plan.kind is Kind.CELLS:
            await client.run_code(enter_cell(step.cell.index, plain=step.role is not Role.TASK))
        if step.recorded:
            await _run_recorded(step, client, plan, futures)
        else:
            await _execute(step, client)
        if step.role is Role.PARAMETERS and plan.values:
            await client.run_code(SET_PARAMETERS if plan.kind is Kind.CELLS else injection(plan.values))
            show_values(plan.notebook.cells[step.cell.index], plan.values)
        folder.changed()
        if folder.is_due:
            folder.save(growing=True)


async def _run_recorded(step: Step, client: RunClient, plan: Plan, futures: dict[int, Future[Any]]) -> None:
    """Execute a cell as a task run, after which its state stands in the cell; raises its error."""

    async def execute() -> None:
        await _execute(step, client)

    cell = step.cell
    work = Work(name=step.name, fn=execute, is_async=True, key=f"cell.{cell.number}", cell=str(cell.number))
    awaited = [futures[index] for index in step.before if index in futures]
    run = engine.new_task_run(work, (), {}, wait_for=awaited)
    futures[cell.index] = run.future
    began = time.monotonic()
    state = await engine.run_task_async(run)
    mark(plan.notebook.cells[cell.index], state, name=step.name, duration=time.monotonic() - began)
    if not state.is_completed():
        state.result()


async def _execute(step: Step, client: RunClient) -> None:
    await client.run_cell(step.cell.source, step.cell.index)
