"""``%deploy``: this notebook as a deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from flowbook.cells.grammar import Parsed
from flowbook.core.deploying import DEFAULT_POOL
from flowbook.errors import NotebookError, UsageError
from flowbook_magics.session import Session, notebook_path
from flowbook_magics.tables import Text

if TYPE_CHECKING:
    from flowbook.promote import Promoted


def deploy(session: Session, said: Parsed) -> Text:
    """Promote the notebook as it is saved, and say what was captured, when it runs next and who will run it."""
    from flowbook.promote import promote

    path = notebook_path()
    if path is None:
        raise NotebookError(
            "%deploy does not know which file this notebook is: open it in JupyterLab, or run "
            "`flowbook promote NOTEBOOK.ipynb` in a terminal."
        )
    if not is_saved(session, path):
        raise NotebookError(
            f"%deploy promotes the notebook as it is saved, and this cell is not in {path.name}: "
            "save the notebook, and run the cell again."
        )
    promoted = _checked(
        promote,
        path,
        name=said.name,
        flow=said.words[0] if said.words else None,
        cron=said.schedule,
        interval=said.every,
        rrule=said.rrule,
        timezone=said.tz,
        catchup=said.catchup,
        overlap=said.overlap,
        pool=said.pool,
        timeout=said.timeout,
        cell_timeout=said.cell_timeout,
        lock=_lock(said),
        data=_data(said),
        parameter_texts=[f"{name}={value}" for name, value in said.set],
        dry_run=bool(said.dry_run),
        force=bool(said.force),
        ran=session.ran_so_far(),
        values=session.shell.user_ns,
    )
    done = "Deployed" if promoted.is_stored else "Nothing was stored. It would be deployed:"
    lines = [f"{done} {promoted.name!r}, version {promoted.version}: {promoted.captured}."]
    lines += [f"Warning: {warning}" for warning in promoted.warnings]
    if promoted.next_fires:
        lines.append(f"Next runs: {listed(promoted.next_fires)}")
    else:
        run = f" Run it with: flowbook deployment run {quote(promoted.name)}" if promoted.is_stored else ""
        lines.append(promoted.why_no_fires + run)
    if promoted.is_stored:
        where = "" if promoted.pool in (None, DEFAULT_POOL) else f" --pool {promoted.pool}"
        lines.append(f"A worker runs it. Start one with: flowbook worker start{where}")
    return Text("\n".join(lines))


def _lock(said: Parsed) -> bool | None:
    """Whether to keep a lock; None leaves it as the version before has it."""
    if said.lock and said.no_lock:
        raise UsageError("%deploy was given both --lock and --no-lock; keep one of them.")
    return True if said.lock else False if said.no_lock else None


def _data(said: Parsed) -> tuple[str, ...] | None:
    """The data files that are declared; None leaves those of the version before."""
    if said.data and said.no_data:
        raise UsageError("%deploy was given both --data and --no-data; keep one of them.")
    return tuple(said.data) if said.data or said.no_data else None


def listed(fires: Iterable[datetime]) -> str:
    """Times of runs, as a person reads them."""
    return ", ".join(f"{fire:%a %d %b %Y %H:%M %Z}" for fire in fires)


def _checked(promote: Callable[..., Promoted], path: Path, **said: Any) -> Promoted:
    """Promote the notebook; an error that its check finds ends with the way to do it all the same."""
    from flowbook.promote.checks.finding import UnfitNotebook

    try:
        return promote(path, **said)
    except UnfitNotebook as error:
        raise NotebookError(
            f"{error}\nIt was not deployed, as its runs would fail; `%deploy --force` does it all the same."
        ) from None


def is_saved(session: Session, path: Path) -> bool:
    """Whether the cell being executed stands in the file as it is on disk."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = {"".join(cell["source"]).strip() for cell in cells if cell["cell_type"] == "code"}
    except (OSError, ValueError, KeyError, TypeError):
        return True  # promote has read it: what cannot be compared is no reason to warn
    return session.typed.strip() in sources
