"""In which order the cells of the notebook stand: JupyterLab tells it, and elsewhere the saved notebook does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = "flowbook.cells"
"""The name of the comm through which JupyterLab sends the ids of the notebook's cells before it has one executed."""


class CellOrder:
    """What is known of the order of the cells beyond that in which they were executed."""

    def __init__(self, shell: Any) -> None:
        """Open the comm if the shell is that of a kernel; a front end that does not know it closes it."""
        self._news: list[str] | None = None
        self._told: frozenset[str] | None = None
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

    def has(self, key: str) -> bool:
        """Whether the front end has said that it has the cell with this id."""
        return self._told is not None and key in self._told

    def news(self, notebook: Path | None) -> list[str] | None:
        """The ids of the cells in their order, once after each change; None if nothing has changed."""
        if self._told is None and notebook is not None:
            self._read(notebook)
        news, self._news = self._news, None
        return news

    def _hear(self, message: Any) -> None:
        told = message["content"]["data"].get("cells")
        if isinstance(told, list) and all(isinstance(key, str) for key in told):
            self._news, self._told = told, frozenset(told)

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
