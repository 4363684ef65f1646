"""What a version of a deployment captures: everything that decides what a run does, as plain JSON values."""

from __future__ import annotations

import ast
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbook.cells import NotebookGraph
from flowbook.cells.freshness import cell_hash
from flowbook.errors import NotebookError
from flowbook.promote.cells import KnownCell, parsed
from flowbook.promote.checks.data_reads import DataRead
from flowbook.promote.data_files import read_files
from flowbook.promote.local_code import environment_names, installed, local_imports
from flowbook.promote.reading import Reading, what_runs


def make_manifest(
    *,
    path: Path,
    sha: str,
    reading: Reading,
    reads: Sequence[DataRead],
    parameters: Mapping[str, Any],
    schedules: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The manifest of the notebook at `path`, whose snapshot has the hash `sha`; `reads` are its data files."""
    return {
        **what_runs(path, sha, reading),
        "cells": cells_of(reading),
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "parameters": dict(parameters),
        "schedules": [dict(spec) for spec in schedules],
        "environment": environment_names(_trees(reading)),
        "local_imports": imported_files(reading, path.parent),
        "data_files": read_files(reads, path.parent),
        "distributions": installed(),
    }


def cells_of(reading: Reading) -> list[dict[str, Any]]:
    """The cells of the graph."""
    return [_cell(known, reading.graph) for known in reading.cells]


def _cell(known: KnownCell, graph: NotebookGraph | None) -> dict[str, Any]:
    """A cell of the graph: what it is called, after which cells it runs, and a hash of what its code means."""
    said: dict[str, Any] = {"number": known.cell.number, "role": known.role.value, "name": known.name}
    if graph is not None:
        said["after"] = [int(edge.upstream) for edge in graph.incoming(known.id)]
        said["hash"] = cell_hash(graph, known.id)
    return said


def imported_files(reading: Reading, folder: Path) -> dict[str, str]:
    """The files beside the notebook that it imports, directly or not: path from `folder` -> SHA-256.

    Raises NotebookError for one that cannot be read.
    """
    try:
        return local_imports(_trees(reading), folder)
    except OSError as error:
        raise NotebookError(f"A module beside the notebook cannot be read: {error}.") from None


def _trees(reading: Reading) -> list[ast.Module]:
    return [parsed(known.cell.source) for known in reading.cells]


def summary_of(manifest: Mapping[str, Any]) -> str:
    """The manifest in half a sentence: ``report.ipynb (1f6a4b3c9d2e), 5 code cells, kernel python3, …``."""
    editable = [each["name"] for each in manifest["distributions"] if each["editable"]]
    parts = [
        f"{manifest['entrypoint']} (snapshot {manifest['snapshot'][:12]})",
        f"kernel {manifest['kernel']}, Python {manifest['python']}",
        _counted(manifest["schema"], "parameter"),
        _counted(manifest["local_imports"], "local file"),
        _counted(manifest["data_files"], "data file"),
        _counted(manifest["distributions"], "distribution")
        + (f" ({', '.join(editable)} editable)" if editable else ""),
        f"lock {manifest['lock'][:12]}" if manifest.get("lock") else "",
        f"environment variables {', '.join(manifest['environment'])}" if manifest["environment"] else "",
    ]
    return ", ".join(part for part in parts if part and not part.startswith("0 "))


def _counted(things: Sequence[Any] | Mapping[str, Any], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
