"""Which tasks a flow run of the notebook is about: all, those of ``--only``, or those that failed before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from flowbook.errors import CellError, UsageError
from flowbook_magics.freshness import has_changed, run_again, stale_tasks
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.parameters import set_parameters
from flowbook_magics.session import Session, flow_name, notebook_path


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What ``%flow run`` asks for. Raises UsageError for what excludes each other."""

    everything: bool = False
    only: tuple[str, ...] | None = None
    """Parts of a selection: ``t``, ``t+``, ``+t`` or ``+t+``."""
    from_failed: bool = False
    parameters: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.only is not None and self.from_failed:
            raise UsageError("%flow run: --only and --from-failed exclude each other; keep one.")
        if self.everything and self.from_failed:
            raise UsageError("%flow run: --all runs also what succeeded, and --from-failed does not; keep one.")

    @property
    def is_partial(self) -> bool:
        """Whether it may leave out tasks that are stale."""
        return self.only is not None or self.from_failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The tasks of a flow run, by their ids in the graph: those that run, and those that take part, perhaps reused."""

    run: frozenset[str]
    part: frozenset[str]
    message: str = ""
    """What to say when nothing runs."""
    from_failed: bool = False
    """Whether it is about what failed, also of the elements of a mapped cell."""
    is_partial: bool = False
    """Whether tasks may be left out that are stale."""


def select(session: Session, wanted: Wanted) -> Selection:
    """The tasks that are wanted; the parameters are set, where any task may run.

    Raises NotFound for a name that no task has, and CellError if a part of the notebook cannot run by itself.
    """
    cells = session.cells
    if wanted.from_failed:
        selection = _from_failed(session, wanted)
    else:
        everything = frozenset(cell.graph_id for cell in cells.tasks)
        part = everything if wanted.only is None else _only(cells, wanted.only)
        set_parameters(session, wanted.parameters)
        run = part if wanted.everything else part & stale_tasks(cells).keys()
        message = _all_fresh(cells, part, wanted)
        selection = Selection(run=run, part=part, message=message, is_partial=wanted.is_partial)
    if wanted.is_partial:
        _check(session, selection.run)
    return selection


def _only(cells: NotebookCells, parts: Sequence[str]) -> frozenset[str]:
    names = {cell.label for cell in cells.tasks}
    found: set[str] = set()
    for part in parts or ("",):
        name = part if part in names else part.removeprefix("+").removesuffix("+")
        if not name:
            raise UsageError(f"%flow run: --only is {part!r}, which names no task; write it as t, t+, +t or +t+.")
        chosen = cells.task(name).graph_id
        found.add(chosen)
        if name != part and part.startswith("+"):
            found.update(cells.graph.upstream(chosen))
        if name != part and part.endswith("+"):
            found.update(cells.graph.downstream(chosen))
    return frozenset(graph_id for graph_id in found if cells.by_id(graph_id).is_task)


def _from_failed(session: Session, wanted: Wanted) -> Selection:
    cells = session.cells
    part = frozenset(cell.graph_id for cell in cells.tasks if cell.last is not None)
    failed = _unfinished(session)
    if not failed:
        said = "Nothing to run: no task failed in the last flow run. `%flow run` runs what is stale."
        return Selection(run=frozenset(), part=part, message=said)
    set_parameters(session, wanted.parameters)
    names = {name for name, _ in wanted.parameters}
    stale = stale_tasks(cells)
    changed = {cell.graph_id for cell in cells.tasks if names & cells.graph.inputs(cell.graph_id).keys()} & stale.keys()
    run = run_again(cells, failed | changed)
    return Selection(run=run, part=part | run, from_failed=True, is_partial=True)


def _unfinished(session: Session) -> set[str]:
    """The tasks that did not succeed in the last flow run, and have not since."""
    tasks = session.cells.tasks
    if session.unfinished is not None:
        return {cell.graph_id for cell in tasks if cell.key in session.unfinished}
    names = _failed_in_record()
    known = {cell.label for cell in tasks}
    for name in sorted(names - known):
        raise UsageError(
            f"%flow run: the task {name!r} did not succeed in the last flow run, and its cell has not run in this "
            "kernel: run it first, with `--define` if the task is to wait."
        )
    return {cell.graph_id for cell in tasks if cell.label in names and cell.last is None}


def _failed_in_record() -> set[str]:
    """The names of the tasks that did not succeed in the last flow run, when no kernel remembers it.

    Raises UsageError if there is no such run: a notebook without a file shares the name of its flow with others.
    """
    from flowbook.runs import recent_runs, run_view

    runs = recent_runs(50, flow=flow_name()) if notebook_path() is not None else []
    last = next((run for run in runs if run.trigger == "notebook"), None)
    if last is None:
        raise UsageError("%flow run: --from-failed needs an earlier flow run of this notebook; begin with `%flow run`.")
    nodes = run_view(last.id).nodes.values()
    return {node.name for node in nodes if node.state is None or not node.state.is_completed()}


def _check(session: Session, run: Collection[str]) -> None:
    """Raise CellError, before anything runs, for a task that would need one that is left out."""
    for graph_id in session.cells.graph.topological_order():
        if graph_id in run:
            cell = session.cells.by_id(graph_id)
            session.check_inputs(cell, made_meanwhile=run)
            _check_changes(session.cells, cell, run)


def _check_changes(cells: NotebookCells, cell: NotebookCell, run: Collection[str]) -> None:
    for name, maker in cells.graph.inputs(cell.graph_id).items():
        if maker in run or maker is None or not cells.by_id(maker).is_task:
            continue
        if name in cell.analysis.mutates and has_changed(cells, cell, name):
            raise CellError(
                f"Task {cell.label!r} has changed {name!r} in place already, and would do it twice: run task "
                f"{cells.by_id(maker).label!r} again with it, as in `%flow run --only +{cell.label}`."
            )


def _all_fresh(cells: NotebookCells, part: Collection[str], wanted: Wanted) -> str:
    if wanted.only is None:
        if len(part) == 1:
            return "Nothing to run: the task is fresh. `%flow run --all` runs it again."
        return f"Nothing to run: all {len(part)} tasks are fresh. `%flow run --all` runs them again."
    labels = [cell.label for cell in cells.tasks if cell.graph_id in part]
    again = f"`%flow run --only {','.join(wanted.only)} --all`"
    if len(labels) == 1:
        return f"Nothing to run: {labels[0]} is fresh. {again} runs it again."
    return f"Nothing to run: {', '.join(labels)} are fresh. {again} runs them again."
