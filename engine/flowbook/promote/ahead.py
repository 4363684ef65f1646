"""How far a notebook is ahead of what is deployed of it."""

from __future__ import annotations

from pathlib import Path

from flowbook import engine
from flowbook.errors import FlowbookError
from flowbook.promote.changes import changed_cells
from flowbook.promote.manifest import cells_of
from flowbook.promote.notebook import read_notebook, snapshot
from flowbook.promote.reading import read
from flowbook.store.deployments import deployed_from


def how_far_ahead(path: Path) -> list[str]:
    """``Deployed as 'report', version 3; this notebook is 2 cells ahead.``: a sentence for each deployment of it.

    It is about the notebook as it is saved. Raises NotebookError for a file that is no notebook.
    """
    deployed = deployed_from(engine.engine().database, path)
    if not deployed:
        return []
    notebook = read_notebook(path)
    sha, _ = snapshot(notebook)
    said = []
    for found, manifest in deployed:
        if manifest["snapshot"] == sha:
            where = "as this notebook is saved"
        else:
            try:
                cells = cells_of(read(notebook, manifest["flow"]))
            except FlowbookError:  # there is a finding
                continue
            where = _where(changed_cells(manifest, {"snapshot": sha, "cells": cells}))
        said.append(f"Deployed as {found.name!r}, version {found.version}; {where}.")
    return said


def _where(count: int | None) -> str:
    if count is None:
        return "this notebook has changed since"
    if count == 0:
        return "this notebook has changed since only in comments, text or layout"
    return f"this notebook is {count} cell{'s' * (count > 1)} ahead"
