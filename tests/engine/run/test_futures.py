"""Futures: waited for, timed, called back, and passed on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.waiting import WITHIN

from flowbook import State, flow, task
from flowbook.futures import Future, FutureList, PrefectFuture, as_completed, wait


@task
def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What `held` waits for; opened at the end."""
    event = threading.Event()
    yield event
    event.set()


@task
def held(gate: threading.Event, value: int = 7) -> int:
    assert gate.wait(WITHIN)
    return value


def test_the_old_name() -> None:
    assert PrefectFuture is Future


def test_a_future_follows_its_run(gate: threading.Event) -> None:
    future = held.submit(gate)
    assert not future.done
    assert not future.state.is_final()
    gate.set()
    assert future.result(timeout=WITHIN) == 7
    assert future.done
    assert future.state.is_completed()
    assert repr(future) == "<Future of 'held': Completed>"


def test_waiting_for_a_result_has_a_limit(gate: threading.Event) -> None:
    future = held.submit(gate)
    with pytest.raises(TimeoutError, match=r"^Task run 'held' has not ended after 0\.01 seconds\.$"):
        future.result(timeout=0.01)
    future.wait(timeout=0.01)
    assert not future.done


def test_a_failure_is_raised_or_returned() -> None:
    future = task(lambda: 1 / 0).submit()
    with pytest.raises(ZeroDivisionError):
        future.result()
    assert isinstance(future.result(raise_on_failure=False), ZeroDivisionError)


def test_wait_tells_what_is_done_and_what_is_not(gate: threading.Event) -> None:
    quick, slow = double.submit(1), held.submit(gate)
    quick.wait()
    assert wait([quick, slow], timeout=0.01) == ({quick}, {slow})
    gate.set()
    assert wait([quick, slow]) == ({quick, slow}, set())
    assert wait([]) == (set(), set())


def test_as_completed_gives_up_in_time(gate: threading.Event) -> None:
    futures = [double.submit(1), held.submit(gate)]
    futures[0].wait()
    seen = []
    with pytest.raises(TimeoutError, match=r"1 of 2 task runs have not ended after 0\.1 seconds"):
        for future in as_completed(futures, timeout=0.1):
            seen.append(future)  # noqa: PERF402 - what came before the error counts
    assert seen == futures[:1]


def test_a_wait_for_the_next_future_is_over_until_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    over = []

    @contextmanager
    def seen(_wake: Callable[[], None], is_over: Callable[[], bool]) -> Iterator[None]:
        yield
        over.append(is_over())  # what a clock for tests asks, which must not let time pass meanwhile

    monkeypatch.setattr("flowbook.run.future.may_block", seen)
    assert len(list(as_completed([double.submit(1), double.submit(2)]))) == 2
    assert over == [True, True]


def test_the_results_of_a_map_come_together_within_one_limit(gate: threading.Event) -> None:
    futures = held.map(value=[1, 2, 3], gate=gate)
    assert isinstance(futures, FutureList)
    with pytest.raises(TimeoutError):
        futures.result(timeout=0.05)
    gate.set()
    assert futures.result(timeout=WITHIN) == [1, 2, 3]
    futures.wait(timeout=WITHIN)


def test_callbacks_are_called_once_also_afterwards(gate: threading.Event) -> None:
    called: list[str] = []
    future = held.submit(gate)
    future.add_done_callback(lambda f: called.append(f.state.name))
    assert called == []
    gate.set()
    future.wait()
    future.add_done_callback(lambda f: called.append("late"))
    for _ in range(500):
        if len(called) == 2:
            break
        threading.Event().wait(0.005)
    assert sorted(called) == ["Completed", "late"]


def test_a_callback_that_fails_keeps_nobody_waiting(gate: threading.Event) -> None:
    future = held.submit(gate)
    future.add_done_callback(lambda _: 1 / 0)
    after = double.submit(future)
    gate.set()
    assert after.result(timeout=WITHIN) == 14
    assert future.result(timeout=WITHIN) == 7


def test_futures_and_states_are_replaced_by_results_wherever_they_stand() -> None:
    @task
    def take(*values: object, **named: object) -> object:
        return values, named

    @flow
    def pipeline() -> object:
        one = double.submit(1)
        state: State = double.submit(2, return_state=True)
        return take(one, [one, (state,)], {"k": {one}}, named={"deep": [[{"x": state}]]})

    values, named = pipeline()  # type: ignore[misc]
    assert values == (2, [2, (4,)], {"k": {2}})
    assert named == {"named": {"deep": [[{"x": 4}]]}}


def test_an_argument_without_futures_is_handed_on_as_it_is() -> None:
    given = {"rows": [1, 2], "more": ({"a": [3]},)}
    got: list[object] = []
    task(got.append)(given)
    assert got[0] is given


def test_one_future_may_be_waited_for_in_many_threads(gate: threading.Event) -> None:
    future = held.submit(gate)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(future.result(timeout=WITHIN))) for _ in range(20)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert results == [7] * 20
