"""Processes are killed at random points, and every promise holds on PostgreSQL as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", range(17, 20))
def test_no_promise_is_broken_by_kill_9_on_postgresql(seed: int, tmp_path: Path, postgres_url: str) -> None:
    trial = Trial(seed, tmp_path, postgres_url, seconds=4.0)
    assert trial.run() == [], f"killed: {', '.join(trial.killed)}"
