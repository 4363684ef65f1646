"""The graph of a flow that has not run."""

from __future__ import annotations

import os
from pathlib import Path

from flowbook.core.text import text_dag
from flowbook.core.view import RunView
from flowbook.errors import UsageError
from flowbook.visualize.dot import to_dot
from flowbook.visualize.picture import static_svg

_FORMATS = {".svg": static_svg, ".txt": text_dag, ".dot": to_dot, ".gv": to_dot}


class PlannedGraph:
    """What a flow would run: a picture in a notebook, drawn with characters elsewhere. `view` holds the graph."""

    def __init__(self, view: RunView) -> None:
        self.view = view

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the graph to a file, as its ending says: ``.svg``, ``.txt``, ``.dot`` or ``.gv``. Returns its path.

        Raises UsageError for another ending.
        """
        file = Path(path)
        write = _FORMATS.get(file.suffix.lower())
        if write is None:
            raise UsageError(f"{file.name} cannot be written; end it in {', '.join(_FORMATS)}.")
        file.write_text(write(self.view).rstrip("\n") + "\n", encoding="utf-8")
        return file

    def _repr_svg_(self) -> str | None:
        return static_svg(self.view) if self.view.nodes else None

    def __str__(self) -> str:
        return text_dag(self.view) or f"Flow {self.view.flow!r} calls no task."

    __repr__ = __str__
