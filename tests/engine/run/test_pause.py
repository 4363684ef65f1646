"""Flow runs that wait for a person: what they wait for, what they are told, and what ends the wait otherwise."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from enum import Enum
from typing import Any, Literal

import pydantic
import pytest
from tests.waiting import WITHIN

from flowbook import flow, pause_flow_run, resume_flow_run, task
from flowbook.errors import (
    CancelledRun,
    FlowPauseTimeout,
    MissingContextError,
    NotFound,
    ParameterError,
    UsageError,
)
from flowbook.flow_runs import cancel_flow_run
from flowbook.input import RunInput
from flowbook.run.asked import Asked, Field
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("store_url")


class Person:
    """Does something in a thread of its own, once a run is paused."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def once_paused(self, act: Callable[[], Any], name: str | None = None) -> None:
        def run() -> None:
            deadline = time.monotonic() + WITHIN
            while not any(one.look == "paused" and name in (None, one.name) for one in every_run()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            try:
                act()
            except Exception as error:
                self.errors.append(error)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def stop(self) -> None:
        for thread in self._threads:
            thread.join(WITHIN)


def every_run() -> list[Any]:
    return [find_run(number) for number in range(1, len(recent_runs()) + 3) if exists(number)]


def exists(number: int) -> bool:
    try:
        find_run(number)
    except NotFound:
        return False
    return True


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person()
    yield made
    made.stop()


def states_of(run: int | str) -> list[str]:
    from flowbook.engine import engine
    from flowbook.store.events import events_of

    engine().journal.flush()
    events = events_of(engine().database, find_run(run).id)
    return [event.data["name"] for event in events if event.kind == "state" and event.task_run_id is None]


def test_a_paused_run_goes_on_when_it_is_resumed(person: Person) -> None:
    seen: list[str] = []

    @flow
    def pipeline() -> str:
        pause_flow_run()
        seen.append(find_run("last").state_name)
        return "done"

    person.once_paused(lambda: resume_flow_run("last"))
    assert pipeline() == "done"
    assert seen == ["Running"]
    assert states_of("last") == ["Pending", "Running", "Paused", "Running", "Completed"]
    assert not person.errors


def test_the_view_of_a_paused_run_says_so(person: Person) -> None:
    views: list[Any] = []

    def look() -> None:
        views.append(run_view("last"))
        resume_flow_run("last")

    @flow
    def pipeline() -> None:
        pause_flow_run()

    person.once_paused(look)
    pipeline()
    assert views[0].look == "paused"
    assert views[0].state.message == "Waiting to be resumed."
    assert run_view("last").look == "succeeded"


def test_it_logs_how_it_is_resumed(person: Person) -> None:
    class Answer(RunInput):
        name: str
        age: int = 3

    @flow
    def pipeline() -> None:
        pause_flow_run(wait_for_input=Answer)

    person.once_paused(lambda: resume_flow_run("last", {"name": "Ada"}))
    pipeline()
    run = find_run("last")
    lines = [line.message for line in run_view("last", keep_logs=10).logs]
    assert lines == [f"Paused. To resume it: flowbook runs resume {run.id} --input name=..."]


@pytest.mark.parametrize(
    ("kind", "given", "answer"),
    [(int, 7, 7), (str, "Ada", "Ada"), (list[int], [1, 2], [1, 2]), (date, "2026-01-02", date(2026, 1, 2))],
    ids=str,
)
def test_the_input_of_a_plain_type(person: Person, kind: Any, given: Any, answer: Any) -> None:
    @flow
    def pipeline() -> Any:
        return pause_flow_run(wait_for_input=kind)

    person.once_paused(lambda: resume_flow_run("last", {"value": given}))
    assert pipeline() == answer
    assert not person.errors


def test_the_input_of_a_model(person: Person) -> None:
    class Answer(RunInput):
        name: str
        age: int

    class Plain(pydantic.BaseModel):
        name: str

    @flow
    def pipeline() -> tuple[Any, Any]:
        return pause_flow_run(wait_for_input=Answer), pause_flow_run(wait_for_input=Plain)

    def answer() -> None:
        resume_flow_run("last", {"name": "Ada", "age": "36"})
        person.once_paused(lambda: resume_flow_run("last", {"name": "Grace"}))

    person.once_paused(answer)
    assert pipeline() == (Answer(name="Ada", age=36), Plain(name="Grace"))
    assert not person.errors


def test_initial_data_and_a_description(person: Person) -> None:
    class Answer(RunInput):
        name: str = pydantic.Field(min_length=2, description="yours")
        age: int

    asks = Answer.with_initial_data(description="**Who?**", name="anonymous")

    @flow
    def pipeline() -> Any:
        return pause_flow_run(wait_for_input=asks)

    person.once_paused(lambda: resume_flow_run("last", {"age": 1}))
    answer = pipeline()
    assert isinstance(answer, Answer)
    assert (answer.name, answer.age) == ("anonymous", 1)
    assert Asked(asks).description == "**Who?**"
    assert Asked(Answer).description is None
    with pytest.raises(pydantic.ValidationError):
        asks(name="x", age=1)
    with pytest.raises(pydantic.ValidationError):
        Answer(age=1)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="has no option 'nmae'"):
        Answer.with_initial_data(nmae="x")


class Order(RunInput):
    size: Literal["small", "large"]
    colour: str = "red"

    @pydantic.model_validator(mode="after")
    def in_stock(self) -> Order:
        if self.size == "small" and self.colour == "green":
            raise ValueError("Green is not in stock in small.")
        return self


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({}, "size", "needs the field 'size'."),
        (None, "size", "needs the field 'size'."),
        ({"size": "huge"}, "size", "Field 'size' of the input of flow run '.*' does not fit: .* \\(it is 'huge'\\)."),
        ({"size": "small", "length": 3}, "length", "has no field 'length'; it has 'size', 'colour'."),
        ({"size": "small", "colour": "green"}, None, "does not fit: Green is not in stock in small \\("),
        ({"size": object()}, None, "run_input cannot be kept as JSON"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_and_the_run_stays_paused(
    person: Person, given: Any, field: str | None, said: str
) -> None:
    looks: list[str] = []

    def answer() -> None:
        try:
            resume_flow_run("last", given)
        finally:
            looks.append(find_run("last").look)
            resume_flow_run("last", {"size": "large"})

    @flow
    def pipeline() -> Any:
        return pause_flow_run(wait_for_input=Order)

    person.once_paused(answer)
    assert pipeline() == Order(size="large")
    (error,) = person.errors
    assert isinstance(error, ParameterError)
    assert error.field == field
    with pytest.raises(ParameterError, match=said):
        raise error
    assert looks == ["paused"]


def test_an_input_that_nobody_waits_for_is_refused(person: Person) -> None:
    def answer() -> None:
        try:
            resume_flow_run("last", {"value": 3})
        finally:
            resume_flow_run("last")

    @flow
    def pipeline() -> None:
        pause_flow_run()

    person.once_paused(answer)
    pipeline()
    (error,) = person.errors
    assert "does not wait for an input" in str(error)


def test_what_cannot_be_an_input_is_refused_before_the_run_is_paused() -> None:
    @flow
    def pipeline() -> None:
        pause_flow_run(wait_for_input=object())

    with pytest.raises(UsageError, match="which is no type of a value"):
        pipeline()
    assert "Paused" not in states_of("last")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_that_nobody_resumes_fails_in_time(is_async: bool) -> None:
    @flow
    def pipeline() -> None:
        pause_flow_run(timeout=0.05)

    @flow
    async def coroutine() -> None:
        await pause_flow_run(timeout=0.05)

    with pytest.raises(FlowPauseTimeout, match="was paused, and nobody resumed it within"):
        asyncio.run(coroutine()) if is_async else pipeline()
    assert states_of("last") == ["Pending", "Running", "Paused", "Running", "Failed"]
    with pytest.raises(UsageError, match="is not paused: it is Failed"):
        resume_flow_run("last")


def test_pausing_an_async_flow_does_not_block_its_loop(person: Person) -> None:
    beats = 0

    @flow
    async def pipeline() -> int:
        answer: int = await pause_flow_run(wait_for_input=int)
        return answer

    async def program() -> int:
        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(heart())
        answer = await pipeline()
        beating.cancel()
        return answer

    def later() -> None:
        while beats < 3:
            time.sleep(0.01)
        resume_flow_run("last", {"value": 4})

    person.once_paused(later)
    assert asyncio.run(program()) == 4
    assert states_of("last") == ["Pending", "Running", "Paused", "Running", "Completed"]


def test_a_sync_flow_pauses_where_a_loop_runs(person: Person) -> None:
    @flow
    def pipeline() -> int:
        answer: int = pause_flow_run(wait_for_input=int)
        return answer

    async def cell() -> int:
        return pipeline()

    person.once_paused(lambda: resume_flow_run("last", {"value": 4}))
    assert asyncio.run(cell()) == 4


def test_a_generator_pauses(person: Person) -> None:
    @flow
    def numbers() -> Iterator[int]:
        yield 1
        yield pause_flow_run(wait_for_input=int)

    person.once_paused(lambda: resume_flow_run("last", {"value": 2}))
    assert list(numbers()) == [1, 2]
    assert not person.errors
    assert states_of("last") == ["Pending", "Running", "Paused", "Running", "Completed"]


def test_tasks_that_have_begun_go_on_meanwhile(person: Person) -> None:
    ended = threading.Event()

    @task
    def load() -> int:
        ended.set()
        return 1

    def later() -> None:
        assert ended.wait(WITHIN)
        resume_flow_run("last")

    @flow
    def pipeline() -> int:
        future = load.submit()
        pause_flow_run()
        return future.result()

    person.once_paused(later)
    assert pipeline() == 1
    assert not person.errors


def test_a_paused_subflow_does_not_keep_the_pool_from_working(person: Person) -> None:
    @flow(flow_run_name="asks")
    def asks() -> int:
        answer: int = pause_flow_run(wait_for_input=int)
        return answer

    @task
    def calls() -> int:
        return asks()

    @task
    def other() -> None:
        resume_flow_run("asks", {"value": 5})

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def pipeline() -> int:
        waits = calls.submit()
        while not any(run.look == "paused" for run in every_run()):
            time.sleep(0.01)
        other.submit()
        return waits.result()

    assert pipeline() == 5
    assert states_of("asks") == ["Pending", "Running", "Paused", "Running", "Completed"]


def test_a_key_asks_once_also_when_the_flow_is_retried(person: Person) -> None:
    answers: list[Any] = []

    @flow(retries=1)
    def pipeline() -> None:
        answers.append(pause_flow_run(wait_for_input=int, key="approval"))
        answers.append(pause_flow_run(wait_for_input=int, key="approval"))
        if len(answers) < 4:
            raise OSError("busy")

    person.once_paused(lambda: resume_flow_run("last", {"value": 1}))
    pipeline()
    assert answers == [1, 1, 1, 1]
    assert states_of("last").count("Paused") == 1


def test_without_a_key_each_pause_asks_but_a_retry_does_not(person: Person) -> None:
    answers: list[Any] = []

    @flow(retries=1)
    def pipeline() -> None:
        answers.append(pause_flow_run(wait_for_input=int))
        answers.append(pause_flow_run(wait_for_input=int))
        if len(answers) < 4:
            raise OSError("busy")

    def answer() -> None:
        resume_flow_run("last", {"value": 1})
        person.once_paused(lambda: resume_flow_run("last", {"value": 2}))

    person.once_paused(answer)
    pipeline()
    assert answers == [1, 2, 1, 2]
    assert states_of("last").count("Paused") == 2


def test_the_hooks_for_running_are_not_run_again(person: Person) -> None:
    told: list[str] = []

    @flow(on_running=[lambda flow, run, state: told.append(state.name)])
    def pipeline() -> None:
        pause_flow_run()

    person.once_paused(lambda: resume_flow_run("last"))
    pipeline()
    assert told == ["Running"]


def test_ctrl_c_ends_a_paused_run(person: Person) -> None:
    @flow
    def pipeline() -> None:
        pause_flow_run()

    person.once_paused(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        pipeline()
    assert states_of("last") == ["Pending", "Running", "Paused", "Cancelled"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_paused_run_can_be_cancelled(person: Person, is_async: bool) -> None:
    @flow
    def pipeline() -> None:
        pause_flow_run()

    @flow
    async def coroutine() -> None:
        await pause_flow_run()

    person.once_paused(lambda: cancel_flow_run("last"))
    with pytest.raises(CancelledRun):
        asyncio.run(coroutine()) if is_async else pipeline()
    assert states_of("last") == ["Pending", "Running", "Paused", "Cancelling", "Cancelled"]


def test_the_timeout_of_the_flow_ends_a_pause() -> None:
    @flow(timeout_seconds=0.1)
    def pipeline() -> None:
        pause_flow_run()

    with pytest.raises(TimeoutError):
        pipeline()
    assert states_of("last") == ["Pending", "Running", "Paused", "TimedOut"]


def test_pausing_where_there_is_nothing_to_pause() -> None:
    with pytest.raises(MissingContextError, match="outside of a flow run; call it inside a flow"):
        pause_flow_run()

    @task
    def one() -> None:
        pause_flow_run()

    @flow
    def pipeline() -> None:
        one()

    with pytest.raises(UsageError, match="was called in task run 'one'; call it in the flow"):
        pipeline()


def test_a_second_pause_beside_the_first_is_refused(person: Person) -> None:
    errors: list[Exception] = []

    @flow
    def pipeline() -> None:
        import contextvars

        def beside() -> None:
            while find_run("last").look != "paused":
                time.sleep(0.01)
            try:
                pause_flow_run()
            except Exception as error:
                errors.append(error)
            resume_flow_run("last")

        thread = threading.Thread(target=contextvars.copy_context().run, args=(beside,))
        thread.start()
        pause_flow_run()
        thread.join()

    pipeline()
    assert "is paused already" in str(errors[0])


def test_resuming_what_is_not_paused() -> None:
    @flow
    def pipeline() -> None:
        pass

    pipeline()
    name = find_run("last").name
    with pytest.raises(UsageError, match=f"Flow run '{name}' is not paused: it is Completed."):
        resume_flow_run("last")
    with pytest.raises(NotFound):
        resume_flow_run("nobody")


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Everything(RunInput):
    name: str
    count: int = pydantic.Field(3, description="how many")
    sure: bool = False
    colour: Colour = Colour.GREEN
    size: Literal["s", "m"] = "m"
    days: list[date] = pydantic.Field(default_factory=list)
    note: str | None = None


def test_the_fields_that_a_form_shows() -> None:
    assert Asked(Everything).fields() == (
        Field(name="name", title="Name", description=None, required=True, default=None),
        Field(name="count", title="Count", description="how many", required=False, default="3"),
        Field(name="sure", title="Sure", description=None, required=False, default="false", choices=("true", "false")),
        Field(
            name="colour", title="colour", description=None, required=False, default="green", choices=("red", "green")
        ),
        Field(name="size", title="Size", description=None, required=False, default="m", choices=("s", "m")),
        Field(name="days", title="Days", description=None, required=False, default="[]"),
        Field(name="note", title="Note", description=None, required=False, default=None),
    )
    assert Asked(int).fields() == (Field(name="value", title="Value", description=None, required=True, default=None),)


def test_texts_that_a_person_types() -> None:
    texts = {
        "name": "[x]",
        "count": "7",
        "sure": "yes",
        "colour": "red",
        "size": "s",
        "days": '["2026-01-02"]',
        "note": "null",
    }
    assert Asked(Everything).value_of(texts, "flow run 'x'", texts=True) == Everything(
        name="[x]",
        count=7,
        sure=True,
        colour=Colour.RED,
        size="s",
        days=[date(2026, 1, 2)],
        note="null",
    )
    with pytest.raises(ParameterError, match="Field 'count' of the input of flow run 'x' does not fit"):
        Asked(Everything).value_of({**texts, "count": "many"}, "flow run 'x'", texts=True)
