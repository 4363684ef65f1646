"""Joining two records of one run: the kernel recorded its task cells, this process the plain cells between them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowbook import engine, runs
from flowbook.core.events import state_to_json
from flowbook.core.states import State
from flowbook.core.view import NodeView
from flowbook.promote.cells import Role
from flowbook.promote.marks import mark
from flowbook.promote.plan import Plan

_CELL = re.compile(r"cell (\d+)")


def join_records(plan: Plan, ours: Mapping[int, str], *, ending: State) -> None:
    """Record the edges between plain cells and task cells, and write into each task cell what became of it.

    `ours` are the ids of the task runs of plain cells by the index of the cell. What the kernel still runs is recorded
    as ended in the state `ending`.
    """
    _end_unfinished(plan, ending)
    theirs = _task_cells(plan)
    _record_edges(plan, ours, {index: node.id for index, node in theirs.items()})
    for index, node in theirs.items():
        if node.state is not None:
            mark(plan.notebook.cells[index], node.state, name=node.name, duration=node.duration())


def _end_unfinished(plan: Plan, ending: State) -> None:
    recorder = engine.engine().recorder
    for node in runs.run_view(plan.run.id).nodes.values():
        if node.state is None or not node.state.is_final():
            recorder.emit("state", plan.run.id, node.id, state_to_json(ending))
    recorder.flush()


def _task_cells(plan: Plan) -> dict[int, NodeView]:
    """The task runs that the kernel recorded, by the index of their cell.

    It counts the cells that are executed from 1, which are the steps of the plan.
    """
    found = {}
    for node in runs.run_view(plan.run.id).nodes.values():
        if said := _CELL.fullmatch(node.cell or ""):
            place = int(said[1]) - 1
            if place < len(plan.steps) and plan.steps[place].role is Role.TASK:
                found[plan.steps[place].cell.index] = node
    return found


def _record_edges(plan: Plan, ours: Mapping[int, str], theirs: Mapping[int, str]) -> None:
    """Edges between two cells of one side are recorded by that side."""
    recorder = engine.engine().recorder
    for step in plan.steps:
        index = step.cell.index
        for before in step.before:
            source, target = (ours, theirs) if index in theirs else (theirs, ours)
            if before in source and index in target:
                recorder.emit("edge", plan.run.id, target[index], {"from": source[before]})
    recorder.flush()
