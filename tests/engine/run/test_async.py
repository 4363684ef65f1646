"""Async tasks and flows, and sync ones where an event loop runs already, as in a notebook."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.waiting import CUT_SHORT, WITHIN, until

from flowbook import flow, task
from flowbook.futures import wait
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.task_runners import SequentialTaskRunner


@task
async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@task
def triple(x: int) -> int:
    return 3 * x


def test_an_async_flow_awaits_async_tasks_and_calls_sync_ones() -> None:
    @flow
    async def pipeline(n: int) -> int:
        return triple(await double(n))

    assert asyncio.run(pipeline(7)) == 42
    view = run_view("last")
    named = {node.name: node for node in view.nodes.values()}
    assert set(named) == {"double", "triple"}
    assert view.look == "succeeded"


def test_coroutines_of_one_flow_run_at_the_same_time() -> None:
    together = 0

    @flow
    async def pipeline() -> list[int]:
        met = asyncio.Event()

        @task
        async def meet(n: int) -> int:
            nonlocal together
            together += 1
            if together == 5:
                met.set()
            await asyncio.wait_for(met.wait(), WITHIN)
            return n

        return await asyncio.gather(*(meet(n) for n in range(5)))

    assert asyncio.run(pipeline()) == [0, 1, 2, 3, 4]
    assert run_view("last").counts() == {"succeeded": 5}


def test_flows_gathered_on_one_loop_do_not_mix_up_their_tasks() -> None:
    @flow
    async def pipeline(n: int) -> int:
        await asyncio.sleep(0.01)
        return await double(n)

    async def both() -> list[int]:
        return await asyncio.gather(pipeline(1), pipeline(2))

    assert asyncio.run(both()) == [2, 4]
    assert run_view(1).counts() == run_view(2).counts() == {"succeeded": 1}


def test_a_sync_flow_may_be_called_while_a_loop_runs() -> None:
    @flow
    def pipeline(n: int) -> int:
        return triple(n) + int(double.submit(n).result())

    async def cell() -> int:
        return pipeline(2)

    assert asyncio.run(cell()) == 10


def test_async_tasks_may_be_submitted_one_after_the_other_while_a_loop_runs() -> None:
    @flow(task_runner=SequentialTaskRunner())
    def pipeline(n: int) -> int:
        return int(double.submit(n).result())

    async def cell() -> int:
        return pipeline(2)

    assert asyncio.run(cell()) == 4


def test_async_tasks_may_be_mapped_by_a_sync_flow() -> None:
    @flow
    def pipeline() -> list[int]:
        result: list[int] = double.map([1, 2, 3]).result()
        return result

    assert pipeline() == [2, 4, 6]


def test_an_async_task_may_be_awaited_outside_of_a_flow() -> None:
    async def cell() -> int:
        return await double(4)

    assert asyncio.run(cell()) == 8


def test_the_loop_goes_on_while_an_async_flow_waits_for_its_threads() -> None:
    beats = 0

    @task
    def slow() -> None:
        until(lambda: beats > 5)

    @flow
    async def pipeline() -> None:
        slow.submit()

    async def cell() -> None:
        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(heart())
        await pipeline()
        beating.cancel()

    asyncio.run(cell())


def test_the_loop_goes_on_while_a_coroutine_waits_for_its_retry() -> None:
    order: list[str] = []

    @task(retries=1, retry_delay_seconds=0.1)
    async def flaky() -> None:
        order.append("try")
        if order.count("try") == 1:
            raise OSError("busy")

    async def other() -> None:
        await asyncio.sleep(0.02)
        order.append("other")

    async def cell() -> None:
        await asyncio.gather(flaky(), other())

    asyncio.run(cell())
    assert order == ["try", "other", "try"]


def test_a_failure_is_raised_where_it_is_awaited() -> None:
    @task
    async def fail() -> None:
        raise ValueError("bad row")

    @flow
    async def pipeline() -> str:
        try:
            await fail()
        except ValueError as error:
            return f"caught {error}"
        return "nothing"

    assert asyncio.run(pipeline()) == "caught bad row"
    assert run_view("last").counts() == {"failed": 1}


def test_an_async_flow_returns_its_state_when_asked() -> None:
    @flow
    async def pipeline() -> None:
        raise ValueError("bad row")

    state = asyncio.run(pipeline(return_state=True))  # type: ignore[call-arg, arg-type]
    assert state.is_failed()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="bad row"):
        asyncio.run(pipeline())


def test_futures_are_arguments_of_awaited_tasks() -> None:
    @flow
    async def pipeline() -> int:
        return await double(triple.submit(1))  # type: ignore[arg-type]

    assert asyncio.run(pipeline()) == 6


@pytest.mark.parametrize("moment", ["awaiting", "waiting for threads", "waiting for an input", "before a retry"])
def test_a_cancelled_flow_is_cancelled_with_all_it_began(moment: str) -> None:
    ended = threading.Event()

    @task
    def spin() -> None:
        try:
            deadline = time.monotonic() + WITHIN
            while time.monotonic() < deadline:
                sum(range(100))
        finally:
            ended.set()

    @task
    async def sleep() -> None:
        await asyncio.sleep(WITHIN)

    @task(retries=1, retry_delay_seconds=WITHIN)
    async def flaky() -> None:
        raise OSError("busy")

    @flow
    async def pipeline() -> None:
        if moment == "awaiting":
            await sleep()
        elif moment == "waiting for threads":
            spin.submit()
        elif moment == "waiting for an input":
            await double(spin.submit())  # type: ignore[arg-type]
        else:
            await flaky()

    async def cell() -> None:
        await asyncio.wait_for(pipeline(), 0.3)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(cell())
    assert time.monotonic() - began < CUT_SHORT
    assert find_run("last").state_name == "Cancelled"
    looks: dict[str, Any] = run_view("last").counts()
    assert set(looks) == {"cancelled"}


def test_what_is_never_awaited_leaves_no_trace() -> None:
    @flow
    async def pipeline() -> None:
        double(1).close()  # type: ignore[attr-defined]

    asyncio.run(pipeline())
    pipeline().close()
    assert not run_view("last").nodes
    assert len(recent_runs()) == 1


def test_async_flows_inside_each_other() -> None:
    @flow
    async def inner(n: int) -> int:
        return await double(n)

    @flow
    async def outer() -> list[int]:
        return await asyncio.gather(inner(1), inner(2))

    assert asyncio.run(outer()) == [2, 4]
    assert run_view("last").counts() == {"succeeded": 2}


def test_an_async_task_may_submit_and_wait() -> None:
    @task
    async def outer() -> int:
        futures = [triple.submit(n) for n in range(3)]
        wait(futures)
        return sum(future.result() for future in futures)

    @flow
    async def pipeline() -> int:
        return await outer()

    assert asyncio.run(pipeline()) == 9
