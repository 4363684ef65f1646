"""Which of the three kinds a notebook is, and what of it a run executes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flowbook.cells import Cell, NotebookGraph, NotebookGraphError
from flowbook.errors import NotebookError, did_you_mean
from flowbook.promote.cells import KnownCell, Role, loads_extensions, parsed, with_imports
from flowbook.promote.notebook import CellMistake

FlowFunction = ast.FunctionDef | ast.AsyncFunctionDef


class Kind(StrEnum):
    """How a notebook is executed."""

    PLAIN = "plain"
    """The cells in order, each a task run."""
    CELLS = "cells"
    """Like that, but task cells run as soon as their inputs exist."""
    FLOW = "flow"
    """Only what one flow needs, and then that flow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinedFlow:
    """A flow that a cell defines. `variable` is bound to it; `function` is None for a ``%%flow`` cell.

    `retries` and `retry_delay` (seconds) are what its decorator says in literals.
    """

    name: str
    variable: str
    cell: KnownCell
    function: FlowFunction | None = None
    retries: int = 0
    retry_delay: float = 0.0


def flows_in(cells: Sequence[KnownCell]) -> list[DefinedFlow]:
    """The flows that the cells define, in notebook order; of two with one variable the later one."""
    found: dict[str, DefinedFlow] = {}
    for known, imports in with_imports(cells):
        if known.role is Role.FLOW:
            if known.name is None:
                raise CellMistake(known.cell, 1, "%%flow needs a name, as in `%%flow nightly`.")
            variable = known.name.replace("-", "_")
            found[variable] = DefinedFlow(name=known.name, variable=variable, cell=known)
            continue
        for function in parsed(known.cell.source).body:
            if isinstance(function, FlowFunction) and (options := _flow_options(function, imports)) is not None:
                found[function.name] = DefinedFlow(
                    name=str(options.get("name") or function.name.replace("_", "-")),
                    variable=function.name,
                    cell=known,
                    function=function,
                    retries=_count(options.get("retries")),
                    retry_delay=_first_delay(options.get("retry_delay_seconds")),
                )
    return list(found.values())


def choose_flow(flows: Sequence[DefinedFlow], wanted: str | None, cells: Sequence[KnownCell]) -> DefinedFlow | None:
    """The flow to promote: the one that was asked for, else the only one that no other flow calls.

    None if the notebook itself is the flow. Raises NotebookError when that is not clear.
    """
    if wanted is not None:
        return _named(flows, wanted)
    if not flows or any(known.role is Role.TASK for known in cells):
        return None
    called = {name for flow in flows for name in _calls(flow)}
    tops = [flow for flow in flows if flow.variable not in called]
    if len(tops) == 1:
        return tops[0]
    names = ", ".join(repr(flow.name) for flow in flows)
    raise NotebookError(f"The notebook defines {len(flows)} flows: {names}. Say which one to promote with --flow NAME.")


def check_graph(cells: Sequence[KnownCell]) -> NotebookGraph:
    """The graph of the cells; raises NotebookError for a cycle, a duplicate name or an unknown ``--after``."""
    names = {known.name for known in cells if known.role is Role.TASK and known.name}
    bound = {name: known.id for known in cells if known.role is Role.TASK for name in known.analysis.writes}
    nodes = []
    for known in cells:
        after = tuple(_after(name, names, bound, known) for name in known.after)
        is_task = known.role is Role.TASK
        nodes.append(
            Cell(
                id=known.id,
                source=known.cell.source,
                analysis=known.analysis,
                name=known.name if is_task else None,
                is_task=is_task,
                after=after,
            )
        )
    try:
        return NotebookGraph.of(nodes)
    except NotebookGraphError as error:
        raise NotebookError(str(error)) from None


def slice_of(flow: DefinedFlow, cells: Sequence[KnownCell], graph: NotebookGraph) -> tuple[KnownCell, ...]:
    """The cells that the flow needs, in notebook order: what it looks up, and what sets up magics."""
    if flow.function is not None:
        needed = set(graph.slice_for([flow.variable]))
    else:
        read = [name for name in sorted(flow.cell.analysis.reads) if name in graph.final]
        needed = {*graph.slice_for(read), flow.cell.id}
    return tuple(known for known in cells if known.id in needed or loads_extensions(known.cell))


def _named(flows: Sequence[DefinedFlow], wanted: str) -> DefinedFlow:
    for flow in flows:
        if wanted in (flow.name, flow.variable):
            return flow
    names = [flow.name for flow in flows]
    has = f"It defines {', '.join(map(repr, names))}." if names else "It defines none: mark a function with @flow."
    raise NotebookError(f"The notebook defines no flow {wanted!r}.{did_you_mean(wanted, names)} {has}")


def _after(name: str, names: set[str], bound: dict[str, str], asked_by: KnownCell) -> str:
    """The name, or id, by which the graph knows the task that ``--after`` means."""
    if name in names:
        return name
    if name in bound:
        return bound[name]
    why = f"no task is named {name!r}, which --after asks for.{did_you_mean(name, [*names, *bound])}"
    raise CellMistake(asked_by.cell, 1, why)


def _calls(flow: DefinedFlow) -> set[str]:
    body = flow.function.body if flow.function is not None else parsed(flow.cell.cell.source).body
    return {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}


def _flow_options(function: FlowFunction, imports: Mapping[str, str]) -> dict[str, object] | None:
    """The options that are literals of the decorator that makes a function a flow; None if none is flowbook's."""
    for decorator in function.decorator_list:
        given = decorator.keywords if isinstance(decorator, ast.Call) else []
        if _path(decorator.func if isinstance(decorator, ast.Call) else decorator, imports) in _FLOWS:
            return {option.arg: _literal(option.value) for option in given if option.arg is not None}
    return None


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _first_delay(value: object) -> float:
    """The seconds before the first retry, of a number or a list of them."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    return float(first) if isinstance(first, int | float) and not isinstance(first, bool) and first > 0 else 0.0


_FLOWS = ("flowbook.flow", "flowbook.flows.flow")


def _path(node: ast.expr, imports: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value, imports)}.{node.attr}"
    if isinstance(node, ast.Name):
        # A star import leaves no trace in `imports`.
        return imports.get(node.id, "flowbook.flow" if node.id == "flow" else node.id)
    return ""
