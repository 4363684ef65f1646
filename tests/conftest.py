"""Fixtures for all tests: every test has a home of its own, and leaves no thread of the engine behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbook.engine import close_engines
from flowbook.testing import Harness, flowbook_test_harness

MakeNotebook = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary FLOWBOOK_HOME."""
    folder = tmp_path / "flowbook-home"
    monkeypatch.setenv("FLOWBOOK_HOME", str(folder))
    monkeypatch.delenv("FLOWBOOK_DATABASE_URL", raising=False)
    yield folder
    close_engines()


@pytest.fixture
def harness() -> Iterator[Harness]:
    """A home of its own, in which no retry takes time."""
    with flowbook_test_harness() as harness:
        yield harness


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C works in the tests, also when they were started in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Writes a notebook of code cells and returns its path."""

    def make(name: str, *cells: str, kernel: str = "python3", language: str = "python") -> Path:
        plain: dict[str, Any] = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": kernel, "language": language, "display_name": kernel}},
            "cells": [
                {
                    "id": f"c{number}",
                    "cell_type": "code",
                    "source": source.splitlines(keepends=True),
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                }
                for number, source in enumerate(cells, 1)
            ],
        }
        path = tmp_path / "books" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(plain), encoding="utf-8")
        return path

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a kernel is slow. Browser tests come last: Playwright leaves an event loop in their thread."""
    for item in items:
        if "kernel" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
