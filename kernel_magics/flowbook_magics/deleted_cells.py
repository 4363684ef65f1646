"""Cells that were deleted from the notebook, and those of them that are back: by undoing it, or by pasting them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from flowbook.errors import CellError
from flowbook_magics.cell_code import CellCode
from flowbook_magics.freshness import leave, touched_by
from flowbook_magics.notebook_cells import NotebookCell

if TYPE_CHECKING:
    from flowbook_magics.session import Session


class DeletedCells:
    """The deleted cells of one session. It keeps their code, and not what they have made."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: dict[str, tuple[NotebookCell, CellCode | None]] = {}

    def take(self, keys: Iterable[str]) -> None:
        """The cells with these keys are deleted: what they have changed is to be made anew by the next run."""
        session, known = self._session, [cell for key in keys if (cell := self._session.cells.by_key(key))]
        for cell in known:
            leave(session.cells, cell)
            session.states.left(touched_by(session.cells, cell) if cell.is_task else ())
            session.unbind_name(cell)
            session.tasks.pop(cell.key, None)
            nothing = replace(cell, values={}, last=None, failure=None, tried={}, elements=None, audit=None, watch=None)
            self._kept[cell.key] = nothing, session.codes.pop(cell.key, None)
        session.cells.retire([cell.key for cell in known])
        for cell in known:
            session.lose(cell, "deleted")

    def bring_back(self) -> None:
        """Those that the front end has again are as they were when they last ran, unless they were edited since."""
        order = self._session.order
        for key in self._kept.keys() & order.told.keys():
            cell, code = self._kept.pop(key)
            if order.is_edited(key, cell.source):
                continue
            try:
                self._session.put(cell)
            except CellError as error:
                sys.stderr.write(f"flowbook: {error}\n")
                continue
            if code is None:
                self._session.values_are_still_there(cell)
            else:
                self._take_code(cell, code)

    def _take_code(self, cell: NotebookCell, code: CellCode) -> None:
        from flowbook_magics.cell_task import task_of

        session = self._session
        session.codes[cell.key] = code
        session.bind_name(cell, task_of(session.shell, session.notebook, session.cells, cell, code))
