"""The executed notebook of a run, where the user can open it.

It is kept in flowbook's home, which front ends do not show. In a notebook it is copied into a folder beside that
notebook and linked: JupyterLab opens the link as a tab and Notebook 7 as a page, both by their own command for files.
Nobody has signed the copy, so Jupyter does not trust it: no script in it runs. In a terminal, where nothing can be
linked, it is said where the files are.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowbook.errors import UsageError
from flowbook.run_comparison import executed_notebook
from flowbook.runs import RunSummary
from flowbook.store.files import write_file
from flowbook_magics.session import notebook_path
from flowbook_magics.tables import Marked, Text

FOLDER = "flowbook-runs"
_UNUSUAL = re.compile(r"[^\w.-]+")  # in the name of a file


def executed(shell: Any, run: RunSummary) -> Text:
    """What leads to the executed notebook of `run`. Raises NotFound for a run that has none."""
    kept = executed_notebook(run.id)
    title = f"Run {run.number} ({run.name}) of flow {run.flow!r}, {run.word}"
    if not hasattr(shell, "kernel"):
        page = f"\nAs a page:         {run.html}" if run.html else ""
        return Text(f"{title}\nExecuted notebook: {kept}{page}")
    notebook = notebook_path()
    copy = _copied(kept, notebook.parent if notebook else Path.cwd(), run)
    link = f'<a href="{FOLDER}/{quote(copy.name)}">{escape(copy.name)}</a>'
    said = "a copy that can be read and not written, and that Jupyter does not trust"
    return Marked(f"{title}: {copy}, {said}.", f"<p>{escape(title)}: {link}, {said}.</p>")


def _copied(kept: Path, beside: Path, run: RunSummary) -> Path:
    """A copy in a folder that git leaves alone; one that was there is replaced, as the run may have gone on."""
    folder = beside / FOLDER
    copy = folder / f"{_UNUSUAL.sub('-', run.flow)}-run-{run.number}.ipynb"
    try:
        write_file(copy, kept.read_bytes())
        copy.chmod(0o400)  # what is changed in it would be lost
        if not (folder / ".gitignore").exists():
            write_file(folder / ".gitignore", b"*\n")
    except OSError as error:
        raise UsageError(
            f"%runs open cannot copy the executed notebook to {copy}: {error.strerror}. It is kept as {kept}."
        ) from None
    return copy
