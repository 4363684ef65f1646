"""Fixtures for all tests: every test has a home of its own, and leaves no thread of the engine behind."""

from __future__ import annotations

import signal
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


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C works in the tests, also when they were started in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a kernel is slow."""
    for item in items:
        if "kernel" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
