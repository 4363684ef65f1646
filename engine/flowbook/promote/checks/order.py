"""Task cells that wait for others without reading from them: the order is safe, and perhaps slower than need be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowbook.cells import NotebookGraph, ReasonKind
from flowbook.cells.resources import describe
from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.checks.finding import Finding, Severity, in_cell

_FLAGS = {
    "background": "it starts tasks of asyncio that go on when it has ended, or may await them",
    "cwd": "it changes the working directory, from which relative paths of files start",
    "dynamic": "it may use any name (exec, eval, globals(), %load)",
    "history": "it uses IPython's history (_, In, Out)",
    "ipython": "it calls get_ipython()",
    "module": "it changes what others import (module.NAME = …, importlib.reload)",
    "output": "it captures what is put out while it runs (%%capture, redirect_stdout, sys.stdout = …)",
    "run": "it executes a file with %run",
    "served": "it sends requests, and a cell before it has started a server, whose code then runs",
    "settings": "it changes how later cells compute or show (np.seterr, pd.set_option, decimal)",
    "star-import": "it imports * from a module",
    "threads": "it waits for threads that another cell has started",
}
_FIXES = {
    "background": "Await in one cell what it starts, in a function if it is long, so that others need not wait.",
    "cwd": "Change it in a plain cell on top of the notebook, or write paths that need no change.",
    "served": "Have one cell send what belongs together.",
    "settings": "Set it in a plain cell on top of the notebook, so that tasks need not wait.",
}
_SAY = "Say by name what it uses, if it should not wait."


def order_findings(cells: Sequence[KnownCell], graph: NotebookGraph | None) -> Iterator[Finding]:
    """In a notebook with task cells, each cell that the analyzer keeps in its place, with the reason."""
    tasks = {known.id for known in cells if known.role is Role.TASK}
    if graph is None or not tasks:
        return
    first = next(place for place, known in enumerate(cells) if known.id in tasks)
    for known in cells[first:]:  # a plain cell on top keeps no task waiting
        if flags := graph.nodes[known.id].flags:
            reasons = ", ".join(_FLAGS.get(flag, flag) for flag in sorted(flags))
            why = f"It runs alone, after all cells before it and before all after it, because {reasons}."
            yield in_cell(Severity.WARNING, known.cell, None, why, _FIXES.get(", ".join(flags), _SAY))
        elif known.id in tasks and (shared := _shared(graph, known.id, tasks)):
            why = f"It waits for tasks that it reads nothing from, because it shares {', '.join(shared)}."
            fix = "Give each task a file, generator, figure or client of its own, if they should run at the same time."
            yield in_cell(Severity.WARNING, known.cell, None, why, fix)


def _shared(graph: NotebookGraph, id_: str, tasks: set[str]) -> list[str]:
    """What it shares, and with which tasks that it waits for because of that alone."""
    found: dict[str, dict[str, None]] = {}
    for edge in graph.incoming(id_):
        if edge.upstream in tasks and all(reason.kind is ReasonKind.RESOURCE for reason in edge.reasons):
            name = graph.nodes[edge.upstream].cell.name or f"cell {edge.upstream}"
            for reason in edge.reasons:
                found.setdefault(describe(reason.subject), {})[name] = None
    return [f"{what} with {' and '.join(names)}" for what, names in found.items()]
