"""Calling a notebook from code: executed in a process of its own, and recorded as a run.

::

    @flow
    def monthly(month: date) -> None:
        totals = run_notebook("totals.ipynb", parameters={"month": month})       # what it gives to set_output
        run_notebook.map(["mail.ipynb", "web.ipynb"], parameters=unmapped({"totals": totals}))
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.errors import NotebookRunFailed, UsageError
from flowbook.run.current import current
from flowbook.tasks import Task, TaskOptions

if TYPE_CHECKING:
    from flowbook.core.records import FlowRun
    from flowbook.futures import Future, FutureList
    from flowbook.run.flow_execution import FlowExecution
    from flowbook.schedule.called import CalledRun

__all__ = ["NotebookRunner", "run_notebook"]


class NotebookRunner:
    """What `run_notebook` is: called, it runs a notebook; ``.submit()`` and ``.map()`` have a task do so."""

    def __call__(
        self,
        notebook: str | os.PathLike[str],
        parameters: Mapping[str, Any] | None = None,
        *,
        flow: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        kernel: str | None = None,
        flow_run_name: str | None = None,
        tags: Iterable[str] = (),
    ) -> Any:
        """Run a notebook now, in a process of its own, and wait for its end; returns its output.

        A relative path begins in the working directory, and the notebook is executed in its own folder, or in `cwd`.
        `parameters` are checked before it begins. Called in a flow run, the run is a sub-flow of that: it is shown in
        its graph, and is cancelled with it. In ``async def`` flows and tasks it is awaited:
        ``await run_notebook(...)``.

        The output is what the notebook gives to ``flowbook.runtime.set_output``; else what its flow returns; else a
        dict of what its task cells wrote, without what cannot be pickled; else None. `flow` chooses among several
        flows, `kernel` is used instead of the one that the notebook names.

        Raises NotebookError for a file that is no notebook, ParameterError, and NotebookRunFailed if the run does not
        complete.
        """
        if engine.current_plan() is not None:  # drawn, and not run
            return self._task(notebook, parameters)
        given, upstream = engine.resolve_parameters(parameters or {})
        call = _Call(
            path=_path(notebook, "notebook"),
            parameters=given,
            upstream=tuple(upstream),
            flow=flow,
            cwd=None if cwd is None else _path(cwd, "cwd"),
            kernel=kernel,
            name=flow_run_name,
            tags=tuple(tags),
        )
        caller = current.get()
        return call.awaited() if caller is not None and caller.work.is_async else call.waited()

    def submit(self, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a task run a notebook beside others; returns its future. The arguments are those of a call."""
        future: Future[Any] = self._task.submit(*args, **kwargs)
        return future

    def map(self, /, *args: Any, **kwargs: Any) -> FutureList[Any]:
        """Run a notebook, or several, once for each item of the arguments that are lists, as `Task.map` does."""
        futures: FutureList[Any] = self._task.map(*args, **kwargs)
        return futures

    @cached_property
    def _task(self) -> Task[..., Any]:
        return Task(_run_notebook, TaskOptions(name="run_notebook", task_run_name=_name_of_task_run))

    def __reduce__(self) -> str:
        return "run_notebook"


def _run_notebook(notebook: Any, parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
    return run_notebook(notebook, parameters, **options)


def _name_of_task_run() -> str:
    from flowbook.runtime import task_run

    notebook = task_run.parameters.get("notebook")
    return f"run {Path(notebook).name}" if isinstance(notebook, str | os.PathLike) else "run_notebook"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """One call, with everything that was said in it."""

    path: Path
    parameters: Mapping[str, Any]
    upstream: tuple[str, ...]
    flow: str | None
    cwd: Path | None
    kernel: str | None
    name: str | None
    tags: tuple[str, ...]

    def waited(self) -> Any:
        """Run it in the calling thread; returns the output."""
        parent = engine.current_flow()
        with _ended_with(self._begun(parent), parent) as run:
            for seconds in run.waits():
                time.sleep(seconds)
        return _output(run, parent)

    async def awaited(self) -> Any:
        """As `waited`, while the event loop goes on."""
        parent = engine.current_flow()
        with _ended_with(self._begun(parent), parent) as run:
            for seconds in run.waits():
                await asyncio.sleep(seconds)
        return _output(run, parent)

    def _begun(self, parent: FlowExecution | None) -> CalledRun:
        from flowbook.flow_runs import show_subflow
        from flowbook.promote.called import read_called, record
        from flowbook.promote.options import checked_tags
        from flowbook.schedule.called import CalledRun

        called = read_called(self.path, self.parameters, flow=self.flow, cwd=self.cwd, kernel=self.kernel)
        tags = checked_tags(self.tags, "run_notebook()")
        parent_id = None
        if parent is not None:
            parent.recorder.flush()
            parent_id = parent.id
        run = record(called, parent_id=parent_id, name=self.name, tags=tags, keeps_output=True)
        if parent is not None:
            show_subflow(parent, run.id, run.flow, "notebook", self.upstream)
        return CalledRun(run)


@contextmanager
def _ended_with(run: CalledRun, parent: FlowExecution | None) -> Iterator[CalledRun]:
    """Whatever interrupts the wait ends the run as well."""
    from flowbook.promote.waiting import told

    try:
        yield run
    except BaseException:
        by = f"with the flow run {parent.name!r}" if parent is not None else "with the code"
        run.cancel(f"Cancelled {by} that had called it.")
        told(run.run.id, parent)
        raise


def _output(run: CalledRun, parent: FlowExecution | None) -> Any:
    """What the run has given; raises NotebookRunFailed."""
    from flowbook.promote.waiting import told
    from flowbook.runtime.output import output_of

    found = told(run.run.id, parent)
    if found.state is None or not found.state.is_completed():
        raise _failure(run, found)
    output = output_of(run.run.id)
    if parent is not None:
        parent.producers.register(output, run.run.id)
    return output


def _failure(run: CalledRun, found: FlowRun) -> NotebookRunFailed:
    from flowbook.runs import find_run

    state = found.state
    name = "Unknown" if state is None else state.name
    said = "" if state is None or not state.message else f": {state.message.rstrip('.')}"
    kept = find_run(run.run.id).notebook
    where = f" Its executed notebook: {kept}" if kept else ""
    title = f"Run {run.run.number} ({run.run.name}) of notebook {run.run.flow!r}"
    return NotebookRunFailed(f"{title} is {name}{said}.{where}", number=run.run.number, state=name)


def _path(said: Any, argument: str) -> Path:
    if not isinstance(said, str | os.PathLike) or isinstance(os.fspath(said), bytes):
        raise UsageError(f"{argument} of run_notebook() is {said!r:.80}; give a path. Of several: run_notebook.map().")
    return Path(said)


run_notebook = NotebookRunner()
"""Run a notebook now, in a process of its own; see `NotebookRunner.__call__`."""
