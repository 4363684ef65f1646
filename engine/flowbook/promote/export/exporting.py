"""Writing a notebook as a Python module into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import NotebookError, UsageError
from flowbook.promote.cells import Role
from flowbook.promote.export.cells_module import cells_module
from flowbook.promote.export.flow_module import flow_module
from flowbook.promote.export.module_text import MARKER, Module
from flowbook.promote.export.noqa import noqa_line
from flowbook.promote.reading import Reading, read

if TYPE_CHECKING:
    from nbformat import NotebookNode


def export_notebook(notebook: NotebookNode, called: str, file: str, *, flow: str | None, force: bool = False) -> Module:
    """Write `notebook`, whose flow is `called` so unless it defines one, as a module into `file`; returns the module.

    With a `flow`, or where the notebook only defines flows, the module has what that flow needs. A file that was not
    written by this function is written over only by `force`.
    Raises UsageError for a file that cannot be written, NotebookError for what cannot be written as a module.
    """
    path = _checked(file, force=force)
    reading = read(notebook, flow)
    module = _module(reading, called)
    text = _finished(module)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"%flow export: {file} cannot be written: {error.strerror}.") from None
    return module


def _module(reading: Reading, called: str) -> Module:
    if reading.language != "python":
        raise NotebookError(f"The notebook is in {reading.language}, and only Python can be exported.")
    if reading.flow is not None:
        return flow_module(f"Flow {reading.flow.name}, exported from {called}.", reading)
    if not any(known.role is Role.TASK for known in reading.cells):
        raise NotebookError(
            "There are no tasks and no flow to export: put `%%task` on a cell's first line, "
            "or mark a function with @flow."
        )
    assert reading.graph is not None
    return cells_module(f"Exported from {called}.", called, reading.cells, reading.graph, reading.schema)


def _finished(module: Module) -> str:
    """The text with what ruff needs to be told. Raises NotebookError if it is no Python, as a function has it."""
    try:
        compile(module.text, "<module>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = module.text.split("\n")[(error.lineno or 1) - 1].strip()
        raise NotebookError(
            f"It cannot be written as a module: `{line}` is not allowed in a function ({error.msg}); "
            "write that line of the notebook in another way."
        ) from None
    noqa = noqa_line(module.text)
    return module.text.replace(MARKER, f"{MARKER}\n{noqa}", 1) if noqa else module.text


def _checked(file: str, *, force: bool) -> Path:
    path = Path(file).expanduser()
    if path.suffix != ".py":
        raise UsageError(
            f"%flow export writes a Python module, and {file!r} does not end in .py: call it {path.stem}.py."
        )
    if not path.parent.is_dir():
        raise UsageError(f"%flow export: there is no folder {str(path.parent)!r}; make it first.")
    if path.is_dir():
        raise UsageError(f"%flow export: {file} is a folder; give the name of a file.")
    if path.exists() and not force and MARKER not in path.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(
            f"%flow export: {file} exists, and was not written by %flow export; "
            "choose another name, or add --force to write over it."
        )
    return path
