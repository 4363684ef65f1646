"""Notebooks of code cells, written to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_notebook(folder: Path, name: str, *cells: str, kernel: str = "python3", language: str = "python") -> Path:
    """Write a notebook of code cells with the ids ``c1``, ``c2``… to `folder`; returns its path."""
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
    path = folder / f"{name}.ipynb"
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path
