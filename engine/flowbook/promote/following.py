"""A notebook that is deployed anew each time it, or a module beside it, is saved, until somebody has had enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.errors import FlowbookError
from flowbook.promote.changes import changed_cells, changes
from flowbook.promote.checks.finding import Severity, UnfitNotebook
from flowbook.promote.manifest import imported_files
from flowbook.promote.notebook import read_notebook, snapshot
from flowbook.promote.promotion import promote
from flowbook.promote.reading import read
from flowbook.promote.saving import Promoted
from flowbook.store.deployments import manifest_of

_LOOK_EVERY = 0.5  # seconds

#: Time, size and inode of a file: what tells one save from the next, also by an editor that renames. None for no file.
Stamp = tuple[int, int, int] | None


def wait_for_save(files: Callable[[], Iterable[Path]], seen: Mapping[Path, Stamp]) -> dict[Path, Stamp]:
    """Wait until the `files` are other ones than were `seen`, and nobody writes to any of them any more."""
    now = dict(seen)
    while True:
        time.sleep(_LOOK_EVERY)
        before, now = now, {path: _stamp(path) for path in files()}
        if now == before != seen:
            return now


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Followed:
    """A deployed notebook whose saves are deployed, as are those of the modules beside it that it imports.

    What was said when it was deployed first stays, as ever.
    """

    def __init__(self, path: Path, made: Promoted, *, flow: str | None, force: bool) -> None:
        self.path = path
        self.made = made
        self._flow = flow
        self._force = force
        self._manifest = manifest_of(engine.engine().database, made.id, made.version)
        self._is_behind = False

    def files(self) -> set[Path]:
        """The files whose saves may matter: the notebook's, those of its modules, and what a missing one would be."""
        folder = self.path.parent
        known = {folder / name for name in self._manifest["local_imports"]}
        return {self.path, *known, *folder.glob("*.py"), *folder.glob("*/__init__.py")}

    def saved(self) -> list[str]:
        """Deploy what was saved if its code is another; the lines that say so, or why the deployed version stays."""
        try:
            if not self._is_another():
                return self._back_again()
            made = promote(self.path, name=self.made.name, flow=self._flow, force=self._force)
        except FlowbookError as error:
            self._is_behind = True
            return [f"Version {self.made.version} stays deployed. {_in_one_line(error)}"]
        before, self.made, self._is_behind = self._manifest, made, False
        self._manifest = manifest_of(engine.engine().database, made.id, made.version)
        new = [warning for warning in made.warnings if warning not in before["warnings"]]
        return [
            f"Deployed {made.name!r}, version {made.version}: {_what_changed(before, self._manifest)}.",
            *(f"Warning: {warning}" for warning in new),
        ]

    def _is_another(self) -> bool:
        """Whether the notebook, or a module beside it that it imports, is not as it was deployed."""
        notebook = read_notebook(self.path)
        if snapshot(notebook)[0] != self._manifest["snapshot"]:
            return True
        recorded: Mapping[str, str] = self._manifest["local_imports"]
        return imported_files(read(notebook, self._flow), self.path.parent) != recorded

    def _back_again(self) -> list[str]:
        was_behind, self._is_behind = self._is_behind, False
        return [f"{self.path.name} is as version {self.made.version} again."] if was_behind else []


def _what_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    count = changed_cells(before, after)
    cells = "" if count is None else " (1 cell)" if count == 1 else f" ({count} cells)"
    if count == 0:  # of what the code means nothing is different
        cells = " (comments, text or layout)"
    return ", ".join(what + cells if what == "the code" else what for what in changes(before, after))


def _in_one_line(error: FlowbookError) -> str:
    """The first thing that is wrong, and how many more there are."""
    if not isinstance(error, UnfitNotebook):
        return " ".join(str(error).split("\n"))
    first, *more = [found.sentence for found in error.findings if found.severity is Severity.ERROR]
    return first + (f" ({len(more)} more: flowbook check says them all.)" if more else "")
