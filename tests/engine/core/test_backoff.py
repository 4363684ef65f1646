"""Delays before retries."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flowbook import task
from flowbook.core.backoff import delays_for, jittered
from flowbook.core.protocol import Call, Enter, Raised, Rules, Sleep, task_life
from flowbook.errors import UsageError
from flowbook.tasks import exponential_backoff

seconds = some.floats(min_value=0, max_value=1e6)


@pytest.mark.parametrize(
    ("retries", "delay", "expected"),
    [
        (0, 10, ()),
        (3, 10, (10.0, 10.0, 10.0)),
        (3, 0.5, (0.5, 0.5, 0.5)),
        (3, [10, 30, 60], (10.0, 30.0, 60.0)),
        (4, [1, 2], (1.0, 2.0, 2.0, 2.0)),
        (1, [1, 2, 3], (1.0,)),
        (2, [], (0.0, 0.0)),
        (2, (1, 2), (1.0, 2.0)),
        pytest.param(4, exponential_backoff(10), (10.0, 20.0, 40.0, 80.0), id="exponential"),
        pytest.param(3, lambda retries: [retries] * retries, (3.0, 3.0, 3.0), id="function"),
    ],
    ids=repr,
)
def test_the_delay_before_each_retry(retries: int, delay: Any, expected: tuple[float, ...]) -> None:
    assert delays_for(retries, delay) == expected


@pytest.mark.parametrize("delay", [-1, [1, -1], lambda retries: [-0.5]], ids=["number", "list", "function"])
def test_negative_delays_are_refused_where_they_are_written(delay: float | list[float] | Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"retry_delay_seconds is .*; a delay must be 0 or more seconds\."):
        task(retries=2, retry_delay_seconds=delay)(lambda: None)


def test_a_negative_backoff_factor_is_refused() -> None:
    with pytest.raises(ValueError, match="backoff_factor is -1; it must be 0 or more seconds"):
        exponential_backoff(-1)


@given(some.integers(0, 50), some.one_of(seconds, some.lists(seconds)))
def test_there_is_one_delay_for_each_retry(retries: int, delay: float | list[float]) -> None:
    assert len(delays_for(retries, delay)) == retries


@given(some.integers(1, 20), some.lists(seconds, min_size=1, max_size=30))
def test_listed_delays_are_used_in_order_and_the_last_repeats(retries: int, delay: list[float]) -> None:
    found = delays_for(retries, delay)
    assert list(found[: len(delay)]) == delay[:retries]
    assert set(found[len(delay) :]) <= {delay[-1]}


@given(seconds, some.floats(0, 10), some.floats(0, 1, exclude_max=True))
def test_jitter_only_makes_longer_and_at_most_by_its_factor(delay: float, factor: float, uniform: float) -> None:
    assert delay <= jittered(delay, factor, uniform) <= delay * (1 + factor)


@given(seconds, some.floats(0, 10), some.lists(some.floats(0, 1, exclude_max=True), min_size=2))
def test_jitter_grows_with_the_number_that_is_drawn(delay: float, factor: float, drawn: list[float]) -> None:
    found = [jittered(delay, factor, uniform) for uniform in sorted(drawn)]
    assert found == sorted(found)
    assert jittered(delay, factor, 0) == delay


@given(some.integers(0, 60), some.floats(0, 1e6))
def test_exponential_delays_double(retries: int, factor: float) -> None:
    found = delays_for(retries, exponential_backoff(factor))
    assert len(found) == retries
    assert found[:1] == (factor,)[:retries]
    assert all(later == 2 * earlier for earlier, later in pairwise(found))


@given(some.lists(seconds, max_size=8), some.none() | some.floats(0, 10), some.randoms(use_true_random=False))
def test_a_run_sleeps_for_each_of_its_delays_with_jitter(
    delays: list[float], factor: float | None, chance: Random
) -> None:
    life = task_life(Rules(delays=tuple(delays), jitter=factor, uniform=chance.random))
    slept, effect = [], next(life)
    with suppress(StopIteration):
        for _ in range(5 * len(delays) + 5):
            if isinstance(effect, Sleep):
                slept.append(effect.seconds)
            answer = Raised(OSError("busy")) if isinstance(effect, Call) else None
            effect = life.send(effect.state if isinstance(effect, Enter) else answer)
        raise AssertionError("The run does not end.")
    most = 1 + (factor or 0)
    expected = [delay for delay in delays if delay > 0]
    assert len(slept) == len(expected)
    assert all(low <= found <= low * most for low, found in zip(expected, slept, strict=True))


@given(seconds, some.floats(0, 1, exclude_max=True))
def test_without_a_factor_there_is_no_jitter(delay: float, uniform: float) -> None:
    assert jittered(delay, None, uniform) == jittered(delay, 0, uniform) == delay
