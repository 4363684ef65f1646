"""``%flow check``: what will go wrong when nobody is there."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.cells.grammar import Parsed
from flowbook.promote.checks.finding import Finding, Severity, listed
from flowbook_magics.deploy import is_saved
from flowbook_magics.freshness import stale_tasks
from flowbook_magics.session import Session, notebook_path
from flowbook_magics.tables import Table

if TYPE_CHECKING:
    from nbformat import NotebookNode

_HEADINGS = ("", "Cell", "Line", "Why", "What to do")


class Findings(Table):
    """A table where HTML is shown, else two lines for each finding. `note` says what was checked, if in doubt."""

    def __init__(self, found: list[Finding], called: str, note: str = "") -> None:
        rows = [(one.severity, one.title, "" if one.line is None else str(one.line), one.why, one.fix) for one in found]
        super().__init__(_HEADINGS, rows, empty=listed([], called))
        self._text = "\n".join(part for part in (listed(found, called), note) if part)
        self._note = note

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return super()._repr_html_() + (f"<p>{escape(self._note)}</p>" if self._note else "")


def check(session: Session, said: Parsed) -> Findings:
    """Check the notebook as it is saved; where its file is not known, the cells that have run."""
    from flowbook.promote.ahead import how_far_ahead

    flow = said.words[0] if said.words else None
    path = notebook_path()
    if path is None:
        found, note, called = _check_what_ran(session, flow), _NO_FILE, "What has run here"
    else:
        found, called = _check_file(session, path, flow), path.name
        notes = how_far_ahead(path)
        if not is_saved(session, path):
            notes.append(f"This cell is not in {path.name} as it is saved, and that is what was checked.")
        note = "\n".join(notes)
    return Findings([*found, *_stale(session)], called, note)


def _check_file(session: Session, path: Path, flow: str | None) -> list[Finding]:
    from flowbook.promote.checks.checking import check_file

    return check_file(path, flow=flow, ran=session.ran_so_far(), values=session.shell.user_ns)


def _check_what_ran(session: Session, flow: str | None) -> list[Finding]:
    from flowbook.promote.checks.checking import check_notebook

    return check_notebook(as_run(session), folder=Path.cwd(), flow=flow, values=session.shell.user_ns)


_NO_FILE = "The notebook's file is not known, so the cells that have run were checked, in the order of their first run."


def as_run(session: Session) -> NotebookNode:
    """The cells that this kernel has executed, as a notebook."""
    from flowbook.promote.imports import import_nbformat

    import_nbformat()
    import nbformat

    sources = [source for _, source in session.ran.values()]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    return notebook


def _stale(session: Session) -> list[Finding]:
    """Tasks whose results are not those of the code and inputs that are there now."""
    return [
        Finding(
            severity=Severity.WARNING,
            title=f"Task {session.cells.by_id(graph_id).label}",
            why=f"Its result is stale: {reason}.",
            fix="Run it, as `%flow run` does, before you trust what it shows.",
        )
        for graph_id, reason in stale_tasks(session.cells).items()
    ]
