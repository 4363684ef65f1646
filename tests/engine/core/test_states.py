"""States: which may follow which, what a person reads, and what the result of each is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbook import states as public
from flowbook.core.states import (
    FINAL_TYPES,
    State,
    StateType,
    check_transition,
    completed,
    crashed,
    describe_error,
    failed,
    not_ready,
    running,
)
from flowbook.errors import (
    CancelledRun,
    CrashedRun,
    FlowbookError,
    IllegalTransition,
    TaskTimeoutError,
    UpstreamTaskError,
)

#: from -> to; S scheduled, P pending, R running, p paused, g cancelling, C completed, F failed, X crashed, c cancelled
LETTERS = {
    "S": StateType.SCHEDULED,
    "P": StateType.PENDING,
    "R": StateType.RUNNING,
    "p": StateType.PAUSED,
    "g": StateType.CANCELLING,
    "C": StateType.COMPLETED,
    "F": StateType.FAILED,
    "X": StateType.CRASHED,
    "c": StateType.CANCELLED,
}
TABLE = {
    None: "SPRcXCF",
    "S": "SPRcXF",
    "P": "SPRCFXc",
    "R": "SRpgCFXc",
    "p": "SRgcFX",
    "g": "cXFC",
    "C": "SR",
    "F": "SR",
    "X": "SR",
    "c": "SR",
}


def state(type_: StateType) -> State:
    return State(type=type_, name=type_.capitalize())


@pytest.mark.parametrize("before", TABLE, ids=str)
@pytest.mark.parametrize("after", LETTERS)
def test_the_table_of_transitions(before: str | None, after: str) -> None:
    was = None if before is None else state(LETTERS[before])
    becomes = state(LETTERS[after])
    if after in TABLE[before]:
        check_transition("Task run 'x'", was, becomes)
    else:
        with pytest.raises(IllegalTransition):
            check_transition("Task run 'x'", was, becomes)


def test_an_illegal_transition_tells_the_story() -> None:
    with pytest.raises(IllegalTransition) as raised:
        check_transition("Task run 'extract'", completed(), failed(ValueError()))
    assert str(raised.value) == (
        "Task run 'extract' is Completed and cannot become Failed; from there it can become Running, Scheduled."
    )
    with pytest.raises(IllegalTransition, match="Flow run 'calm-owl' is not begun and cannot become Paused"):
        check_transition("Flow run 'calm-owl'", None, state(StateType.PAUSED))


def test_the_final_types() -> None:
    assert {type_ for type_ in StateType if state(type_).is_final()} == FINAL_TYPES
    assert len(FINAL_TYPES) == 4


@pytest.mark.parametrize("type_", StateType)
def test_exactly_one_question_is_answered_with_yes(type_: StateType) -> None:
    asked = [name for name in dir(State) if name.startswith("is_") and name != "is_final"]
    assert [name for name in asked if getattr(state(type_), name)()] == [f"is_{type_.lower()}"]


@pytest.mark.parametrize("name", [name for name in public.__all__ if name not in ("State", "StateType")])
def test_the_constructors_are_named_like_their_states(name: str) -> None:
    made = getattr(public, name)(message="because", data=7)
    assert (made.name, made.message, made.data) == (name, "because", 7)
    assert str(made) == f"{name}('because')"


def test_the_result_of_a_completed_state_is_its_data() -> None:
    assert completed([1]).result() == [1]
    assert completed(ValueError("a value like any other")).result().args == ("a value like any other",)


def test_the_result_of_a_failed_state_is_raised_or_returned() -> None:
    error = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        failed(error).result()
    assert failed(error).result(raise_on_failure=False) is error


@pytest.mark.parametrize(
    ("ended", "error", "said"),
    [
        (not_ready("It needs the result of 'a'."), UpstreamTaskError, "It needs the result of 'a'."),
        (public.Cancelled(), CancelledRun, "The run is in state Cancelled, so it has no result yet."),
        (crashed("Its process has gone."), CrashedRun, "Its process has gone."),
        (running(), FlowbookError, "The run is in state Running, so it has no result yet."),
    ],
)
def test_states_without_an_exception_say_why_there_is_no_result(
    ended: State, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        ended.result()
    assert str(raised.value) == said


def test_names_say_more_than_types() -> None:
    assert running(1).name == "Running"
    assert running(2).name == "Retrying"
    assert failed(TaskTimeoutError("late")).name == "TimedOut"
    assert failed(TimeoutError("of the user's own")).name == "Failed"


def test_the_timestamp_is_aware_and_in_utc() -> None:
    assert State(type=StateType.RUNNING, name="Running", time=0.0).timestamp == datetime(1970, 1, 1, tzinfo=UTC)
    assert running().timestamp is None


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad row"), "ValueError: bad row"),
        (ValueError(), "ValueError"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError("x" * 600), "ValueError: " + "x" * 485 + "..."),
        (Unspeakable(), "Unspeakable: (its message could not be shown)"),
        (ValueError("caf\udce9"), r"ValueError: caf\udce9"),
        (ValueError("a\0b"), r"ValueError: a\x00b"),
    ],
    ids=["plain", "empty", "lines", "long", "unspeakable", "surrogate", "null"],
)
def test_errors_in_one_line(error: BaseException, said: str) -> None:
    assert describe_error(error) == said
