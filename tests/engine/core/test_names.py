"""Names of runs."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as some

from flowbook import flow
from flowbook.core.names import run_name
from flowbook.runs import recent_runs


@given(some.integers())
def test_any_number_has_a_name_and_always_the_same(number: int) -> None:
    assert re.fullmatch(r"[a-z]+-[a-z]+", run_name(number))
    assert run_name(number) == run_name(number)


def test_there_are_thousands_of_names() -> None:
    assert len({run_name(number) for number in range(20_000)}) > 5000


def test_runs_that_follow_each_other_have_different_names() -> None:
    @flow
    def nothing() -> None: ...

    for _ in range(20):
        nothing()
    assert len({run.name for run in recent_runs()}) == 20
