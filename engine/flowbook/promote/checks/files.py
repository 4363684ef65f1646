"""Files that a notebook reads by a relative path, and that are not where a run looks for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowbook.promote.checks.data_reads import DataRead
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.promote.data_files import is_there


def file_findings(reads: Iterable[DataRead], folder: Path) -> Iterator[Finding]:
    """Files that are missing, and files outside of the `folder` of the notebook, among those that it reads."""
    for read in reads:
        if not is_there(folder / read.path):
            why = f"{read.path!r} is read, and is not there: runs look for it from the notebook's folder, {folder}."
            fix = "Bring it there, or make its path a parameter."
        elif os.path.normpath(read.path).startswith(".."):
            why = f"{read.path!r} is outside of the notebook's folder: where only that is copied to, it is missing."
            fix = "Move it into the folder, or make its path a parameter."
        else:
            continue
        yield in_cell(Severity.WARNING, read.cell.cell, read.line, why, fix)
