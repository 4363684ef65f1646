"""Generator functions as tasks and flows: their runs go on as their values are taken."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.waiting import WITHIN

from flowbook import flow, get_run_logger, tags, task
from flowbook.cache_policies import INPUTS
from flowbook.context import tags as tags_around
from flowbook.core.states import State, cancelled
from flowbook.errors import CancelledRun, TaskTimeoutError, UpstreamTaskError, UsageError
from flowbook.run import future
from flowbook.run.current import current, current_tags
from flowbook.run.execution import flowless
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.task_runners import SequentialTaskRunner


@task
def letters(n: int) -> Iterator[list[str]]:
    for i in range(n):
        yield ["abcdef"[i]]


@task
def joined(*parts: list[str]) -> str:
    return "".join(part for one in parts for part in one)


def nodes() -> dict[str, Any]:
    return {node.name: node for node in run_view("last").nodes.values()}


# Values


def test_a_generator_task_hands_on_its_values_one_by_one() -> None:
    said: list[str] = []

    @task
    def count() -> Iterator[int]:
        for i in range(3):
            said.append(f"made {i}")
            yield i

    @flow
    def pipeline() -> list[int]:
        values = []
        for value in count():
            said.append(f"took {value}")
            values.append(value)
        return values

    assert pipeline() == [0, 1, 2]
    assert said == ["made 0", "took 0", "made 1", "took 1", "made 2", "took 2"]
    assert nodes()["count"].look == "succeeded"


def test_calling_it_gives_a_generator_and_records_nothing() -> None:
    @flow
    def pipeline() -> bool:
        values = letters(3)
        return inspect.isgenerator(values)

    assert pipeline() is True
    assert nodes() == {}


def test_its_run_is_running_between_two_values() -> None:
    @flow
    def pipeline() -> Iterator[str]:
        yield "first"
        yield "second"

    values = pipeline()
    assert recent_runs() == []
    assert next(values) == "first"
    assert recent_runs()[0].state_name == "Running"
    assert list(values) == ["second"]
    assert recent_runs()[0].state_name == "Completed"


def test_what_it_returns_is_the_result_of_the_run() -> None:
    @task
    def count() -> Any:
        yield 1
        return "the end"

    @flow
    def pipeline() -> list[Any]:
        @task
        def wrap() -> Any:
            return (yield from count())

        returned = []
        values = wrap()
        while True:
            try:
                next(values)
            except StopIteration as end:
                returned.append(end.value)
                break
        states = count(return_state=True)
        next(states)
        with pytest.raises(StopIteration) as ended:
            next(states)
        return [*returned, ended.value.value.name, ended.value.value.result()]

    assert pipeline() == ["the end", "Completed", "the end"]


def test_values_can_be_sent_and_errors_thrown_into_it() -> None:
    @task
    def echo() -> Any:
        got = yield "ready"
        while True:
            try:
                got = yield got
            except KeyError as error:
                got = f"caught {error}"

    @flow
    def pipeline() -> list[Any]:
        values = echo()
        return [next(values), values.send(1), values.send(2), values.throw(KeyError("x")), values.send(3)]

    assert pipeline() == ["ready", 1, 2, "caught 'x'", 3]


def test_a_value_that_is_passed_on_makes_an_edge() -> None:
    @flow
    def pipeline() -> list[str]:
        return [joined(value) for value in letters(2)]

    assert pipeline() == ["a", "b"]
    found = nodes()
    assert found["joined"].upstream == found["joined-1"].upstream == (found["letters"].id,)


def test_values_of_a_generator_flow_make_edges_in_the_graph_of_the_flow_around_it() -> None:
    @flow
    def inner() -> Iterator[list[str]]:
        yield from letters(2)

    @flow
    def outer() -> str:
        return joined(*inner())

    assert outer() == "ab"
    found = nodes()
    assert found["joined"].upstream == (found["inner"].id,)


def test_it_waits_for_the_futures_among_its_arguments_and_follows_them() -> None:
    @task
    def size() -> int:
        return 2

    @task
    def broken() -> int:
        raise ValueError("no size")

    @flow
    def pipeline() -> list[list[str]]:
        with pytest.raises(UpstreamTaskError, match="no size"):
            next(letters(broken.submit()))
        return list(letters(size.submit()))

    assert pipeline() == [["a"], ["b"]]
    found = nodes()
    assert found["letters-1"].upstream == (found["size"].id,)
    assert found["letters"].look == "not-run"


def test_its_values_are_let_go_of() -> None:
    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    @task
    def bigs() -> Iterator[list[Big]]:
        for _ in range(50):
            yield [Big()]

    @flow
    def pipeline() -> int:
        most = 0
        for _ in bigs():
            most = max(most, Big.alive)
        return most

    assert pipeline() <= 3


# Submitted


def test_a_submitted_one_gives_the_list_of_its_values() -> None:
    @flow
    def pipeline() -> list[Any]:
        return [letters.submit(2).result(), letters.map([1, 2]).result()]

    assert pipeline() == [[["a"], ["b"]], [[["a"]], [["a"], ["b"]]]]


@pytest.mark.parametrize("runner", [SequentialTaskRunner(), None])
def test_so_does_a_submitted_async_one(runner: Any) -> None:
    @task
    async def count(n: int) -> AsyncIterator[int]:
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    @flow(task_runner=runner)
    def pipeline() -> list[int]:
        return count.submit(3).result()  # type: ignore[no-any-return]

    assert pipeline() == [0, 1, 2]


def test_it_can_be_mapped_over() -> None:
    @flow
    def pipeline() -> list[str]:
        return joined.map(letters(3)).result()  # type: ignore[no-any-return]

    assert pipeline() == ["a", "b", "c"]
    found = nodes()
    assert found["joined-2"].upstream == (found["letters"].id,)


def test_only_the_list_of_a_submitted_one_is_cached() -> None:
    calls = []

    @task(cache_policy=INPUTS)
    def count(n: int) -> Iterator[int]:
        calls.append(n)
        yield from range(n)

    @flow
    def pipeline() -> list[list[int]]:
        return [list(count(2)), list(count(2)), count.submit(2).result(), count.submit(2).result(), list(count(2))]

    assert pipeline() == [[0, 1]] * 5
    assert calls == [2, 2, 2, 2]


# Failures and retries


def test_an_exception_fails_the_run_and_reaches_the_consumer() -> None:
    @task
    def count() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    @flow
    def pipeline() -> int:
        values = count()
        first = next(values)
        with pytest.raises(ValueError, match="no more"):
            next(values)
        return first

    assert pipeline() == 1
    assert nodes()["count"].look == "failed"


def test_a_retried_one_is_called_anew_and_its_values_follow() -> None:
    calls = []

    @task(retries=1)
    def count() -> Iterator[int]:
        calls.append(1)
        yield 10 * len(calls)
        if len(calls) == 1:
            raise ValueError("once")
        yield 21

    @flow
    def pipeline() -> list[int]:
        return list(count())

    assert pipeline() == [10, 20, 21]
    assert nodes()["count"].attempts == 2
    assert nodes()["count"].look == "succeeded"


def test_a_generator_flow_is_retried_too() -> None:
    calls = []

    @flow(retries=1)
    def pipeline() -> Iterator[int]:
        calls.append(1)
        yield len(calls)
        if len(calls) == 1:
            raise ValueError("once")

    assert list(pipeline()) == [1, 2]
    assert recent_runs()[0].state_name == "Completed"


def test_an_interrupt_in_its_code_cancels_it() -> None:
    @task
    def count() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    @flow
    def pipeline() -> list[int]:
        return list(count())

    with pytest.raises(KeyboardInterrupt):
        pipeline()
    assert nodes()["count"].look == "cancelled"
    assert recent_runs()[0].look == "cancelled"


@pytest.mark.parametrize("keep", [True, False])
def test_an_interrupt_of_the_consumer_closes_it(keep: bool) -> None:
    cleaned = []

    @task
    def count() -> Iterator[int]:
        try:
            yield 1
        finally:
            cleaned.append(True)

    @flow
    def pipeline() -> None:
        values = count()
        for _ in values if keep else count():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline()
    assert cleaned == [True]
    assert nodes()["count"].look == "succeeded"
    assert recent_runs()[0].look == "cancelled"


# Ending early


def test_closing_it_completes_the_run() -> None:
    cleaned = []

    @task
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(current.get().name)  # type: ignore[union-attr]

    @flow
    def pipeline() -> str:
        values = count()
        next(values)
        values.close()
        assert list(values) == []
        return run_view("last").nodes[next(iter(run_view("last").nodes))].look

    assert pipeline() == "succeeded"
    assert cleaned == ["count"]


def test_leaving_the_loop_completes_the_run_at_once() -> None:
    cleaned = []

    @task
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    @flow
    def pipeline() -> bool:
        for _ in count():
            break
        return cleaned == [True]

    assert pipeline() is True
    assert nodes()["count"].look == "succeeded"


def test_one_that_fails_to_clean_up_has_failed_and_is_not_retried() -> None:
    calls = []

    @task(retries=3)
    def count() -> Iterator[int]:
        calls.append(1)
        try:
            yield 1
        finally:
            raise OSError("the file is gone")

    @flow
    def pipeline() -> None:
        values = count()
        next(values)
        with pytest.raises(OSError, match="the file is gone"):
            values.close()

    pipeline()
    assert len(calls) == 1
    assert nodes()["count"].look == "failed"


def test_one_that_goes_on_although_it_is_closed_has_failed() -> None:
    @task
    def stubborn() -> Iterator[int]:
        with suppress(GeneratorExit):
            yield 1
        yield 2

    @flow
    def pipeline() -> None:
        values = stubborn()
        next(values)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            values.close()

    pipeline()
    assert nodes()["stubborn"].look == "failed"


def test_one_that_is_left_over_ends_with_its_flow_run() -> None:
    kept: list[Any] = []

    @flow
    def pipeline(fails: bool) -> None:
        values = letters(3)
        kept.append(values)
        next(values)
        if fails:
            raise ValueError("something else")

    pipeline(False)
    assert nodes()["letters"].look == "succeeded"
    assert list(kept[0]) == []
    with pytest.raises(ValueError, match="something else"):
        pipeline(True)
    assert nodes()["letters"].look == "succeeded"
    view = run_view("last")
    assert all(node.ended is not None and node.ended <= (view.ended or 0) for node in view.nodes.values())


def test_a_left_over_generator_flow_ends_with_the_flow_run_around_it() -> None:
    kept: list[Any] = []

    @flow
    def inner() -> Iterator[list[str]]:
        yield from letters(3)

    @flow
    def outer() -> None:
        kept.append(inner())
        next(kept[0])

    outer()
    runs = {run.flow: run for run in [find_run("last"), find_run(2)]}
    assert {run.look for run in runs.values()} == {"succeeded"}
    assert run_view(2).counts() == {"succeeded": 1}


def test_the_next_attempt_of_a_flow_does_not_inherit_its_generators() -> None:
    kept: list[Any] = []

    @flow(retries=1)
    def pipeline() -> None:
        kept.append(letters(3))
        next(kept[-1])
        if len(kept) == 1:
            raise ValueError("once")

    pipeline()
    assert list(kept[0]) == []
    assert run_view("last").counts() == {"succeeded": 2}


def test_one_whose_run_was_cancelled_meanwhile_hands_on_nothing_more() -> None:
    cleaned = []

    @task
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    before = list(flowless)  # of generators that nobody has come upon as garbage yet
    values = count()
    next(values)
    (run,) = set(flowless).difference(before)
    run.end_as(cancelled("Stopped."))
    with pytest.raises(CancelledRun, match="Stopped"):
        next(values)
    assert cleaned == [True]


def test_a_run_of_its_own_is_committed_when_its_values_have_been_taken() -> None:
    @task
    def count() -> Iterator[int]:
        yield 1

    assert list(count()) == [1]
    assert states_of_task_runs() == ["Completed"]
    next(count())  # and closed as it is forgotten
    assert states_of_task_runs() == ["Completed", "Completed"]


def states_of_task_runs() -> list[str]:
    from sqlalchemy import select

    from flowbook.engine import engine
    from flowbook.store.schema import task_run

    with engine().database.read() as connection:
        return list(connection.scalars(select(task_run.c.state_name)))


def test_the_garbage_collector_may_come_upon_one_while_a_lock_is_held() -> None:
    ended = threading.Event()
    cleaned = []

    @task(on_completion=[lambda task, run, state: ended.set()])
    def count() -> Iterator[int]:
        try:
            yield 1
        finally:
            cleaned.append(True)

    values = count()
    next(values)
    cycle: list[Any] = [values]
    cycle.append(cycle)
    del values, cycle
    with future._guard:
        gc.collect()
    assert ended.wait(WITHIN)
    assert cleaned == [True]


@pytest.mark.slow
def test_one_that_is_left_when_the_process_ends_has_ended_too(home: Any) -> None:
    code = """
        from flowbook import flow, task

        @task
        def count():
            yield 1

        @flow
        def pipeline():
            yield 1

        values, runs = count(), pipeline()
        next(values), next(runs)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert [run.state_name for run in recent_runs()] == ["Completed"]
    assert states_of_task_runs() == ["Completed"]


# Context


def test_the_consumer_sees_nothing_of_its_context() -> None:
    own: contextvars.ContextVar[str] = contextvars.ContextVar("own", default="outside")

    @task
    def count() -> Iterator[tuple[str, str, frozenset[str]]]:
        with tags("inside"):
            own.set("inside")
            for _ in range(2):
                yield current.get().name, own.get(), current_tags.get()  # type: ignore[union-attr]

    @flow(name="pipeline")
    def pipeline() -> list[Any]:
        return [(value, current.get().kind, own.get(), current_tags.get()) for value in count()]  # type: ignore[union-attr]

    value = ("count", "inside", frozenset({"inside"}))
    assert pipeline() == [(value, "Flow run", "outside", frozenset())] * 2


def test_tasks_that_it_calls_belong_to_the_same_flow_run() -> None:
    @task
    def pairs() -> Iterator[str]:
        for value in letters(2):
            yield joined(value, value)

    @flow
    def pipeline() -> list[str]:
        return list(pairs())

    assert pipeline() == ["aa", "bb"]
    assert set(nodes()) == {"pairs", "letters", "joined", "joined-1"}


def test_logs_are_those_of_the_code_that_said_them() -> None:
    @task
    def count() -> Iterator[int]:
        get_run_logger().info("in the task")
        yield 1

    @flow
    def pipeline() -> None:
        for _ in count():
            get_run_logger().info("in the flow")

    pipeline()
    view = run_view("last")
    said = {line.message: line.task_run_id for line in view.logs}
    assert said == {"in the task": next(iter(view.nodes)), "in the flow": None}


def test_values_may_be_taken_in_another_thread() -> None:
    @task
    def where() -> Iterator[tuple[str, str]]:
        while True:
            yield threading.current_thread().name, current.get().name  # type: ignore[union-attr]

    @flow
    def pipeline() -> list[Any]:
        values = where()
        found = [next(values)]
        thread = threading.Thread(target=lambda: found.append(next(values)), name="other")
        thread.start()
        thread.join()
        return found

    assert [name for name, _ in pipeline()] == [threading.current_thread().name, "other"]
    assert nodes()["where"].look == "succeeded"


def test_tags_and_options_of_its_run_are_those_of_any_run() -> None:
    seen: list[State] = []

    @task(tags=["own"], task_run_name="n={n}", on_completion=[lambda task, run, state: seen.append(state)])
    def count(n: int) -> Iterator[int]:
        yield n

    @flow
    def pipeline() -> None:
        with tags_around("around"):
            list(count(7))

    pipeline()
    assert set(nodes()) == {"n=7"}
    assert [state.name for state in seen] == ["Completed"]


# Time


def test_its_timeout_counts_its_own_time_only() -> None:
    @task(timeout_seconds=1)
    def count() -> Iterator[int]:
        yield from range(3)

    @flow
    def pipeline() -> list[int]:
        values = []
        for value in count():
            time.sleep(0.4)
            values.append(value)
        return values

    assert pipeline() == [0, 1, 2]


def test_it_is_timed_out_when_its_own_time_is_used_up() -> None:
    @task(timeout_seconds=1)
    def slow() -> Iterator[int]:
        for i in range(100):
            time.sleep(0.3)
            yield i

    @flow
    def pipeline() -> int:
        taken = 0
        with pytest.raises(TaskTimeoutError, match=r"Task run 'slow' ran longer than its timeout of 1 seconds"):
            for _ in slow():
                taken += 1
        return taken

    assert 1 <= pipeline() <= 3
    assert nodes()["slow"].state.name == "TimedOut"


# Async


def test_an_async_generator_task_is_iterated_on_the_loop() -> None:
    @task
    async def count(n: int) -> AsyncIterator[list[int]]:
        for i in range(n):
            await asyncio.sleep(0)
            yield [i]

    @task
    async def double(x: list[int]) -> int:
        return 2 * x[0]

    @flow
    async def pipeline() -> list[int]:
        return [await double(value) async for value in count(3)]

    assert asyncio.run(pipeline()) == [0, 2, 4]
    found = nodes()
    assert found["double-2"].upstream == (found["count"].id,)


def test_an_async_generator_flow_runs_as_it_is_iterated() -> None:
    @flow
    async def pipeline(n: int) -> AsyncIterator[str]:
        for i in range(n):
            yield await named(i)

    @task
    async def named(i: int) -> str:
        return f"number {i}"

    async def consume() -> list[str]:
        found = []
        async for value in pipeline(2):
            assert recent_runs()[0].state_name == "Running"
            found.append(value)
        return found

    assert asyncio.run(consume()) == ["number 0", "number 1"]
    assert recent_runs()[0].state_name == "Completed"
    assert run_view("last").counts() == {"succeeded": 2}


def test_an_async_one_can_be_sent_to_thrown_into_and_closed() -> None:
    cleaned = []

    @task
    async def echo() -> Any:
        got = "ready"
        try:
            while True:
                try:
                    got = yield got
                except KeyError as error:
                    got = f"caught {error}"
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    @flow
    async def pipeline() -> list[Any]:
        values = echo()
        found = [await anext(values), await values.asend(1), await values.athrow(KeyError("x"))]
        await values.aclose()
        return [*found, cleaned == [True]]

    assert asyncio.run(pipeline()) == ["ready", 1, "caught 'x'", True]
    assert nodes()["echo"].look == "succeeded"


def test_a_retried_async_one_is_called_anew() -> None:
    calls = []

    @task(retries=1)
    async def count() -> AsyncIterator[int]:
        calls.append(1)
        yield len(calls)
        if len(calls) == 1:
            raise ValueError("once")

    @flow
    async def pipeline() -> list[int]:
        return [value async for value in count()]

    assert asyncio.run(pipeline()) == [1, 2]
    assert nodes()["count"].attempts == 2


def test_the_consumer_sees_nothing_of_the_context_of_an_async_one() -> None:
    @task
    async def count() -> AsyncIterator[tuple[str, frozenset[str]]]:
        with tags("inside"):
            for _ in range(2):
                await asyncio.sleep(0)
                yield current.get().name, current_tags.get()  # type: ignore[union-attr]

    @flow
    async def pipeline() -> list[Any]:
        return [(value, current.get().kind, current_tags.get()) async for value in count()]  # type: ignore[union-attr]

    assert asyncio.run(pipeline()) == [(("count", frozenset({"inside"})), "Flow run", frozenset())] * 2


def test_leaving_the_loop_ends_an_async_one_before_the_flow_run_ends() -> None:
    cleaned = []

    @task
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            cleaned.append(True)

    @flow
    async def pipeline() -> None:
        async for _ in count():
            break

    asyncio.run(pipeline())
    assert cleaned == [True]
    view = run_view("last")
    assert view.counts() == {"succeeded": 1}
    assert all(node.ended is not None and node.ended <= (view.ended or 0) for node in view.nodes.values())


def test_an_async_one_that_nobody_can_end_any_more_is_cancelled_with_its_flow_run() -> None:
    kept: list[Any] = []

    @task
    async def count() -> AsyncIterator[int]:
        yield 1
        yield 2

    @flow
    def pipeline() -> None:
        loop = asyncio.new_event_loop()
        kept.append(count())
        loop.run_until_complete(anext(kept[0]))
        loop.close()

    pipeline()
    assert nodes()["count"].look == "cancelled"
    asyncio.run(kept[0].aclose())


def test_an_async_one_is_timed_out_when_its_own_time_is_used_up() -> None:
    @task(timeout_seconds=0.1)
    async def slow() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(WITHIN)

    @flow
    async def pipeline() -> None:
        values = slow()
        await anext(values)
        await asyncio.sleep(0.12)
        with pytest.raises(TaskTimeoutError):
            await anext(values)

    asyncio.run(pipeline())
    assert nodes()["slow"].state.name == "TimedOut"


def test_a_cancelled_consumer_cancels_the_async_one() -> None:
    begun = asyncio.Event()

    @task
    async def endless() -> AsyncIterator[int]:
        begun.set()
        await asyncio.sleep(WITHIN)
        yield 1

    @flow
    async def pipeline() -> None:
        async for _ in endless():
            pass

    async def cancel() -> None:
        running = asyncio.create_task(pipeline())  # type: ignore[arg-type]
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())
    assert nodes()["endless"].look == "cancelled"
    assert recent_runs()[0].look == "cancelled"


def test_an_async_one_cannot_return_its_state() -> None:
    @task
    async def count() -> AsyncIterator[int]:
        yield 1

    @flow
    async def pipeline() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(UsageError, match="Task 'count' is an async generator, which has no way to return its state"):
        count(return_state=True)
    with pytest.raises(UsageError, match="Flow 'pipeline' is an async generator"):
        pipeline(return_state=True)


# Flows that somebody else executes


def test_finishing_a_generator_flow_runs_it_to_its_end() -> None:
    taken = []

    @flow
    def pipeline(n: int) -> Any:
        for i in range(n):
            taken.append(i)
            yield i
        return "the end"

    assert pipeline.finish(pipeline.begin({"n": 3})) == "the end"
    assert taken == [0, 1, 2]
    assert pipeline.finish(pipeline.begin({"n": 0}), return_state=True).name == "Completed"


def test_finishing_an_async_generator_flow_runs_it_to_its_end() -> None:
    taken = []

    @flow
    async def pipeline(n: int) -> AsyncIterator[int]:
        for i in range(n):
            taken.append(i)
            yield i

    assert asyncio.run(pipeline.finish(pipeline.begin({"n": 3}))) is None
    assert taken == [0, 1, 2]
    assert asyncio.run(pipeline.finish(pipeline.begin({"n": 0}), return_state=True)).name == "Completed"
