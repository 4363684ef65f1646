"""The lives of runs as tables: which outcomes are sent in, and which effects are seen."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook.core.protocol import (
    Call,
    Enter,
    Life,
    LookUp,
    MayRetry,
    Raised,
    Returned,
    Rules,
    Save,
    Settle,
    Sleep,
    TakeSlots,
    flow_life,
    task_life,
)
from flowbook.core.states import State, completed, failed
from flowbook.core.storage import Found
from flowbook.errors import CancelRequested, TaskTimeoutError, WorkerLost

BUSY = OSError("busy")


def seen(effect: Any) -> Any:
    """An effect as it stands in the tables."""
    if isinstance(effect, Enter):
        return effect.state.name
    if isinstance(effect, Sleep):
        return effect.seconds
    if isinstance(effect, Call):
        return "call" if effect.timeout is None else ("call", effect.timeout)
    if isinstance(effect, Save):
        return ("save", effect.state.data)
    if isinstance(effect, MayRetry):
        return ("may retry", effect.state.name)
    if isinstance(effect, TakeSlots):
        return ("slots", effect.limit)
    return "look up" if isinstance(effect, LookUp) else ("settle", effect.value)


def live(life: Life, *outcomes: Any) -> tuple[list[Any], State]:
    """Send the outcomes to the calls, sleeps and look-ups of a life; returns all effects and the end.

    A plain value settles as Completed, unseen, unless the outcomes hold a state for it.
    """
    left, effects, outcome = list(outcomes), [], None
    try:
        while True:
            effect = life.send(outcome)
            if isinstance(effect, Settle) and not (left and isinstance(left[0], State)):
                outcome = completed(effect.value)
                continue
            effects.append(seen(effect))
            outcome = effect.state if isinstance(effect, Enter | Save) else left.pop(0)
    except StopIteration as end:
        assert not left, f"the life ended before it took {left}"
        return effects, end.value


NO, OK = Raised(BUSY), Returned(7)
SLEPT = None
TWICE = Rules(delays=(10.0, 20.0))

ASLEEP_TWICE = ["Running", "call", "AwaitingRetry", 10, "Retrying", "call", "AwaitingRetry", 20, "Retrying", "call"]

TASKS: dict[str, tuple[Rules, list[Any], list[Any]]] = {
    "returns": (Rules(), [OK], ["Running", "call", "Completed"]),
    "fails": (Rules(), [NO], ["Running", "call", "Failed"]),
    "a list of delays": (
        TWICE,
        [NO, SLEPT, NO, SLEPT, OK],
        [
            "Running",
            "call",
            "AwaitingRetry",
            10,
            "Retrying",
            "call",
            "AwaitingRetry",
            20,
            "Retrying",
            "call",
            "Completed",
        ],
    ),
    "retries used up": (
        TWICE,
        [NO, SLEPT, NO, SLEPT, NO],
        [*ASLEEP_TWICE, "Failed"],
    ),
    "no delay, no sleep": (
        Rules(delays=(0.0,)),
        [NO, OK],
        ["Running", "call", "AwaitingRetry", "Retrying", "call", "Completed"],
    ),
    "jitter": (
        Rules(delays=(10.0,), jitter=0.5, uniform=lambda: 0.5),
        [NO, SLEPT, OK],
        ["Running", "call", "AwaitingRetry", 12.5, "Retrying", "call", "Completed"],
    ),
    "the condition says no": (
        Rules(delays=(10.0,), conditional=True),
        [NO, False],
        ["Running", "call", ("may retry", "Failed"), "Failed"],
    ),
    "the condition says yes": (
        Rules(delays=(10.0,), conditional=True),
        [NO, True, SLEPT, OK],
        ["Running", "call", ("may retry", "Failed"), "AwaitingRetry", 10, "Retrying", "call", "Completed"],
    ),
    "nobody is asked after the last retry": (Rules(conditional=True), [NO], ["Running", "call", "Failed"]),
    "reused": (Rules(kept=True), [Found(7)], ["look up", "Cached"]),
    "a reused None": (Rules(kept=True), [Found(None)], ["look up", "Cached"]),
    "not stored yet": (Rules(kept=True), [None, OK], ["look up", "Running", "call", ("save", 7), "Completed"]),
    "failures are not stored": (Rules(kept=True), [None, NO], ["look up", "Running", "call", "Failed"]),
    "returns a failed state": (
        Rules(kept=True),
        [None, OK, failed(BUSY)],
        ["look up", "Running", "call", ("settle", 7), "Failed"],
    ),
    "returns a failed state and is retried": (
        Rules(delays=(10.0,)),
        [OK, failed(BUSY), SLEPT, OK],
        ["Running", "call", ("settle", 7), "AwaitingRetry", 10, "Retrying", "call", "Completed"],
    ),
    "a lost worker": (
        Rules(delays=(10.0,)),
        [Raised(WorkerLost("killed")), SLEPT, Raised(WorkerLost("killed"))],
        ["Running", "call", "AwaitingRetry", 10, "Retrying", "call", "Crashed"],
    ),
    "cancelled": (TWICE, [Raised(CancelRequested())], ["Running", "call", "Cancelled"]),
    "timeout": (Rules(timeout=3.0), [OK], ["Running", ("call", 3.0), "Completed"]),
    "timed out": (Rules(timeout=3.0), [Raised(TaskTimeoutError())], ["Running", ("call", 3.0), "TimedOut"]),
    "timed out and retried": (
        Rules(timeout=3.0, delays=(1.0,)),
        [Raised(TaskTimeoutError()), SLEPT, OK],
        ["Running", ("call", 3.0), "AwaitingRetry", 1, "Retrying", ("call", 3.0), "Completed"],
    ),
    "interrupted": (TWICE, [Raised(KeyboardInterrupt())], ["Running", "call", "Cancelled"]),
    "interrupted asleep": (
        TWICE,
        [NO, Raised(KeyboardInterrupt())],
        ["Running", "call", "AwaitingRetry", 10, "Cancelled"],
    ),
    "exit": (TWICE, [Raised(SystemExit(1))], ["Running", "call", "Crashed"]),
    "generator closed": (TWICE, [Raised(GeneratorExit())], ["Running", "call", "Crashed"]),
}

FLOWS: dict[str, tuple[Rules, list[Any], list[Any]]] = {
    "returns": (Rules(), [OK, completed(7)], ["Pending", "Running", "call", ("settle", 7), "Completed"]),
    "raises": (Rules(), [NO], ["Pending", "Running", "call", "Failed"]),
    "returns what failed": (Rules(), [OK, failed(BUSY)], ["Pending", "Running", "call", ("settle", 7), "Failed"]),
    "returns what failed, and is retried": (
        Rules(delays=(5.0,)),
        [OK, failed(BUSY), SLEPT, OK, completed(7)],
        [
            *("Pending", "Running", "call", ("settle", 7), "AwaitingRetry", 5),
            *("Retrying", "call", ("settle", 7), "Completed"),
        ],
    ),
    "retried": (
        Rules(delays=(5.0,)),
        [NO, SLEPT, OK, completed(7)],
        ["Pending", "Running", "call", "AwaitingRetry", 5, "Retrying", "call", ("settle", 7), "Completed"],
    ),
    "interrupted": (Rules(delays=(5.0,)), [Raised(KeyboardInterrupt())], ["Pending", "Running", "call", "Cancelled"]),
    "exit": (Rules(delays=(5.0,)), [Raised(SystemExit())], ["Pending", "Running", "call", "Crashed"]),
    "timed out": (
        Rules(timeout=9.0),
        [Raised(TaskTimeoutError())],
        ["Pending", "Running", ("call", 9.0), "TimedOut"],
    ),
}


@pytest.mark.parametrize("case", TASKS)
def test_the_life_of_a_task_run(case: str) -> None:
    rules, outcomes, effects = TASKS[case]
    found, end = live(task_life(rules), *outcomes)
    assert found == effects
    assert end.name == effects[-1]


def test_slots_are_taken_anew_for_each_attempt() -> None:
    slots = [("slots", 0), ("slots", 1)]
    found, _ = live(task_life(Rules(delays=(10.0,)), limits=2), None, None, NO, SLEPT, None, None, OK)
    assert found == [*slots, "Running", "call", "AwaitingRetry", 10, *slots, "Retrying", "call", "Completed"]


def test_an_interrupt_while_waiting_for_slots_ends_the_run() -> None:
    found, end = live(task_life(TWICE, limits=1), Raised(KeyboardInterrupt()))
    assert found == [("slots", 0), "Cancelled"]
    assert end.ended_by_interrupt()


@pytest.mark.parametrize("case", FLOWS)
def test_the_life_of_a_flow_run(case: str) -> None:
    rules, outcomes, effects = FLOWS[case]
    found, end = live(flow_life(rules), *outcomes)
    assert found == effects
    assert end.name == effects[-1]


def test_the_end_carries_the_value_or_the_error() -> None:
    assert live(task_life(Rules()), OK)[1].result() == 7
    assert live(task_life(Rules(kept=True)), Found(8))[1].result() == 8
    error = live(task_life(Rules()), NO)[1].result(raise_on_failure=False)
    assert error is BUSY
    interrupt = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        live(task_life(Rules()), Raised(interrupt))[1].result()


def test_states_say_which_attempt_they_belong_to() -> None:
    states: list[State] = []
    life = task_life(Rules(delays=(1.0,)))
    outcome: Any = None
    outcomes = [NO, None, NO]
    with pytest.raises(StopIteration):
        while True:
            effect = life.send(outcome)
            if isinstance(effect, Enter):
                states.append(effect.state)
                outcome = effect.state
            else:
                outcome = outcomes.pop(0)
    assert [(state.name, state.attempt) for state in states] == [
        ("Running", 1),
        ("AwaitingRetry", 1),
        ("Retrying", 2),
        ("Failed", 2),
    ]
    assert states[1].message == "Attempt 1 failed with OSError: busy. Retrying in 1.0 seconds..."
