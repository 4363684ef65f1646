"""Running a flow from the notebook, seen live: the graph of the task cells, or a flow that a cell defines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from flowbook import engine
from flowbook.core.parameters import bind, coerce
from flowbook.core.states import State, completed
from flowbook.core.text import sentence
from flowbook.core.view import NodeView, RunView
from flowbook.errors import CellError, FlowbookError, NotFound, did_you_mean
from flowbook.flow_runs import cancel_flow_run
from flowbook.flows import Flow
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.future import Future, wait
from flowbook.run.ids import new_id
from flowbook.run.task_execution import TaskExecution
from flowbook.run.work import Work
from flowbook_magics.after_failure import actions
from flowbook_magics.background import BackgroundRun
from flowbook_magics.cell_runs import go_on, new_run, refuse, reuse, run_disturbed
from flowbook_magics.context_values import carry
from flowbook_magics.freshness import done_by_itself, stale_tasks
from flowbook_magics.moved_cells import settle
from flowbook_magics.outputs import shown_as
from flowbook_magics.places import Places
from flowbook_magics.plain_state import what_is_outdated
from flowbook_magics.run_details import RunDetails
from flowbook_magics.selection import Selection, Wanted, select
from flowbook_magics.session import Session, flow_name
from flowbook_magics.task_notes import TaskNotes
from flowbook_widgets import LiveView, live_view

_FRESH = "Fresh: nothing that it depends on has changed."
_STALE = "It succeeded before, and this run is about what failed."


class FlowRunFailed(FlowbookError):
    """A flow run in the notebook did not complete. Its story stands in the view and under the cells."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback: the one that matters is under the failed task's cell."""
        return [f"{type(self).__name__}: {self}"]


def run_notebook(
    session: Session, wanted: Wanted, *, max_parallel: int | None = None, background: bool = False
) -> str | None:
    """Run the tasks of the notebook that are wanted; returns what to say when there is nothing to run.

    Raises CellError when there are no tasks, FlowRunFailed when the run does not complete: also for a task of which an
    input is missing, beside which the others run, unless only a part of the notebook is wanted. In the `background`
    it returns at once, and the view says how the run ends.
    """
    if not session.cells.tasks:
        raise CellError("There are no tasks yet. Put `%%task` on a cell's first line and run the cell.")
    settle(session.cells, session.publisher, session.order.told.keys())
    selection = select(session, wanted)
    if outdated := what_is_outdated(session.cells, selection.part, selection.run):
        sys.stderr.write(f"flowbook: {outdated}\n")
    if not selection.run:
        for cell in session.cells.tasks:
            if cell.graph_id in selection.part:
                session.publish(cell)
        return selection.message
    # Those left out are as they were: what failed of them before has still failed.
    before = session.unfinished or set() if wanted.is_partial else set()
    session.unfinished = before | {session.cells.by_id(graph_id).key for graph_id in selection.run}
    ours = session.apart() if background else session

    def body(**_: Any) -> None:
        flow = engine.current_flow()
        assert flow is not None
        try:
            futures = _submit_all(ours, flow, selection)
            run_disturbed(ours, flow, futures, selection.run)
        finally:
            session.states.end()
        raise_first_failure(futures.values())

    work = Work(name=flow_name(), fn=body, quiet=True)
    go_on(ours, selection.run)
    shown = {name: session.notebook[name] for name, _ in wanted.parameters}
    runner = Places(max_parallel)
    run = _run_in_background if background else _run_live
    run(session, lambda run_id: engine.new_flow_run(work, shown, runner, flow_run_id=run_id, trigger="notebook"), None)
    if not background:
        carry(cell for cell in session.cells if cell.graph_id in selection.run)
    return None


def run_function(session: Session, name: str, parameters: Mapping[str, Any], *, background: bool = False) -> Any:
    """Run a flow that the notebook defines, live; returns its result, or None at once in the `background`."""
    flow = find_flow(session, name)
    title = f"flow {flow.name!r}"
    named = coerce(flow.fn, title, bind(flow.fn, title, (), parameters))  # before anything is shown
    quiet = flow.with_options()
    quiet.work = replace(flow.work, quiet=True)
    run = _run_in_background if background else _run_live
    return run(session, lambda run_id: quiet.begin(named, flow_run_id=run_id, trigger="notebook"), name)


def find_flow(session: Session, name: str) -> Flow[..., Any]:
    """The flow of this name in the notebook. Raises NotFound."""
    flows = flows_of(session)
    if name not in flows:
        raise NotFound(
            f"There is no flow {name!r} in this notebook.{did_you_mean(name, flows)} "
            "Define it with `%%flow NAME` or `@flow` and run that cell."
        )
    return flows[name]


def flows_of(session: Session) -> dict[str, Flow[..., Any]]:
    """The flows in the notebook's namespace, by the variable and by their own name."""
    found = {key: value for key, value in session.notebook.items() if isinstance(value, Flow) and key[0] != "_"}
    return {**{flow.name: flow for flow in found.values()}, **found}


def planned(session: Session) -> RunView:
    """The graph of the tasks as a view of a run that has not begun: fresh tasks are shown as reused."""
    stale = stale_tasks(session.cells)
    fresh = completed(name="Cached")
    nodes = {
        cell.graph_id: NodeView(
            id=cell.graph_id,
            name=cell.label,
            cell=cell.graph_id,
            state=None if cell.graph_id in stale else fresh,
            upstream=tuple(before.graph_id for before in session.cells.tasks_before(cell)),
        )
        for cell in session.cells.tasks
    }
    return RunView(id="", flow=flow_name(), nodes=nodes)


def raise_first_failure(futures: Iterable[Future[Any]]) -> None:
    """Return when all have ended; raises what the one that failed first failed with."""
    ended = list(futures)
    wait(ended)
    failed = [future.state for future in ended if future.state.is_failed() or future.state.is_crashed()]
    broken = failed or [future.state for future in ended if not future.state.is_completed()]
    if broken:
        min(broken, key=lambda state: state.time or 0.0).result()


def _submit_all(session: Session, flow: FlowExecution, selection: Selection) -> dict[str, Future[Any]]:
    """Have the tasks run. All of them are known before the first begins, so that their graph is drawn once."""
    runs: list[TaskExecution] = []
    futures: dict[str, Future[Any]] = {}
    stale = stale_tasks(session.cells)
    for graph_id in session.cells.graph.topological_order():
        if graph_id not in selection.part:
            continue
        cell = session.cells.by_id(graph_id)
        if graph_id not in selection.run:
            futures[graph_id] = reuse(session, flow, cell, futures, _STALE if graph_id in stale else _FRESH)
            continue
        try:
            session.check_inputs(cell, made_meanwhile=selection.run)
        except CellError as error:  # the others can run all the same
            futures[graph_id] = refuse(session, flow, cell, futures, error)
        else:
            undone = done_by_itself(session.cells, cell, selection.run) if selection.is_partial else ""
            run = new_run(session, flow, cell, futures, from_failed=selection.from_failed, undone=undone)
            runs.append(run)
            futures[graph_id] = run.future
    for run in runs:
        engine.submit_task(run)
    return futures


def _run_live(session: Session, begin: Callable[[str], FlowExecution], name: str | None) -> Any:
    """Execute a flow run under the live view; returns its result. `name` is that of a flow made of functions."""
    session.last_run = run_id = new_id()
    with _seen_live(session, run_id, name) as (view, notes):
        run = begin(run_id)
        run.ending = notes.take
        state = _execute(run)
    return _result(state, view.view)


def _run_in_background(session: Session, begin: Callable[[str], FlowExecution], name: str | None) -> None:
    """Have a flow run executed in a thread of its own, under the live view of the cell that is executed now."""
    session.last_run = run_id = new_id()
    with ExitStack() as opened:
        _, notes = opened.enter_context(_seen_live(session, run_id, name))
        run = begin(run_id)
        run.ending = notes.take
        view = opened.pop_all()
    session.background = BackgroundRun(session.shell, run, view, _execute)
    session.background.start()


@contextmanager
def _seen_live(session: Session, run_id: str, name: str | None) -> Iterator[tuple[LiveView, TaskNotes]]:
    details = RunDetails(session)
    with live_view(
        run_id,
        details=details.of,
        cancel=lambda: cancel_flow_run(run_id),
        actions=lambda view: actions(session, view, flow=name),
    ) as view:
        stop = engine.engine().recorder.listen(view.feed)
        try:
            yield view, details.notes
        finally:
            stop()


def _execute(run: FlowExecution) -> State:
    if not run.work.is_async:
        return engine.run_flow(run)
    from flowbook.run.coroutines import run_coroutine

    return run_coroutine(engine.run_flow_async, run)  # the kernel's own loop runs in this thread


def _result(state: State, view: RunView) -> Any:
    if state.is_completed():
        return state.data
    if isinstance(state.data, BaseException) and not isinstance(state.data, Exception):
        said = f"{type(state.data).__name__}: {sentence(view)}"
        raise shown_as(state.data, lambda: [said])
    error = FlowRunFailed(sentence(view))
    raise error from (state.data if isinstance(state.data, Exception) else None)
