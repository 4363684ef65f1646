"""The folder of one run: what it was given, what it did, and how that looks."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotebookError
from flowbook.store.files import replace_file, write_file

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LEAST_PAUSE = 1.0  # seconds between two saves while a cell runs
_PAUSE_FACTOR = 20  # and this many times what a save takes, so that a big notebook does not slow its run


class RunFolder:
    """Writes the files of a run; each appears whole or not at all.

    `output` is a file outside of the folder, in which the executed notebook is written as well.
    """

    def __init__(self, path: Path, notebook: NotebookNode, output: str | None = None) -> None:
        self.path = path
        self.output = None if output is None else Path(output)
        self.notebook = notebook
        self._changed = False
        self._kept = False  # as it is, but for what has changed
        self._next_save = 0.0
        self._told = ""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """``run.json``: what the kernel needs to know of its run."""
        self._write("run.json", json.dumps(facts, indent=1).encode())

    def write_snapshot(self, content: bytes) -> Path:
        """``snapshot.ipynb``: the notebook as it was promoted, for the kernel to read; returns its path."""
        self._write("snapshot.ipynb", content)
        return self.path / "snapshot.ipynb"

    def write_kernel(self, pid: int | None, sockets: str = "") -> None:
        """``kernel.json``: by this a worker ends a kernel whose parent was killed. None as `pid` removes it."""
        path = self.path / "kernel.json"
        if pid is None:
            path.unlink(missing_ok=True)
        else:
            self._write("kernel.json", json.dumps({"pid": pid, "sockets": sockets}).encode())

    def changed(self) -> None:
        """The notebook is not as it was saved."""
        self._changed = True

    @property
    def is_due(self) -> bool:
        """Whether the notebook has changed, and the last save was not just now."""
        return self._changed and time.monotonic() >= self._next_save

    def save_if_possible(self, *, growing: bool = False) -> None:
        """Save the notebook where an error would hide another one, or end nothing: it is a line in the log."""
        try:
            self.save(growing=growing)
        except NotebookError as error:
            self._next_save = time.monotonic() + _PAUSE_FACTOR * _LEAST_PAUSE
            if str(error) != self._told:
                self._told = str(error)
                print(error)  # noqa: T201 - this is the log

    def save(self, *, growing: bool = False) -> None:
        """``notebook.ipynb``: the executed notebook as far as it is. Raises NotebookError if that cannot be kept.

        Nothing is done if it is kept, and has not changed since. One that is `growing` is not laid out in lines, which
        takes ten times as long.
        """
        if self._kept and not self._changed:
            return
        began = time.monotonic()
        self._changed = self._kept = False
        content = _content_of(self.notebook, growing=growing)
        self._write("notebook.ipynb", content)
        self._kept = not growing
        if self.output is not None:
            with suppress(OSError):  # whoever named the file says so in the end; the run goes on
                replace_file(self.output, content)
        took = time.monotonic() - began
        self._next_save = time.monotonic() + max(_LEAST_PAUSE, _PAUSE_FACTOR * took)

    def write_pictures(self, flow_run_id: str) -> None:
        """``dag.svg`` and ``notebook.html``. The run has ended: a picture that fails is a line in the log, no more."""
        from flowbook import runs
        from flowbook.promote.page import page
        from flowbook.visualize import static_svg

        svg = ""
        view = runs.run_view(flow_run_id)
        try:
            svg = static_svg(view) if view.nodes else ""
            if svg:
                write_file(self.path / "dag.svg", svg.encode())
        except Exception as error:
            print(f"The picture of the run could not be made: {error!r}")  # noqa: T201 - this is the log
        try:
            write_file(self.path / "notebook.html", page(self.notebook, view, svg).encode())
        except Exception as error:
            print(f"The page of the run could not be made: {error!r}")  # noqa: T201

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_file(self.path / name, content)
        except OSError as error:
            raise NotebookError(
                f"{name} cannot be written to the folder of the run, {self.path}: {error.strerror}. Free space on "
                f"that disk, or see that the folder can be written to, and run it again."
            ) from None


def _content_of(notebook: NotebookNode, *, growing: bool) -> bytes:
    """The notebook as a file has it. That it is one is known: `nbformat.writes` would look at all of it each time."""
    from nbformat import v4
    from nbformat.v4.nbjson import BytesEncoder

    text: str = (
        json.dumps(notebook, ensure_ascii=False, cls=BytesEncoder) if growing else v4.writes(notebook)  # type: ignore[no-untyped-call]
    )
    return text.encode("utf-8", "backslashreplace")
