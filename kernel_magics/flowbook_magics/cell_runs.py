"""Runs of the tasks of cells, and what of them reaches the notebook."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from flowbook import engine
from flowbook.core.states import State, completed, failed
from flowbook.errors import CellError
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.future import Future, wait
from flowbook.run.task_execution import TaskExecution
from flowbook.run.work import Work
from flowbook_magics import outputs
from flowbook_magics.cell_task import task_of
from flowbook_magics.disturbed import disturbed
from flowbook_magics.freshness import done_by_itself, input_tokens, remember
from flowbook_magics.kept_results import forget_results
from flowbook_magics.notebook_cells import NotebookCell
from flowbook_magics.places import Places
from flowbook_magics.plain_state import note_changes, what_goes_on
from flowbook_magics.session import Session

Futures = Mapping[str, Future[Any]]


def run_one(session: Session, cell: NotebookCell) -> None:
    """Run the task of the cell being executed, as one task run; its failure is raised as it is."""
    session.check_inputs(cell)
    _warn_of_limit(cell)
    task = task_of(session.shell, session.notebook, session.cells, cell, session.codes[cell.key], here=True)
    run = engine.new_task_run(task.work, (), {})
    undone = done_by_itself(session.cells, cell)
    session.states.begin(session.cells, ())
    try:
        state = engine.run_task(run) if run.work.place == "threads" else _run_elsewhere(run)
    finally:
        session.states.end()
    _took(session, cell, run, undone, state, alone=True)
    error = state.result(raise_on_failure=False) if not state.is_completed() else None
    if isinstance(error, BaseException):
        raise error if cell.options.over else outputs.begins_in_cell(session.shell, error)


def new_run(
    session: Session,
    flow: FlowExecution,
    cell: NotebookCell,
    futures: Futures,
    *,
    from_failed: bool = False,
    undone: str = "",
) -> TaskExecution:
    """A run of the task of a cell in `flow`, to be submitted: after those cells among `futures` that it waits for.

    `from_failed` leaves out the elements of a mapped cell that completed in its last run. `undone` says why it has to
    run again afterwards, if it has.
    """
    _warn_of_limit(cell)
    run = _new_run(session, flow, cell, futures, from_failed=from_failed)
    run.at_end = partial(_took, session, cell, run, undone)  # before those that read from it begin
    return run


def reuse(session: Session, flow: FlowExecution, cell: NotebookCell, futures: Futures, why: str) -> Future[Any]:
    """Record in `flow` that the result of the task of a cell is used again, and `why`."""
    run = _new_run(session, flow, cell, futures)
    run.enter(completed(cell.values, name="Cached", message=why))
    session.publish(cell)
    return run.future


def refuse(
    session: Session, flow: FlowExecution, cell: NotebookCell, futures: Futures, error: CellError
) -> Future[Any]:
    """Record in `flow` that the task of a cell cannot run, because of `error`."""
    run = _new_run(session, flow, cell, futures)
    run.end_as(failed(error))
    return run.future


def run_disturbed(session: Session, flow: FlowExecution, futures: dict[str, Future[Any]], ran: Collection[str]) -> None:
    """Run the tasks again, one by one in notebook order, if some may have seen a wrong version of something.

    That may be why one has failed, and others with it.
    """
    done: frozenset[str] = frozenset()
    wait(list(futures.values()))
    while not any(future.state.is_cancelled() and future.state.name != "NotReady" for future in futures.values()):
        again = disturbed(session.cells, ran, futures)
        if again <= done:  # in this order nothing can be wrong with them any more
            return
        done |= again
        session.states.end()
        go_on(session, again)
        for graph_id in session.cells.graph.topological_order():
            if graph_id in again:
                run = new_run(session, flow, session.cells.by_id(graph_id), futures)
                futures[graph_id] = engine.submit_task(run)
                run.future.wait()


def go_on(session: Session, run: Collection[str]) -> None:
    """Tasks are to run: as far as that can be, from what plain cells have left, else say from what.

    Raises CellError instead in an unattended run, where nobody reads it.
    """
    for graph_id in run:
        session.cells.by_id(graph_id).audit = None  # one whose result is used again is not accompanied
    session.states.begin(session.cells, run)
    forget_results(session.cells)
    for sentence in what_goes_on(session.cells, run):
        if session.unattended is not None:
            raise CellError(f"Tasks had to run again, because in their order they share what no code shows. {sentence}")
        sys.stderr.write(f"flowbook: {sentence}\n")


def _new_run(
    session: Session, flow: FlowExecution, cell: NotebookCell, futures: Futures, *, from_failed: bool = False
) -> TaskExecution:
    before = [futures[task.graph_id] for task in session.cells.tasks_before(cell, among=futures)]
    return engine.new_task_run(_work_of(session, cell, from_failed), (), {}, wait_for=before, flow=flow)


def _work_of(session: Session, cell: NotebookCell, from_failed: bool) -> Work:
    known = session.tasks.get(cell.key)
    if known is None or known[0] is not cell or cell.options.over:  # the elements of one run have things in common
        code = session.codes[cell.key]
        task = task_of(session.shell, session.notebook, session.cells, cell, code, from_failed=from_failed)
        known = session.tasks[cell.key] = cell, task
    return known[1].work


def _took(
    session: Session, cell: NotebookCell, run: TaskExecution, undone: str, state: State, *, alone: bool = False
) -> None:
    """A task run has ended: what it wrote belongs to the notebook, if it ended well."""
    cell.failure = None if state.is_completed() else state.name
    note_changes(session.cells, cell)
    if state.name != "NotReady":
        cell.tried = input_tokens(session.cells, cell)
    if state.is_completed():
        cell.values = state.data
        remember(session.cells, cell, run.id, run.seconds(), undone)
    home = session.at_home(cell)
    if home is None:
        return
    home.failure, home.tried, home.values, home.last = cell.failure, cell.tried, cell.values, cell.last
    home.elements, home.context_values = cell.elements, cell.context_values
    if state.is_completed():
        if session.unfinished is not None:
            session.unfinished.discard(cell.key)
        session.publish(cell, always=alone)


def _warn_of_limit(cell: NotebookCell) -> None:
    """Say that the concurrency limit that a cell names does not exist."""
    if cell.options.limit is not None:
        from flowbook.concurrency import warn_of_missing

        warn_of_missing(cell.options.limit[:1])


def _run_elsewhere(run: TaskExecution) -> State:
    """The final state of a task run that is executed by another process."""
    with Places() as runner:
        runner.submit(run, run.awaits)
        run.future.wait()
    run.recorder.flush()
    return run.future.state
