"""The driver that performs a life on a running event loop, such as Jupyter's."""

from __future__ import annotations

import asyncio
from typing import Any

from flowbook.core.protocol import Call, Raised, Settle, Sleep
from flowbook.core.states import State
from flowbook.run.execution import Execution, TaskExecution
from flowbook.run.future import may_hold_futures
from flowbook.run.later import Later


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
            elif type(effect) is Settle and may_hold_futures(effect.value):
                outcome = await asyncio.to_thread(run.perform, effect)
            else:
                outcome = run.perform(effect)
                if type(outcome) is Later:
                    outcome = await _kept(outcome)
    except StopIteration as end:
        state: State = end.value
        return state
    except BaseException as error:
        run.break_off(error)
        raise


async def drive_task(run: TaskExecution) -> State:
    """Like `drive`, after waiting for the inputs of the task run; without them it does not begin."""
    try:
        end = await asyncio.to_thread(run.prepare) if run.upstream else run.prepare()
    except BaseException as error:
        run.break_off(error)
        raise
    return await drive(run) if end is None else run.enter(end)


async def _sleep(seconds: float) -> Raised | None:
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:
        return Raised(error)
    return None


async def _kept(later: Later) -> Any:
    loop = asyncio.get_running_loop()
    kept: asyncio.Future[Any] = loop.create_future()
    later.then(lambda outcome: loop.call_soon_threadsafe(_keep, kept, outcome))
    try:
        return await kept
    except BaseException as error:
        later.give_up()
        return Raised(error)


def _keep(promise: asyncio.Future[Any], outcome: Any) -> None:
    if not promise.done():  # nobody waits any more
        promise.set_result(outcome)
