"""Processes are killed at random points, and every promise holds (`python -m tests.faults` runs more of it)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", range(1, 11))
def test_no_promise_is_broken_by_kill_9(seed: int, tmp_path: Path) -> None:
    trial = Trial(seed, tmp_path, seconds=5.0)
    assert trial.run() == [], f"killed: {', '.join(trial.killed)}"
