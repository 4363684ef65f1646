"""The key that a task hands to services which do nothing twice for one key."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook import flow, task
from flowbook.runtime import task_run
from flowbook.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

seen: list[str] = []


@task(retries=1)
def charge(fails: bool = False) -> str:
    seen.append(task_run.idempotency_key)
    if fails and task_run.run_count == 1:
        raise ValueError("not yet")
    return str(task_run.idempotency_key)


def test_it_is_the_same_in_each_attempt_and_another_for_each_call() -> None:
    seen.clear()

    @flow
    def pipeline() -> list[str]:
        return [charge(fails=True), charge(fails=True)]

    first, second = pipeline()
    assert seen == [first, first, second, second]
    assert first != second
    assert len(first) == 32
    assert pipeline() != [first, second]


@pytest.mark.parametrize(
    "runner", [ThreadPoolTaskRunner(2), pytest.param(ProcessPoolTaskRunner(1), marks=pytest.mark.slow)]
)
def test_it_is_there_on_every_runner(runner: Any) -> None:
    @flow(task_runner=runner)
    def pipeline() -> list[str]:
        return [future.result() for future in [charge.submit(), charge.submit()]]

    first, second = pipeline()
    assert first != second


def test_a_task_outside_of_flows_has_one_and_nobody_else_has() -> None:
    assert charge() != charge()
    assert task_run.idempotency_key is None
