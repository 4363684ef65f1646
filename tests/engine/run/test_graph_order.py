"""Whatever graph a flow submits: each task begins after those it takes from, and the record holds exactly its edges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from flowbook import flow, task
from flowbook.core.states import TRANSITIONS, State, StateType, check_transition
from flowbook.errors import IllegalTransition
from flowbook.runs import run_view
from flowbook.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner

Graph = list[tuple[list[int], list[int]]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """For each task, the earlier ones whose results it takes and those that it only waits for."""
    size = draw(st.integers(1, 8))
    earlier = [st.lists(st.integers(0, n - 1), max_size=3, unique=True) if n else st.just([]) for n in range(size)]
    return [(draw(some), draw(some)) for some in earlier]


@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner(1), ThreadPoolTaskRunner(4), SequentialTaskRunner()], ids=repr)
@given(graph=graphs())
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tasks_follow_what_they_depend_on(runner: Any, graph: Graph) -> None:
    @task
    def node(n: int, inputs: list[int]) -> int:
        return n + sum(inputs)

    @flow(task_runner=runner)
    def pipeline() -> list[int]:
        futures: list[Any] = []
        for n, (takes, waits) in enumerate(graph):
            inputs = [futures[i] for i in takes]
            futures.append(node.submit(n, inputs, wait_for=[futures[i] for i in waits]))
        return [future.result() for future in futures]

    expected: list[int] = []
    for n, (takes, _) in enumerate(graph):
        expected.append(n + sum(expected[i] for i in takes))
    assert pipeline() == expected
    nodes = list(run_view("last").nodes.values())
    for one, (takes, waits) in zip(nodes, graph, strict=True):
        before = {nodes[i].id for i in (*takes, *waits)}
        assert set(one.upstream) == before
        begun = one.started or 0.0
        assert all((other.ended or 0.0) <= begun for other in nodes if other.id in before)


@given(types=st.lists(st.sampled_from(StateType), min_size=1, max_size=8))
def test_only_the_transitions_of_the_table_are_allowed(types: list[StateType]) -> None:
    state: State | None = None
    for type_ in types:
        following = State(type=type_, name=type_.capitalize())
        if type_ in TRANSITIONS[state.type if state else None]:
            check_transition("Task run 'load'", state, following)
            state = following
        else:
            with pytest.raises(IllegalTransition, match=f"cannot become {following.name}"):
                check_transition("Task run 'load'", state, following)
