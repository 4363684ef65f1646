"""Fixtures for all tests: every test has a home of its own, and leaves no thread of the engine behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbook.engine import close_engines


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary FLOWBOOK_HOME."""
    folder = tmp_path / "flowbook-home"
    monkeypatch.setenv("FLOWBOOK_HOME", str(folder))
    monkeypatch.delenv("FLOWBOOK_DATABASE_URL", raising=False)
    yield folder
    close_engines()
