"""What goes to a cell in another process, or comes back from it, and cannot be pickled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

from flowbook.cells import NotebookGraph
from flowbook.cells.cell_lines import cell_line, place_of
from flowbook.promote.cells import KnownCell, Role, parsed, with_imports
from flowbook.promote.checks.certainty import dotted_path, names_made
from flowbook.promote.checks.finding import Finding, Severity, in_cell
from flowbook.run.pickles import why_not_pickled

#: What is called -> what it gives. Nothing of it can be pickled, not by cloudpickle either.
UNPICKLABLE: Mapping[str, str] = {
    **dict.fromkeys(("threading.Lock", "threading.RLock", "multiprocessing.Lock"), "a lock"),
    **{f"threading.{name}": f"a {name}" for name in ("Barrier", "Condition", "Semaphore", "BoundedSemaphore")},
    **{f"threading.{name}": f"a {name}" for name in ("Thread", "Timer")},
    "threading.Event": "an Event",
    **{f"queue.{name}": "a queue" for name in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")},
    **{f"concurrent.futures.{name}": "an executor" for name in ("ThreadPoolExecutor", "ProcessPoolExecutor")},
    **dict.fromkeys(("sqlite3.connect", "psycopg.connect"), "a connection to a database"),
    "sqlalchemy.create_engine": "an engine of SQLAlchemy",
    **dict.fromkeys(("socket.socket", "socket.create_connection"), "a socket"),
    "subprocess.Popen": "a process",
    **dict.fromkeys(("gzip.open", "tempfile.TemporaryFile", "tempfile.NamedTemporaryFile"), "an open file"),
    **dict.fromkeys(("csv.reader", "csv.writer"), "a reader or writer of an open file"),
}

_FIX = "Make it inside of the cell that uses it, from a path, an address or a key, or let the cell run in a thread."
#: They can be pickled unless they hold something strange, and trying takes as long as copying them.
_LARGE = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch"})


def pickling_findings(
    cells: Sequence[KnownCell], graph: NotebookGraph | None, values: Mapping[str, Any]
) -> Iterator[Finding]:
    """For each cell that another process executes: what it reads, and what others read of it.

    From the code only obvious things are known; `values` are those that the names of the notebook have in a kernel.
    """
    isolated = [known for known in cells if known.role is Role.TASK and _is_isolated(known)]
    if graph is None or not isolated:
        return
    made = {known.id: names_made(known, partial(_what, imports=imports)) for known, imports in with_imports(cells)}
    by_id = {known.id: known for known in cells}
    for known in isolated:
        for name, maker in sorted(graph.inputs(known.id).items()):
            if maker in made and name in made[maker]:
                line, what = made[maker][name]
                where = f"{by_id[maker].cell.title}, line {line}, makes"
                why = f"{name!r} is sent to the process of this cell; {where} it {what}, which cannot be pickled."
                yield in_cell(Severity.ERROR, known.cell, _line_of(known, name), why, _FIX)
            elif maker in graph.final.get(name, ())[:1] and (said := _of_value(name, values)):
                why = f"{name!r} is sent to the process of this cell, and {said}."
                yield in_cell(Severity.WARNING, known.cell, _line_of(known, name), why, _FIX)
        for name, (line, what) in sorted(made[known.id].items()):
            if reader := next((each for each in cells if graph.inputs(each.id).get(name) == known.id), None):
                why = f"{name!r} is {what}, which cannot be sent back from the process of this cell, and "
                why += f"{reader.cell.title} reads it."
                yield in_cell(Severity.ERROR, known.cell, line, why, "Make it in the cell that reads it.")


def _is_isolated(known: KnownCell) -> bool:
    line = cell_line(known.cell.source)
    return line is not None and place_of(line.said) != "threads"


def _what(value: ast.expr, imports: Mapping[str, str]) -> str | None:
    if isinstance(value, ast.GeneratorExp):
        return "a generator"
    if not isinstance(value, ast.Call):
        return None
    path = dotted_path(value.func, imports)
    if path == "open":
        modes = [*value.args[1:2], *(keyword.value for keyword in value.keywords if keyword.arg == "mode")]
        # A text file that is open for reading is pickled: with what it holds.
        is_text = all(isinstance(mode, ast.Constant) and not set("wax+b") & set(str(mode.value)) for mode in modes)
        return None if is_text else "an open file"
    return UNPICKLABLE.get(path)


def _of_value(name: str, values: Mapping[str, Any]) -> str | None:
    value = values.get(name)
    if type(value).__module__.partition(".")[0] in _LARGE:
        return None
    if isinstance(value, FunctionType) and not value.__closure__:
        return None  # what it looks up is an input by itself
    return why_not_pickled("it", name, value)


def _line_of(known: KnownCell, name: str) -> int | None:
    """The first line that says the name; None where only a function does that the cell calls."""
    uses = [node for node in ast.walk(parsed(known.cell.source)) if isinstance(node, ast.Name) and node.id == name]
    return min((node.lineno for node in uses), default=None)
