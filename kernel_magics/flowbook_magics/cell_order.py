"""In which order the cells of the notebook stand.

JupyterLab tells it with each request; elsewhere the saved notebook does, and beyond that the order in which they were
first executed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook_magics.notebook_cells import NotebookCell

_TELLS = "flowbook"
"""The key under which our extension for JupyterLab puts the code cells of the notebook into a request's metadata."""


class CellOrder:
    """What is known of the order of the cells beyond that in which they were executed."""

    def __init__(self) -> None:
        self.told: dict[str, int] = {}
        """The ids of the cells that the front end has, in their order, each with the checksum of what it says."""
        self._news: list[str] | None = None
        self._gone: set[str] = set()
        self._saved: tuple[int, int] | None = None

    def hear(self, metadata: Mapping[str, Any], notebook: Path | None, since: float) -> None:
        """A cell is about to be executed, by a request with this `metadata`.

        If it does not say how the cells stand, the file of the `notebook` does, if it was saved `since` then (seconds
        since the epoch): before, it cannot know all cells that were executed.
        """
        told = _read(metadata.get(_TELLS))
        self._gone.update(metadata.get("deletedCells") or ())
        if told:
            if told.keys() & self.told.keys():  # else it is another notebook of this kernel
                self._gone |= self.told.keys()
            if list(told) != list(self.told):
                self._news = list(told)
            self.told = told
        elif notebook is not None and not self.told:
            self._read_saved(notebook, since)

    def keys_of(self, source: str) -> list[str]:
        """The ids of the cells that say this."""
        checksum = _checksum(source)
        return [key for key, said in self.told.items() if said == checksum]

    def is_edited(self, key: str, source: str) -> bool:
        """Whether the front end has a cell with this id that says something else than this."""
        return key in self.told and self.told[key] != _checksum(source)

    def news(self) -> list[str] | None:
        """The ids of the cells in their order, once after each change; None if nothing has changed."""
        news, self._news = self._news, None
        return news

    def gone(self) -> set[str]:
        """The ids of the cells that are no more, once: deleted, merged into another one, or made Markdown."""
        gone, self._gone = self._gone - self.told.keys(), set()
        return gone

    def _read_saved(self, notebook: Path, since: float) -> None:
        try:
            status = notebook.stat()
            saved = (status.st_mtime_ns, status.st_size)
            if saved != self._saved and status.st_mtime > since:
                self._saved = saved
                cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
                self._news = [cell["id"] for cell in cells if "id" in cell]
        except (OSError, ValueError, LookupError, TypeError):  # whatever else it is, it is no notebook with ids
            return


def _checksum(source: str) -> int:
    """The checksum that the extension sends of a cell."""
    return zlib.adler32(source.encode("utf-8", "replace"))


def _read(told: object) -> dict[str, int]:
    """What a request says of the cells, if it can be understood."""
    try:
        return {str(key): int(checksum) for key, checksum in told}  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return {}


def as_told(cells: list[NotebookCell], places: Mapping[str, int]) -> list[NotebookCell]:
    """The cells by these places: before them those that ran before anything was told, behind them all others."""
    if not places:
        return cells
    return sorted(cells, key=lambda cell: places.get(cell.key, -1 if cell.came_before else len(places)))


def behind_their_makers(cells: list[NotebookCell]) -> list[NotebookCell]:
    """The cells, each that missed something moved behind the first that makes it; each is moved once at most."""
    moved: set[str] = set()
    while (found := _misplaced(cells, moved)) is not None:
        cell, maker = found
        moved.add(cell.key)
        cells = [each for each in cells if each is not cell]
        cells.insert(cells.index(maker) + 1, cell)
    return cells


def _misplaced(cells: list[NotebookCell], moved: set[str]) -> tuple[NotebookCell, NotebookCell] | None:
    """The first cell, not `moved` yet, that missed what only a cell behind it makes; and the first that makes it."""
    made: set[str] = set()
    for place, cell in enumerate(cells):
        missing = cell.missing - made
        if missing and cell.key not in moved:
            maker = next((each for each in cells[place + 1 :] if missing & each.analysis.writes), None)
            if maker is not None:
                return cell, maker
        made |= cell.analysis.writes
    return None
