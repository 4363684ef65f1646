"""The snapshot that every front end shows, made from events."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flowbook import flow, task
from flowbook.core.events import Event, EventKind, state_to_json
from flowbook.core.states import (
    PENDING,
    State,
    awaiting_retry,
    cancelled,
    completed,
    crashed,
    failed,
    not_ready,
    running,
    scheduled,
)
from flowbook.core.view import WORDS, RunReducer, RunView, look_of, reduce_run
from flowbook.engine import engine
from flowbook.runs import run_view
from flowbook.store.events import events_of

LOOKS: list[tuple[State | None, str]] = [
    (None, "waiting"),
    (PENDING, "waiting"),
    (scheduled(), "scheduled"),
    (running(1), "running"),
    (running(2), "retrying"),
    (awaiting_retry(1, 1, failed(OSError())), "retrying"),
    (completed(), "succeeded"),
    (completed(name="Cached"), "reused"),
    (failed(ValueError()), "failed"),
    (crashed("gone"), "crashed"),
    (cancelled(), "cancelled"),
    (not_ready("no"), "not-run"),
]


class Script:
    """Writes the events of a run, one per second."""

    def __init__(self, run_id: str = "run") -> None:
        self.run_id = run_id
        self.events: list[Event] = []
        self.say("flow-run", None, name="calm-owl", flow="pipeline", parameters={"n": 1})

    def say(self, kind: EventKind, task_id: str | None, **data: object) -> None:
        at = float(len(self.events) + 1)
        event = Event(kind=kind, time=at, flow_run_id=self.run_id, task_run_id=task_id, data=data, seq=int(at))
        self.events.append(event)

    def task(self, task_id: str, *upstream: str) -> None:
        self.say("task-run", task_id, name=task_id, **({"upstream": list(upstream)} if upstream else {}))

    def enter(self, task_id: str | None, state: State) -> None:
        self.say("state", task_id, **state_to_json(state))

    def view(self) -> RunView:
        return reduce_run(self.run_id, self.events)


@pytest.mark.parametrize(("state", "look"), LOOKS, ids=lambda value: str(value))
def test_the_look_of_a_state(state: State | None, look: str) -> None:
    assert look_of(state) == look
    assert look in WORDS


def test_a_run_from_its_events() -> None:
    script = Script()
    script.enter(None, running())
    script.task("a")
    script.task("b", "a")
    script.enter("a", running(1))
    script.enter("a", awaiting_retry(1, 1, failed(OSError())))
    script.enter("a", running(2))
    script.enter("a", completed(attempt=2))
    script.enter(None, completed())
    view = script.view()
    assert (view.name, view.flow, view.parameters, view.look) == ("calm-owl", "pipeline", {"n": 1}, "succeeded")
    assert (view.created, view.started, view.ended, view.duration()) == (1.0, 2.0, 9.0, 7.0)
    a, b = view.nodes["a"], view.nodes["b"]
    assert (a.attempts, a.started, a.ended, a.duration()) == (2, 5.0, 8.0, 3.0), "the time of all attempts together"
    assert (b.upstream, b.look, b.duration()) == (("a",), "waiting", None)
    assert view.counts() == {"succeeded": 1, "waiting": 1}
    assert view.last_seq == 9


def test_a_running_node_has_lasted_until_now() -> None:
    script = Script()
    script.task("a")
    script.enter("a", running())
    assert script.view().nodes["a"].duration(now=10.0) == 7.0
    assert script.view().nodes["a"].duration(now=1.0) == 0.0, "clocks may go back"


def test_the_first_failure_is_the_one_that_happened_first() -> None:
    script = Script()
    for name in ("a", "b", "c"):
        script.task(name)
    script.enter("c", failed(ValueError("the cause")))
    script.enter("a", failed(ValueError("later")))
    script.enter("b", not_ready("It needs c."))
    first = script.view().first_failure()
    assert first is not None
    assert first.id == "c"


def test_a_run_without_failures_has_no_first_one() -> None:
    script = Script()
    script.task("a")
    script.enter("a", completed())
    assert script.view().first_failure() is None


def test_events_of_other_runs_are_passed_over() -> None:
    script, other = Script(), Script("other")
    other.task("a")
    other.enter(None, failed(ValueError()))
    mixed = [*script.events, *other.events]
    assert reduce_run("run", mixed) == script.view()


def test_planned_tasks_are_nodes_before_they_run() -> None:
    script = Script()
    script.say(
        "graph",
        None,
        tasks=[{"id": "a", "name": "load", "upstream": []}, {"id": "b", "name": "use", "upstream": ["a"]}],
    )
    assert [(node.name, node.look, node.upstream) for node in script.view().nodes.values()] == [
        ("load", "waiting", ()),
        ("use", "waiting", ("a",)),
    ]


def test_edges_found_while_running_are_added_once() -> None:
    script = Script()
    script.task("a")
    script.task("b")
    for _ in range(2):
        script.say("edge", "b", **{"from": "a"})
    assert script.view().nodes["b"].upstream == ("a",)


def test_the_last_log_lines_are_kept() -> None:
    script = Script()
    for n in range(10):
        script.say("log", None, level="INFO", message=str(n))
    assert [line.message for line in reduce_run("run", script.events, keep_logs=3).logs] == ["7", "8", "9"]
    assert script.view().logs == ()


def test_the_reducer_says_what_changed() -> None:
    script = Script()
    script.task("a")
    reducer = RunReducer("run")
    reducer.apply(script.events)
    assert (reducer.changed, reducer.shape_changed) == ({"a"}, True)
    reducer.changed.clear()
    reducer.shape_changed = False
    script.enter("a", running())
    reducer.apply(script.events[-1:])
    assert (reducer.changed, reducer.shape_changed) == ({"a"}, False)


def any_run(seed: int) -> list[Event]:
    """The events of some run: tasks that come to be, go through states and say things, in any order."""
    chance = random.Random(seed)
    script = Script()
    known: list[str] = []
    for n in range(chance.randrange(40)):
        act = chance.randrange(6)
        if act == 0 or not known:
            script.task(f"t{n}", *chance.sample(known, min(len(known), chance.randrange(3))))
            known.append(f"t{n}")
        elif act == 1:
            script.say("log", chance.choice(known), level="INFO", message=str(n))
        elif act == 2:
            script.say("edge", chance.choice(known), **{"from": chance.choice(known)})
        elif act == 3:
            script.enter(None, chance.choice([state for state, _ in LOOKS if state is not None]))
        else:
            script.enter(chance.choice(known), chance.choice([state for state, _ in LOOKS if state is not None]))
    return script.events


@given(some.integers(0, 10_000), some.lists(some.integers(0, 40)))
def test_any_split_into_batches_gives_the_same_snapshot(seed: int, cuts: list[int]) -> None:
    events = any_run(seed)
    reducer, start = RunReducer("run", keep_logs=5), 0
    for cut in [*sorted(cuts), len(events)]:
        reducer.apply(events[start:cut])
        _ = reducer.view  # a snapshot taken meanwhile must not disturb
        start = max(start, cut)
    assert reducer.view == reduce_run("run", events, keep_logs=5)


@given(some.integers(0, 10_000))
def test_a_snapshot_does_not_change_afterwards(seed: int) -> None:
    events = any_run(seed)
    half = len(events) // 2
    reducer = RunReducer("run")
    reducer.apply(events[:half])
    snapshot = reducer.view
    reducer.apply(events[half:])
    assert snapshot == reduce_run("run", events[:half])


@given(some.integers(0, 10_000))
def test_every_node_is_counted_once(seed: int) -> None:
    view = reduce_run("run", any_run(seed))
    assert sum(view.counts().values()) == len(view.nodes)


def test_what_the_kernel_sees_live_is_what_is_read_back() -> None:
    live: list[Event] = []
    stop = engine().recorder.listen(live.append)

    @task
    def double(x: int) -> int:
        return 2 * x

    @task
    def fail(x: int) -> None:
        raise ValueError(x)

    @flow(log_prints=True)
    def pipeline() -> list[object]:
        print("hello")
        futures = [double.submit(n) for n in range(3)]
        return [*futures, fail.submit(futures[0])]

    pipeline(return_state=True)  # type: ignore[call-arg]
    stop()
    stored = run_view("last")
    assert reduce_run(stored.id, live, keep_logs=10) == replace(stored, last_seq=0)
    assert len(events_of(engine().database, stored.id)) == len(live)
    assert stored.counts() == {"succeeded": 3, "failed": 1}
