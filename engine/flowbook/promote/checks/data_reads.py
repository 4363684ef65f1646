"""Which files a notebook reads, as far as their paths are written out in its code."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from flowbook.cells.known_functions import of_function
from flowbook.promote.cells import KnownCell, parsed, with_imports
from flowbook.promote.checks.certainty import cell_with_certainty, dotted_path, used_in
from flowbook.promote.checks.magic_lines import magic_lines

if TYPE_CHECKING:
    from flowbook.promote.reading import Reading

#: Index of a cell, line and column.
Place = tuple[int, int, int]

_READERS = frozenset(
    "PIL.Image.open matplotlib.pyplot.imread matplotlib.image.imread imageio.imread cv2.imread geopandas.read_file "
    "xarray.open_dataset pyarrow.parquet.read_table pyarrow.feather.read_table".split()
)
_OF_PATHS = frozenset({"open", "read_text", "read_bytes"})
_PATH_KEYWORDS = frozenset({"file", "filepath_or_buffer", "filename", "fname", "io", "path", "path_or_buf", "source"})
#: Addresses, patterns, absolute paths, and texts that some readers take instead of a path.
_NO_RELATIVE_PATH = re.compile(r"\s*$|[/~\\<{\[]|[A-Za-z]:|.*(?:://|[\n*?])", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRead:
    """A file that a cell certainly reads at `line`, by a `path` relative to the folder of the notebook."""

    cell: KnownCell
    line: int
    path: str


def reads_of(reading: Reading) -> list[DataRead]:
    """What the cells read that a run executes."""
    cells = reading.slice_ or reading.cells
    return data_reads(cells, used_in(cells, reading.flow))


def data_reads(cells: Sequence[KnownCell], used: Collection[str]) -> list[DataRead]:
    """The first read of each file; functions that are not `used` are not called.

    Left out is what the notebook names elsewhere too, as where it makes or looks for the file. Nothing is known where
    the working directory changes.
    """
    if any("cwd" in known.analysis.resources - known.analysis.resource_reads for known in cells):
        return []
    found: dict[str, DataRead] = {}
    of_reads: set[Place] = set()
    for known, imports in with_imports(cells):
        for node, certain in cell_with_certainty(known, used):
            source = _read_by(node, imports) if isinstance(node, ast.Call) else None
            path = None if source is None else _literal(source, imports)
            if source is None or path is None or _NO_RELATIVE_PATH.match(path):
                continue
            of_reads.update(_place(known, part) for part in ast.walk(source) if isinstance(part, ast.Constant))
            if certain:
                found.setdefault(os.path.normpath(path), DataRead(cell=known, line=source.lineno, path=path))
    elsewhere = {PurePosixPath(text).name for known in cells for text in _named(known, of_reads)}
    commands = [text for known in cells for _, text in magic_lines(known)]
    return [
        read
        for read in found.values()
        if (name := PurePosixPath(read.path).name) not in elsewhere and not any(name in text for text in commands)
    ]


def _read_by(call: ast.Call, imports: Mapping[str, str]) -> ast.expr | None:
    """The expression for the path that a call reads from."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _OF_PATHS and _is_path(call.func.value, imports):
        return None if _writes(call.args[:1], call) and call.func.attr == "open" else call.func.value
    path = dotted_path(call.func, imports)
    path = "builtins.open" if path == "open" else path
    effect = of_function(path, frozenset())
    position = 0 if path in _READERS else effect.reads_file
    if not path or position is None or path.startswith("os.path."):
        return None
    if (path.endswith(".open") or effect.opens) and _writes(call.args[1:2], call):
        return None
    named = [keyword.value for keyword in call.keywords if keyword.arg in _PATH_KEYWORDS]
    return next(iter([*call.args[position : position + 1], *named]), None)


def _writes(modes: Sequence[ast.expr], call: ast.Call) -> bool:
    said = [*modes, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in said)


def _is_path(node: ast.expr, imports: Mapping[str, str]) -> bool:
    """Whether it is ``Path(…)``, or ``Path(…) / …``."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) and _is_path(node.left, imports)
    return isinstance(node, ast.Call) and dotted_path(node.func, imports) == "pathlib.Path"


def _literal(node: ast.expr, imports: Mapping[str, str]) -> str | None:
    """The path that is written out as text, ``Path(…) / …`` or ``os.path.join(…)``."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and _is_path(node, imports):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call) and dotted_path(node.func, imports) in ("pathlib.Path", "os.path.join"):
        parts = node.args
    known = [text for part in parts if (text := _literal(part, imports)) is not None]
    return os.path.join(*known) if known and len(known) == len(parts) else None  # noqa: PTH118 - it is text


def _named(known: KnownCell, of_reads: Collection[Place]) -> Iterator[str]:
    """The texts of a cell that may be paths or addresses, without those that are read from."""
    for node in ast.walk(parsed(known.cell.source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_read = _place(known, node) in of_reads
            if not is_read and not re.search(r"\s", node.value.strip()):
                yield node.value


def _place(known: KnownCell, node: ast.Constant) -> Place:
    return known.cell.index, node.lineno, node.col_offset
