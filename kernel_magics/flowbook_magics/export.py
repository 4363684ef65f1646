"""``%flow export``: the notebook as a Python module."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.cells.grammar import Parsed
from flowbook.errors import UsageError
from flowbook_magics.check import as_run
from flowbook_magics.deploy import is_saved
from flowbook_magics.session import Session, flow_name, notebook_path

if TYPE_CHECKING:
    from nbformat import NotebookNode

_NO_FILE = "The notebook's file is not known, so it has the cells that have run, in the order of their first run."


def export(session: Session, said: Parsed) -> None:
    """Write the notebook as it is saved; where its file is not known, the cells that have run."""
    from flowbook.promote.export.exporting import export_notebook

    if not said.words:
        raise UsageError("%flow export needs the name of a file, as in %flow export report.py.")
    file, flow = said.words[0], said.words[1] if said.words[1:] else None
    notebook, note = _source(session)
    module = export_notebook(notebook, flow_name(), file, flow=flow, force=bool(said.force))
    tasks = f" and its {module.tasks} tasks" if module.tasks > 1 else " and its task" if module.tasks else ""
    print(f"Wrote {file}: flow {module.flow!r}{tasks}. `python {file}` runs it.")  # noqa: T201 - what the user asked for
    for each in (*module.notes, *note):
        sys.stderr.write(f"flowbook: {each}\n")


def _source(session: Session) -> tuple[NotebookNode, tuple[str, ...]]:
    """The notebook, and what to say about where it is from."""
    from flowbook.promote.notebook import read_notebook

    path: Path | None = notebook_path()
    if path is None:
        return as_run(session), (_NO_FILE,)
    said = f"This cell is not in {path.name} as it is saved, and that is what was written."
    return read_notebook(path), () if is_saved(session, path) else (said,)
