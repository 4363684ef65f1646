"""The driver that performs a life on a running event loop, such as Jupyter's."""

from __future__ import annotations

import asyncio
from typing import Any

from flowbook.core.protocol import Call, Raised, Settle, Sleep
from flowbook.core.states import State, not_ready
from flowbook.errors import UpstreamTaskError
from flowbook.run.execution import Execution, TaskExecution


async def drive(run: Execution) -> State:
    """Execute `run` to its end without blocking the loop while it sleeps or awaits; returns the final state."""
    life = run.life()
    outcome: Any = None
    try:
        while True:
            effect = life.send(outcome)
            if type(effect) is Call:
                outcome = await run.acall(effect)
            elif type(effect) is Sleep:
                outcome = await _sleep(effect.seconds)
            elif type(effect) is Settle:
                outcome = await asyncio.to_thread(run.perform, effect)
            else:
                outcome = run.perform(effect)
    except StopIteration as end:
        state: State = end.value
        return state
    except BaseException as error:
        run.break_off(error)
        raise


async def drive_task(run: TaskExecution) -> State:
    """Like `drive`, after waiting for the inputs of the task run; without them it does not begin."""
    try:
        await asyncio.to_thread(run.resolve_inputs) if run.upstream else run.resolve_inputs()
    except UpstreamTaskError as error:
        return run.enter(not_ready(str(error)))
    except BaseException as error:
        run.break_off(error)
        raise
    return await drive(run)


async def _sleep(seconds: float) -> Raised | None:
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:
        return Raised(error)
    return None
