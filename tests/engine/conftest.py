"""Notebook files for tests of the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeNotebook = Callable[..., Path]


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
