"""Notebook files: read, checked, and kept as a snapshot that nothing can change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotebookError, did_you_mean
from flowbook.promote.imports import import_nbformat
from flowbook.promote.notebook_file import checked_format, give_ids, parsed_file, why_invalid

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Left out of a snapshot: they say when and how the cell ran last, not what it is.
_VOLATILE = ("execution", "ExecuteTime", "collapsed", "scrolled", "flowbook")

# To compile the schema takes as long as looking at some sixty cells without; then it is two hundred times as fast.
_COMPILED_FROM = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeCell:
    """A code cell that has code. `index` counts all cells from 0, `number` the code cells from 1, as prompts do."""

    index: int
    number: int
    source: str
    tags: frozenset[str] = frozenset()
    id: str = ""
    count: int | None = None
    """The number of its prompt when it ran last, as saved."""

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"cell {self.number}"


class CellMistake(NotebookError):
    """A cell cannot be meant as it is written; `line` counts its lines from 1, and `others` cells like it."""

    def __init__(self, cell: CodeCell, line: int | None, why: str, *, others: int = 0) -> None:
        where = cell.title.capitalize()
        said = f"{where}, line {line}: {why}" if line else f"{where} {why}"
        if others:
            more = "One other cell" if others == 1 else f"{others} other cells"
            said = f"{said.removesuffix('.')}. {more} cannot be read either: `flowbook check` lists all of them."
        super().__init__(said)
        self.cell = cell
        self.line = line
        self.why = why


def read_notebook(path: Path) -> NotebookNode:
    """The notebook of a file, in format 4.5; raises NotebookError saying what is wrong with the file."""
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise NotebookError(f"{path} is a folder, not a notebook.") from None
    except FileNotFoundError:
        raise NotebookError(f"There is no notebook {path}.{_meant(path)}") from None
    except OSError as error:
        raise NotebookError(f"The notebook {path} cannot be read: {error.strerror}.") from None
    return parse_notebook(content, str(path))


def _meant(path: Path) -> str:
    beside = [each.stem for each in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
    hint = did_you_mean(path.stem, beside).replace("'?", ".ipynb'?")
    return hint or " Relative paths begin in the working directory."


def parse_notebook(content: bytes, called: str) -> NotebookNode:
    """The notebook of a file's content, without outputs; `called` is the file's name in messages."""
    plain = parsed_file(content, called)
    import_nbformat()
    import nbformat

    major = checked_format(plain, called)
    try:
        typed = nbformat.versions[major].to_notebook_json(plain)
        notebook: NotebookNode = nbformat.convert(typed, nbformat.current_nbformat)  # type: ignore[no-untyped-call]
        give_ids(notebook, has_ids=major == nbformat.current_nbformat)
        _validate(notebook)
    except Exception as error:
        raise NotebookError(f"{called} is not a valid notebook: {why_invalid(error)}") from None
    return notebook


def _validate(notebook: NotebookNode) -> None:
    """Raise the ValidationError of nbformat for a notebook that is none."""
    from nbformat.validator import better_validation_error, get_validator

    def errors(validator: str) -> Iterator[Exception]:
        found = get_validator(notebook.nbformat, notebook.nbformat_minor, name=validator)  # type: ignore[no-untyped-call]
        return iter(found.iter_errors(notebook))

    if len(notebook.cells) >= _COMPILED_FROM and next(errors("fastjsonschema"), None) is None:
        return
    for error in errors("jsonschema"):
        raise better_validation_error(error, notebook.nbformat, notebook.nbformat_minor)  # type: ignore[no-untyped-call]


def code_cells(notebook: NotebookNode) -> Iterator[CodeCell]:
    """The code cells that have code."""
    number = 0
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        number += 1
        if cell.source.strip():
            tags = cell.metadata.get("tags", [])
            yield CodeCell(
                index=index,
                number=number,
                source=cell.source,
                tags=frozenset(map(str, tags)),
                id=str(cell.get("id", "")),
                count=cell.execution_count,
            )


def language_of(notebook: NotebookNode) -> str:
    """The language of the cells, in lower case."""
    metadata = notebook.metadata
    told = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    return str(told or "python").lower()


def snapshot(notebook: NotebookNode) -> tuple[str, bytes]:
    """The notebook without outputs as bytes, and their SHA-256: equal cells give an equal snapshot."""
    plain: dict[str, Any] = json.loads(json.dumps(notebook))
    for cell in plain["cells"]:
        for key in _VOLATILE:
            cell["metadata"].pop(key, None)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    plain["metadata"].pop("widgets", None)
    plain["metadata"].pop("signature", None)
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False)
    content = text.encode("utf-8", "backslashreplace") + b"\n"  # half a character of UTF-16 is \\ud800 again
    return hashlib.sha256(content).hexdigest(), content
