"""What was seen of the cells of a promoted notebook in its earlier runs on this machine, kept for the next ones.

So a run need not see for itself what no code shows, and repeat tasks because of it. It is a file for each snapshot, by
the hash of its content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from flowbook.cells import Observed
from flowbook.settings import current_settings
from flowbook.store.files import write_file
from flowbook_magics.notebook_cells import NotebookCell

Learned = Mapping[str, Mapping[str, Any]]
"""By the key of a cell, the fields of `Observed` as lists, and ``beside`` as `NotebookCell` has it."""

_FIELDS = tuple(field.name for field in fields(Observed))


class LearnedFile:
    """The file of one snapshot."""

    def __init__(self, snapshot: bytes) -> None:
        name = hashlib.sha256(snapshot).hexdigest()
        self._path = current_settings().home / "learned" / f"{name}.json"
        self._known: Learned = {}
        with suppress(OSError, ValueError):  # it is not there, or nobody can read it: then it is learned anew
            self._known = json.loads(self._path.read_bytes())
            os.utime(self._path)  # that it is used keeps it from being deleted

    def apply(self, cell: NotebookCell) -> None:
        """Take into account what is known of a cell that is about to be taken in."""
        known = self._known.get(cell.key, {})
        cell.beside = dict(known.get("beside", {}))
        cell.observed = Observed(**{field: frozenset(known.get(field, ())) for field in _FIELDS})
        cell.analysis = cell.observed.added_to(cell.analysis)

    def save(self, cells: Iterable[NotebookCell]) -> None:
        """Keep what is known of the cells now, if that is more than it was."""
        learned = {cell.key: _fields(cell) for cell in cells if cell.beside or cell.observed != Observed()}
        if learned != self._known:
            with suppress(OSError):  # the run has done its work all the same
                write_file(self._path, json.dumps(learned, indent=1).encode())


def _fields(cell: NotebookCell) -> dict[str, Any]:
    return {**{field: sorted(getattr(cell.observed, field)) for field in _FIELDS}, "beside": cell.beside}
