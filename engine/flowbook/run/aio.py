"""The driver that performs a life on a running event loop, such as Jupyter's."""

from __future__ import annotations

import asyncio
from typing import Any

from flowbook.core.protocol import Call, Effect, Raised, Settle, Sleep
from flowbook.core.states import State
from flowbook.run.blocking import waiting
from flowbook.run.execution import Execution
from flowbook.run.future import may_hold_futures
from flowbook.run.later import Later
from flowbook.run.task_execution import TaskExecution


async def drive(run: Execution) -> State:
    """Execute `run` to its end without blocking the loop while it sleeps or awaits; returns the final state."""
    with run.recorder.clock.at_work(asyncio.get_running_loop()):
        return await _drive(run)


async def drive_task(run: TaskExecution) -> State:
    """Like `drive`, after waiting for the inputs of the task run; without them it does not begin."""
    with run.recorder.clock.at_work(asyncio.get_running_loop()):
        try:
            end = await prepared(run)
        except BaseException as error:
            run.break_off(error)
            raise
        return await _drive(run) if end is None else run.enter(end)


async def _drive(run: Execution) -> State:
    life = run.life()
    outcome: Any = None
    try:
        while True:
            effect = life.send(outcome)
            outcome = await run.acall(effect) if type(effect) is Call else await performed(run, effect)
    except StopIteration as end:
        state: State = end.value
        return state
    except BaseException as error:
        run.break_off(error)
        raise


async def prepared(run: Execution) -> State | None:
    """`prepare` of a run; inputs that it may have to wait for are waited for beside the loop."""
    waits = isinstance(run, TaskExecution) and run.upstream
    return await asyncio.to_thread(run.prepare) if waits else run.prepare()


async def performed(run: Execution, effect: Effect) -> Any:
    """The outcome of an effect that is no call, awaited if it takes its time."""
    if type(effect) is Sleep:
        return await _slept(run, effect.seconds)
    if type(effect) is Settle and may_hold_futures(effect.value):
        return await asyncio.to_thread(run.perform, effect)
    outcome = run.perform(effect)
    return await _kept(outcome) if type(outcome) is Later else outcome


async def _slept(run: Execution, seconds: float) -> Raised | None:
    try:
        await run.recorder.clock.sleep(seconds)
    except BaseException as error:
        return Raised(error)
    return None


async def _kept(later: Later) -> Any:
    loop = asyncio.get_running_loop()
    kept: asyncio.Future[Any] = loop.create_future()
    later.then(lambda outcome: loop.call_soon_threadsafe(_keep, kept, outcome))
    try:
        with waiting(later.promise.done):
            return await kept
    except BaseException as error:
        later.give_up()
        return Raised(error)


def _keep(promise: asyncio.Future[Any], outcome: Any) -> None:
    if not promise.done():  # nobody waits any more
        promise.set_result(outcome)
