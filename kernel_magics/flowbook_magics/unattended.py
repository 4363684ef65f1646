"""The kernel's side of an unattended run of a notebook.

The process that executes the notebook cell by cell calls these functions between the cells. A task cell is then only
submitted: its task runs as soon as its inputs exist, beside the others and beside the plain cells that follow. A plain
cell waits for the tasks whose results it needs, or whose inputs it changes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.errors import CellError, UpstreamTaskError
from flowbook.run.future import Future
from flowbook.run.work import Work
from flowbook.runtime.output import keep_result, keep_written
from flowbook_magics.cell_runs import new_run, run_disturbed
from flowbook_magics.flow_run import find_flow, raise_first_failure
from flowbook_magics.learned import LearnedFile
from flowbook_magics.magics import register
from flowbook_magics.notebook_cells import NotebookCell, analyze_cell
from flowbook_magics.places import Places
from flowbook_magics.session import Session

__all__ = ["Unattended", "begin", "enter_cell", "finish", "run_flow", "set_parameters"]


class Unattended:
    """One unattended run, as the kernel sees it."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        session.cells.growing = True
        self.run: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        snapshot = Path(self.run["snapshot"]).read_bytes()
        self.learned = session.learned = LearnedFile(snapshot)
        notebook = json.loads(snapshot)
        self.sources = ["".join(cell["source"]) for cell in notebook["cells"]]
        self.index = 0
        """The index of the cell that is executed."""
        self.futures: dict[str, Future[Any]] = {}
        self.flow = engine.attach_to_flow_run(
            self.run["flow_run_id"],
            Work(name=self.run["flow"], fn=lambda: None, quiet=True),
            Places(),
            claimed=_claimed(self.run),
        )

    def submit(self, cell: NotebookCell) -> None:
        """Have the task of `cell` run as soon as its inputs exist."""
        self.session.check_inputs(cell, made_meanwhile=self.futures)
        cell.shares_loop = self.index in self.run.get("in_loop", ())  # a worker of another version may not say it
        self.futures[cell.graph_id] = engine.submit_task(new_run(self.session, self.flow, cell, self.futures))

    def enter_cell(self, index: int, *, plain: bool) -> None:
        """The cell at `index` of the notebook is next; if it is plain, wait for the tasks that it depends on."""
        self.index, self.session.next_key = index, f"index:{index}"
        if not plain:
            return
        source = self.sources[index]
        analysis = analyze_cell(source, f"cell {index + 1}", self.session.modules())
        cell = self.session.cells.put(NotebookCell(key=self.session.next_key, source=source, analysis=analysis))
        for before in self.session.cells.tasks_before(cell):
            future = self.futures.get(before.graph_id)
            if future is None:
                continue
            future.wait()
            if not future.state.is_completed():
                raise UpstreamTaskError(f"It needs the task {before.label!r}, which is {future.state.name}.")

    def finish(self) -> None:
        """Return when all tasks have ended; raises what the first that failed failed with."""
        try:
            try:
                self._repair()
            finally:
                self.learned.save(self.session.cells.tasks)
            self.flow.runner.close()
            raise_first_failure(self.futures.values())
        finally:
            self.flow.recorder.flush()
        if self.run["keeps_output"] and self.session.cells.tasks:
            keep_written(self.run["flow_run_id"], self._written())

    def _repair(self) -> None:
        """Run tasks again that may have seen a wrong version of something.

        Raises CellError for a plain cell that has read from them: it cannot be executed again.
        """
        before = dict(self.futures)
        run_disturbed(self.session, self.flow, self.futures, list(before))
        again = {id_ for id_, future in self.futures.items() if future is not before[id_]}
        for edge in self.session.cells.graph.edges if again else ():
            cell = self.session.cells.by_id(edge.downstream)
            if edge.upstream in again and not cell.is_task:
                task = self.session.cells.by_id(edge.upstream).label
                raise CellError(
                    f"Task {task!r} had to run again after {cell.label}, a plain cell, had read from it: beside other "
                    "tasks it ran in a wrong order, which their code does not show. Make a task of that cell, or give "
                    "the later task `--after`."
                )

    def _written(self) -> dict[str, Any]:
        """What task cells wrote, as it is now."""
        names = {name: None for cell in self.session.cells.tasks for name in cell.analysis.writes}
        return {name: self.session.notebook[name] for name in names if name in self.session.notebook}

    def ignored(self, magic: str) -> None:
        """Say that a magic does nothing in an unattended run."""
        sys.stdout.write(
            f"{magic} does nothing here: this is an unattended run of the notebook, which runs its tasks.\n"
        )


def begin() -> None:
    """An unattended run begins in this kernel. The folder of the run is named by FLOWBOOK_RUN_FOLDER."""
    session = _session()
    session.unattended = Unattended(session, Path(os.environ["FLOWBOOK_RUN_FOLDER"]))


def enter_cell(index: int, plain: bool) -> None:
    """The cell at `index` of the notebook is executed next."""
    _unattended().enter_cell(index, plain=plain)


def set_parameters() -> None:
    """Bind the parameters of the run in the notebook, as values of the types that they have there."""
    from flowbook.promote.parameters import schema_from_json, validate

    run = _unattended().run
    values = validate(schema_from_json(run["schema"]), run["parameters"], f"flow {run['flow']!r}")
    session = _session()
    session.notebook.update(values)
    for cell in session.cells:
        cell.values.update({name: value for name, value in values.items() if name in cell.analysis.writes})


def run_flow(name: str) -> Any:
    """Run the flow of this name, which the cells have defined, as the run that this process was started for."""
    unattended = _unattended()
    flow = find_flow(unattended.session, name)
    said = unattended.run
    run = flow.begin(
        said["parameters"],
        flow_run_id=said["flow_run_id"],
        claimed=_claimed(said),
        name=said["name"],
        trigger=said["trigger"],
    )
    finished = flow.finish(run)
    if not said["keeps_output"]:
        return finished
    return _kept_when_awaited(said, finished) if flow.isasync else _kept(said, finished)


async def _kept_when_awaited(said: dict[str, Any], finished: Awaitable[Any]) -> Any:
    return _kept(said, await finished)


def _kept(said: dict[str, Any], result: Any) -> Any:
    keep_result(said["flow_run_id"], said["flow"], result)
    return result


def _claimed(said: dict[str, Any]) -> engine.Claimed:
    """How the process that executes the run has claimed it."""
    return engine.Claimed(
        fence=said["fence"],
        parent_id=said["parent_id"],
        tags=frozenset(said["tags"]),
        begins_anew=said["deployment_id"] is not None,
    )


def finish() -> None:
    """All cells have been executed: wait for the tasks."""
    _unattended().finish()


def _session() -> Session:
    from IPython import get_ipython

    return register(get_ipython()).session


def _unattended() -> Unattended:
    found = _session().unattended
    if not isinstance(found, Unattended):
        raise CellError("No unattended run has begun in this kernel.")
    return found
