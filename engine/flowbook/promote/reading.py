"""A notebook read and understood: what kind it is, which flow is meant, what it needs and takes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.cells import NotebookGraph
from flowbook.errors import NotebookError
from flowbook.promote.cells import KnownCell, Role, loads_flowbook, understand
from flowbook.promote.checks.finding import Finding
from flowbook.promote.kernels import choose_kernel
from flowbook.promote.kinds import DefinedFlow, Kind, check_graph, choose_flow, flows_in, slice_of
from flowbook.promote.notebook import CodeCell, code_cells, language_of
from flowbook.promote.parameters import Schema, schema_of, schema_to_json

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a notebook means. `graph` is None, and `cells` are empty, for another language than Python."""

    kind: Kind
    language: str
    kernel: str
    flow: DefinedFlow | None = None
    cells: tuple[KnownCell, ...] = ()
    slice_: tuple[KnownCell, ...] = ()
    schema: Schema = ()
    graph: NotebookGraph | None = None
    findings: tuple[Finding, ...] = ()
    """What there is to say about its kernel."""


def read(notebook: NotebookNode, wanted_flow: str | None) -> Reading:
    """Understand a notebook; raises NotebookError for what cannot be run as it is."""
    kernel, finding = choose_kernel(notebook)
    findings = () if finding is None else (finding,)
    language = language_of(notebook)
    cells = list(code_cells(notebook))
    if not cells:
        raise NotebookError("The notebook has no code cell, so there is nothing to run.")
    if language == "python":
        return _read_python(cells, wanted_flow, kernel, findings)
    if wanted_flow is not None:
        raise NotebookError(f"A notebook in {language} defines no flow; leave out --flow.")
    return Reading(kind=Kind.PLAIN, language=language, kernel=kernel, findings=findings)


def what_runs(path: Path, sha: str, reading: Reading) -> dict[str, Any]:
    """What of the manifest a process needs that executes the notebook."""
    flow = reading.flow
    return {
        "snapshot": sha,
        "source": str(path),
        "cwd": str(path.parent),
        "kind": reading.kind.value,
        "entrypoint": path.name + (f":{flow.variable}" if flow else ""),
        "flow": flow.variable if flow else None,
        "is_async": flow is not None and isinstance(flow.function, ast.AsyncFunctionDef),
        "slice": [known.cell.index for known in reading.slice_],
        "language": reading.language,
        "kernel": reading.kernel,
        "schema": schema_to_json(reading.schema),
    }


def _read_python(cells: list[CodeCell], wanted_flow: str | None, kernel: str, findings: tuple[Finding, ...]) -> Reading:
    known = tuple(understand(cells))
    graph = check_graph(known)
    flow = choose_flow(flows_in(known), wanted_flow, known)
    # With flowbook's magics in it, the kernel must know that it is unattended, or `%deploy` would deploy every night.
    with_magics = any(each.role is Role.TASK or loads_flowbook(each.cell) for each in known)
    return Reading(
        kind=Kind.FLOW if flow is not None else Kind.CELLS if with_magics else Kind.PLAIN,
        language="python",
        kernel=kernel,
        flow=flow,
        cells=known,
        slice_=() if flow is None else slice_of(flow, known, graph),
        schema=schema_of(known, flow),
        graph=graph,
        findings=findings,
    )
