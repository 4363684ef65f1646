"""In which order the cells of the notebook stand.

JupyterLab tells it; elsewhere the saved notebook does, and beyond that the order in which they were first executed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook_magics.notebook_cells import NotebookCell

TARGET = "flowbook.cells"
"""The name of the comm through which JupyterLab sends the ids of the notebook's cells before it has one executed."""


class CellOrder:
    """What is known of the order of the cells beyond that in which they were executed."""

    def __init__(self, shell: Any) -> None:
        """Open the comm if the shell is that of a kernel; a front end that does not know it closes it."""
        self._news: list[str] | None = None
        self.told: frozenset[str] = frozenset()
        """The ids of the cells that the front end has, if it tells them."""
        self._gone: frozenset[str] = frozenset()
        self._saved: tuple[int, int] | None = None
        self._comm: Any = None
        if getattr(shell, "kernel", None) is not None:
            from comm import create_comm

            self._comm = create_comm(target_name=TARGET)
            self._comm.on_msg(self._hear)

    def close(self) -> None:
        """Hear no more."""
        if self._comm is not None:
            self._comm.close()

    def news(self, notebook: Path | None) -> list[str] | None:
        """The ids of the cells in their order, once after each change; None if nothing has changed."""
        if not self.told and notebook is not None:
            self._read(notebook)
        news, self._news = self._news, None
        return news

    def gone(self, deleted: Collection[str]) -> set[str]:
        """The ids of the cells that are no more: of those that the front end calls `deleted`, some may be back.

        Others are gone without a word: they were merged into another one, or made Markdown.
        """
        gone, self._gone = self._gone.union(deleted) - self.told, frozenset()
        return set(gone)

    def _hear(self, message: Any) -> None:
        told = message["content"]["data"].get("cells")
        if isinstance(told, list) and told and all(isinstance(key, str) for key in told):
            before, self.told, self._news = self.told, frozenset(told), told
            if before & self.told:  # else it is another notebook of this kernel
                self._gone |= before

    def _read(self, notebook: Path) -> None:
        """What the notebook's file says, if it was saved since it was last read."""
        try:
            status = notebook.stat()
            saved = (status.st_mtime_ns, status.st_size)
            if saved == self._saved:
                return
            self._saved = saved
            cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
            self._news = [cell["id"] for cell in cells if "id" in cell]
        except (OSError, ValueError, LookupError, TypeError):  # whatever else it is, it is no notebook with ids
            return


def as_told(cells: list[NotebookCell], places: Mapping[str, int]) -> list[NotebookCell]:
    """The cells by these places; one without a place stays behind the cell that it stands behind."""
    if not places:
        return cells
    place, found = -1, {}
    for cell in cells:
        place = found[cell.key] = places.get(cell.key, place)
    return sorted(cells, key=lambda cell: found[cell.key])


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
