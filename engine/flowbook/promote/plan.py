"""A run of a deployment, read from the store and ready to be executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import ParameterError
from flowbook.promote.cells import KnownCell, Role, understand
from flowbook.promote.kinds import Kind, check_graph
from flowbook.promote.labels import cell_name
from flowbook.promote.notebook import CodeCell, code_cells, parse_notebook
from flowbook.store.queue import QueuedRun

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A code cell of the run. `name` is that of its task run.

    `before` are the indices of the cells that it waits for, without those that only import and define; `in_loop` says
    whether it has to run in the event loop that the cells share.
    """

    cell: CodeCell
    role: Role
    name: str
    before: tuple[int, ...] = ()
    recorded: bool = True
    in_loop: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One run. `values` are its parameters as Python values, `run.parameters` the same as JSON values.

    `notebook` is going to hold the outputs; `snapshot` is the content of the file that it was read from.
    """

    run: QueuedRun
    manifest: Mapping[str, Any]
    snapshot: bytes
    notebook: NotebookNode
    kind: Kind
    steps: tuple[Step, ...]
    values: Mapping[str, Any]

    def facts(self, snapshot: Path) -> dict[str, Any]:
        """``run.json``; `snapshot` is where the kernel can read the cells."""
        return {
            "flow_run_id": self.run.id,
            "fence": self.run.fence,
            "tags": list(self.run.tags),
            "parent_id": self.run.parent_id,
            "number": self.run.number,
            "name": self.run.name,
            "flow": self.run.flow,
            "deployment_id": self.run.deployment_id,
            "version": self.run.version,
            "trigger": self.run.trigger,
            "due": self.run.due,
            "kind": self.kind.value,
            "entrypoint": self.manifest["entrypoint"],
            "source": self.manifest["source"],
            "cwd": self.manifest["cwd"],
            "kernel": self.manifest["kernel"],
            "snapshot": str(snapshot),
            "schema": self.manifest["schema"],
            "parameters": dict(self.run.parameters),
            "keeps_output": self.manifest.get("keeps_output", False),
            "cells": [
                {"index": step.cell.index, "number": step.cell.number, "role": step.role.value, "name": step.name}
                for step in self.steps
            ],
            "in_loop": [step.cell.index for step in self.steps if step.in_loop],
        }


def plan_of(run: QueuedRun, manifest: Mapping[str, Any], snapshot: bytes, values: Mapping[str, Any]) -> Plan:
    """The plan of a run; raises ParameterError if the values cannot be given to this notebook.

    `snapshot` is the content of the file with the notebook; raises NotebookError if it is none.
    """
    notebook = parse_notebook(snapshot, f"The snapshot {manifest['snapshot'][:12]}")
    kind = Kind(manifest["kind"])
    cells = list(code_cells(notebook))
    if manifest["language"] == "python":
        steps = _python_steps(cells, kind, set(manifest["slice"]))
    else:
        steps = _foreign_steps(cells)
        if values:
            raise ParameterError(
                f"The notebook is in {manifest['language']}, where parameters cannot be given to it.",
                field=next(iter(values)),
            )
    return Plan(run=run, manifest=manifest, snapshot=snapshot, notebook=notebook, kind=kind, steps=steps, values=values)


def _python_steps(cells: list[CodeCell], kind: Kind, chosen: set[int]) -> tuple[Step, ...]:
    known = understand(cells)
    graph = check_graph(known)
    by_id = {each.id: each for each in known}
    steps = []
    for each in known:
        if kind is Kind.FLOW and each.cell.index not in chosen:
            continue
        before = [by_id[edge.upstream] for edge in graph.incoming(each.id)]
        steps.append(
            Step(
                cell=each.cell,
                role=each.role,
                name=cell_name(each.cell, each.analysis),
                before=tuple(other.cell.index for other in before if other.role is not Role.PRELUDE),
                recorded=_is_recorded(each, kind),
                in_loop=graph.shares_loop(each.id),
            )
        )
    return tuple(steps)


def _is_recorded(known: KnownCell, kind: Kind) -> bool:
    """In a notebook with task cells, what only prepares is no task; the kernel records the task cells itself."""
    return kind is Kind.PLAIN or (kind is Kind.CELLS and known.role in (Role.PLAIN, Role.PARAMETERS))


def _foreign_steps(cells: list[CodeCell]) -> tuple[Step, ...]:
    """The cells of another language: nothing is known of them but their order."""
    return tuple(
        Step(
            cell=cell,
            role=Role.PLAIN,
            name=cell_name(cell, None),
            before=(cells[place - 1].index,) if place else (),
        )
        for place, cell in enumerate(cells)
    )
