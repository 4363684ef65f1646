"""Notebook files: read, checked, and kept as a snapshot that nothing can change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Left out of a snapshot: they say when and how the cell ran last, not what it is.
_VOLATILE = ("execution", "ExecuteTime", "collapsed", "scrolled", "flowbook")

_CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)


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
    """A cell cannot be meant as it is written; `line` counts its lines from 1."""

    def __init__(self, cell: CodeCell, line: int | None, why: str) -> None:
        where = cell.title.capitalize()
        super().__init__(f"{where}, line {line}: {why}" if line else f"{where} {why}")
        self.cell = cell
        self.line = line
        self.why = why


def read_notebook(path: Path) -> NotebookNode:
    """The notebook of a file, in format 4.5; raises NotebookError saying what is wrong with the file."""
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise NotebookError(f"{path} is a folder, not a notebook.") from None
    except OSError as error:
        raise NotebookError(f"The notebook {path} cannot be read: {error.strerror}.") from None
    return parse_notebook(content, str(path))


def parse_notebook(content: bytes, called: str) -> NotebookNode:
    """The notebook of a file's content; `called` is the file's name in messages."""
    import nbformat

    plain = _json(content, called)
    major = plain.get("nbformat")
    if not isinstance(major, int) or major < 3:
        raise NotebookError(f"{called} is JSON, but not a notebook: it has no usable `nbformat` version.")
    if major > nbformat.current_nbformat:
        raise NotebookError(
            f"{called} is in notebook format {major}, which this flowbook does not know; save it in format 4."
        )
    try:
        notebook = _normalized(plain, major)
        nbformat.validate(notebook)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotebookError(f"{called} is not a valid notebook: {first}") from None
    return notebook


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
    content = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return hashlib.sha256(content).hexdigest(), content


def _json(content: bytes, called: str) -> dict[str, Any]:
    try:
        plain = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise NotebookError(f"{called} is not a notebook: it is not UTF-8 text.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        if match := _CONFLICT.search(content):
            line = content.count(b"\n", 0, match.start()) + 1
            raise NotebookError(f"{called} has merge conflicts (line {line}): resolve them first.") from None
        where = f" (line {error.lineno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise NotebookError(f"{called} is not a notebook: it is not JSON{where}.") from None
    if not isinstance(plain, dict):
        raise NotebookError(f"{called} is JSON, but not a notebook: it holds a {type(plain).__name__}.")
    return plain


def _normalized(plain: Any, major: int) -> NotebookNode:
    """The notebook in today's format, with what old tools leave out, such as ids of cells."""
    import nbformat
    from nbformat.validator import normalize

    typed = nbformat.versions[major].to_notebook_json(plain)
    read = nbformat.convert(typed, nbformat.current_nbformat)  # type: ignore[no-untyped-call]
    notebook: NotebookNode = normalize(read)[1]
    return notebook
