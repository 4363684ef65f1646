"""What has other content in each thread, or event loop, than where it was made: tasks are executed by several."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from flowbook.cells import NotebookGraph
from flowbook.promote.cells import KnownCell, Role, with_imports
from flowbook.promote.checks.certainty import dotted_path, names_made
from flowbook.promote.checks.finding import Finding, Severity, in_cell

_IN_MEMORY = ("sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite+pysqlite:///:memory:")


def thread_findings(cells: Sequence[KnownCell], graph: NotebookGraph | None) -> Iterator[Finding]:
    """For each cell that makes such a thing, if a task makes it or reads it."""
    if graph is None:
        return
    for known, imports in with_imports(cells):
        for name, (line, (what, fix)) in sorted(names_made(known, partial(_what, imports=imports)).items()):
            readers = [each for each in cells if graph.inputs(each.id).get(name) == known.id]
            if readers and any(each.role is Role.TASK for each in (known, *readers)):
                why = f"{name!r} is {what}; {readers[0].cell.title} reads it, which another one may execute."
                yield in_cell(Severity.WARNING, known.cell, line, why, fix)
        yield from _begun_outside(known, cells, graph)


def _begun_outside(known: KnownCell, cells: Sequence[KnownCell], graph: NotebookGraph) -> Iterator[Finding]:
    """A plain cell that starts something in the kernel's own loop, which a task awaits."""
    if known.role is Role.TASK or "background" not in known.analysis.flags:
        return
    made = known.analysis.writes - known.analysis.imports.keys() - known.analysis.defined
    for each in cells:
        awaited = [name for name in sorted(made) if graph.inputs(each.id).get(name) == known.id]
        if each.role is Role.TASK and each.analysis.awaits and awaited:
            loop = "the kernel's own event loop, which stands still"
            why = f"It makes {awaited[0]!r} in {loop} while {each.cell.title} awaits."
            fix = "Make a task of it, too: tasks share another loop."
            yield in_cell(Severity.WARNING, known.cell, None, why, fix)
            return


def _what(value: ast.expr, imports: Mapping[str, str]) -> tuple[str, str] | None:
    """What it is, and what to do instead."""
    if not isinstance(value, ast.Call):
        return None
    path = dotted_path(value.func, imports)
    if path == "threading.local":
        return "a threading.local, which is empty in every other thread", "Use an object of a class of your own."
    if path == "sqlalchemy.create_engine" and all(each.arg not in ("poolclass", None) for each in value.keywords):
        match value.args:
            case [ast.Constant(value=url), *_] if url in _IN_MEMORY:
                return (
                    "an SQLite database in memory, of which SQLAlchemy gives each thread another one",
                    "Say poolclass=sqlalchemy.pool.StaticPool, or use a file.",
                )
    return None
