"""The session of one shell: the cells it has seen, and running their tasks."""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.cache_policies import fingerprint_of
from flowbook.cells.freshness import cell_hash
from flowbook.core.backoff import exponential_backoff
from flowbook.core.states import State, completed
from flowbook.errors import CellError, did_you_mean
from flowbook.run.execution import FlowExecution, TaskExecution, Work
from flowbook.run.future import Future
from flowbook.tasks import Task
from flowbook.tasks import TaskOptions as EngineOptions
from flowbook_magics import outputs
from flowbook_magics.cell_code import CellCode, compile_cell, written
from flowbook_magics.freshness import remember
from flowbook_magics.namespace import CellNamespace, Publisher
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells, TaskOptions, analyze_cell, free_name

_OWN_MAGICS = ("%flow", "%tasks", "%runs", "%logs", "%deploy", "%load_ext flowbook", "%reload_ext flowbook")


class Session:
    """What flowbook knows of one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.cells = NotebookCells()
        self.publisher = Publisher(shell.user_ns)
        self.here: str | None = None
        """The id that the front end gave the cell being executed."""
        self.next_key: str | None = None
        """In an unattended run, the id of the cell that is executed next."""
        self.typed = ""
        self.unattended: Any = None
        self._codes: dict[str, CellCode] = {}

    # What the shell tells

    def before_cell(self, info: Any) -> None:
        """IPython is about to execute a cell."""
        self.typed = info.raw_cell or ""
        self.here = getattr(info, "cell_id", None) or self.next_key
        self.next_key = None
        deleted = (getattr(info, "cell_meta", None) or {}).get("deletedCells")
        if deleted:
            self.cells.retire(deleted)

    def after_cell(self, result: Any) -> None:
        """IPython has executed a cell; what a plain cell has bound is what tasks read from it."""
        info = result.info
        source = info.raw_cell or ""
        if info.silent or not result.success or not _is_plain(source):
            return
        try:
            analysis = analyze_cell(source, "the cell", self.modules())
        except CellError:
            return  # it ran, so IPython understands something here that the analyzer does not: it is no input
        cell = NotebookCell(key=self._identity(source), source=source, analysis=analysis)
        known = self.cells.by_key(cell.key)
        cell.runs = known.runs + 1 if known else 1
        cell.values = {n: self.shell.user_ns[n] for n in analysis.writes if n in self.shell.user_ns}
        self.cells.put(cell)
        self.publisher.wrote(analysis.writes, cell.position)

    # Cells

    def register(self, name: str | None, body: str, options: TaskOptions) -> NotebookCell:
        """Take in the task cell being executed. Raises CellError, and then nothing was registered."""
        source = self.typed if self.typed.endswith(body) else f"%%task\n{body}"
        if not body.strip():
            raise CellError(
                "The task cell is empty; write below its first line what the task does, or remove the line."
            )
        key = self._identity(source, name)
        known = self.cells.by_key(key)
        place = known.position if known else len(list(self.cells)) + 1
        analysis = analyze_cell(source, f"task {name!r}" if name else f"cell {place}", self.modules())
        taken = [cell.label for cell in self.cells.tasks if cell.key != key]
        chosen = name or free_name(analysis, source, taken, place)
        cell = NotebookCell(key=key, source=source, analysis=analysis, name=chosen, body=body, options=options)
        cell.context = contextvars.copy_context()
        code = self._compile(cell)
        if known is not None and known.is_task:
            cell.last, cell.values = known.last, known.values
        self.cells.put(cell)
        self._codes[key] = code
        self._bind_name(cell)
        return cell

    def task_of(self, cell: NotebookCell, *, here: bool = False) -> Task[..., Any]:
        """The cell as a task: what the engine, the cache and the runners know.

        `here` is for the cell being executed: its output lands where it should without our doing.
        """
        options = cell.options
        delay = exponential_backoff(1.0) if options.retry_delay == "exp" else options.retry_delay
        task: Task[..., Any] = Task(
            self._function(cell, None if here else cell.context),
            EngineOptions(
                name=cell.label,
                retries=options.retries,
                retry_delay_seconds=delay,  # type: ignore[arg-type]  # the one text it may be is handled above
                timeout_seconds=options.timeout,
            ),
        )
        task.work = replace(
            task.work,
            key=f"cell.{cell.label}",
            cell=cell.graph_id,
            quiet=True,
            gather=lambda: self.inputs_of(cell),
            **self._caching(cell, task.work),
        )
        return task

    def inputs_of(self, cell: NotebookCell) -> dict[str, Any]:
        """The values that the cell reads, each in the version that its place in the notebook sees.

        Raises CellError naming what is missing and which cell to run first.
        """
        values = {}
        for name in sorted(self.cells.graph.inputs(cell.graph_id)):
            found = self._value(cell, name)
            if found is not _NOTHING:
                values[name] = found
        return values

    def check_inputs(self, cell: NotebookCell, *, made_meanwhile: Collection[str] = ()) -> None:
        """Raise CellError if a value that the cell reads is not there, naming the cell to run first.

        What the cells `made_meanwhile` (ids of the graph) make will be there in time.
        """
        for name, maker in sorted(self.cells.graph.inputs(cell.graph_id).items()):
            if maker in made_meanwhile:
                continue
            if self._value(cell, name) is not _NOTHING or name in cell.analysis.late_reads:
                continue
            if maker is not None and self.cells.by_id(maker).is_task:
                first = self.cells.by_id(maker).label
                raise CellError(
                    f"Task {cell.label!r} needs {name!r} from task {first!r}, which has not run: "
                    "run that cell first, or `%flow run`."
                )
            hint = did_you_mean(name, [key for key in self.shell.user_ns if not key.startswith("_")])
            raise CellError(
                f"Task {cell.label!r} reads {name!r}, which no cell that has run defines.{hint} "
                "Run the cell that defines it first."
            )

    def _value(self, cell: NotebookCell, name: str) -> Any:
        """The value of `name` as `cell` sees it; a cell that only changed the object hands on who made it."""
        graph = self.cells.graph
        maker = graph.inputs(cell.graph_id).get(name)
        candidates = [maker, *graph.nodes[cell.graph_id].alternatives.get(name, ())]
        for graph_id in candidates:
            seen: set[str] = set()
            while graph_id is not None and graph_id not in seen:
                seen.add(graph_id)
                made = self.cells.by_id(graph_id)
                if name in made.values:
                    return made.values[name]
                graph_id = graph.inputs(graph_id).get(name)
        if maker is not None and self.cells.by_id(maker).is_task:
            return _NOTHING
        return self.shell.user_ns.get(name, _NOTHING)

    # Running

    def run_one(self, cell: NotebookCell) -> None:
        """Run the task of the cell being executed, as one task run; its failure is raised as it is."""
        __tracebackhide__ = True
        self.check_inputs(cell)
        run = engine.new_task_run(self.task_of(cell, here=True).work, (), {})
        state = engine.run_task(run)
        self._took(cell, run, state)
        error = state.result(raise_on_failure=False) if not state.is_completed() else None
        if isinstance(error, BaseException):
            raise error

    def submit(self, flow: FlowExecution, cell: NotebookCell, futures: Mapping[str, Future[Any]]) -> Future[Any]:
        """Have the task of a cell run in `flow` after those cells among `futures` that it waits for."""
        run = engine.new_task_run(
            self.task_of(cell).work,
            (),
            {},
            wait_for=[futures[before.graph_id] for before in self.tasks_before(cell) if before.graph_id in futures],
            flow=flow,
        )
        run.future.add_done_callback(lambda future: self._took(cell, run, future.state))
        return engine.submit_task(run)

    def reuse(self, flow: FlowExecution, cell: NotebookCell, futures: Mapping[str, Future[Any]]) -> Future[Any]:
        """Record in `flow` that the task of a cell is fresh and its result is used again."""
        run = engine.new_task_run(
            self.task_of(cell).work,
            (),
            {},
            wait_for=[futures[before.graph_id] for before in self.tasks_before(cell) if before.graph_id in futures],
            flow=flow,
        )
        run.enter(completed(cell.values, name="Cached", message="Fresh: nothing that it depends on has changed."))
        return run.future

    def tasks_before(self, cell: NotebookCell) -> list[NotebookCell]:
        """The task cells that a cell waits for, looking through plain cells, which have run already."""
        graph, found, seen, pending = self.cells.graph, [], set(), [cell.graph_id]
        while pending:
            for edge in graph.incoming(pending.pop()):
                if edge.upstream in seen:
                    continue
                seen.add(edge.upstream)
                before = self.cells.by_id(edge.upstream)
                if before.is_task:
                    found.append(before)
                else:
                    pending.append(edge.upstream)
        return found

    def _took(self, cell: NotebookCell, run: TaskExecution, state: State) -> None:
        """A task run has ended: what it wrote belongs to the notebook, if it ended well."""
        if not state.is_completed():
            return
        values: dict[str, Any] = state.data
        cell.values = values
        self.publisher.publish(values, cell.position)
        remember(self.cells, cell, run.id, run.seconds())

    def _function(self, cell: NotebookCell, context: contextvars.Context | None) -> Callable[..., dict[str, Any]]:
        """The cell as a function from the names it reads to the names it writes.

        With a context, its output and its traceback go under the cell of that context.
        """
        code, shell = self._codes[cell.key], self.shell

        def run_cell(**inputs: Any) -> dict[str, Any]:
            namespace = CellNamespace(inputs, shell.user_ns)

            def execute() -> None:
                try:
                    code.run(namespace, lambda value: outputs.show(shell, value))
                    if "pyplot" in cell.analysis.resources:
                        outputs.show_figures()
                except BaseException as error:
                    if context is not None:
                        outputs.show_error(shell, error)
                    raise
                finally:
                    sys.stdout.flush()

            if context is not None:
                outputs.under_cell(context, lambda: outputs.clear(shell))
            outputs.under_cell(context, execute)
            return written(namespace, cell.analysis.writes)

        run_cell.__name__ = run_cell.__qualname__ = cell.label
        return run_cell

    def _caching(self, cell: NotebookCell, work: Work) -> dict[str, Any]:
        if cell.options.cache == "off":
            return {}
        from flowbook.results import result_cache

        def key(_args: Sequence[Any], inputs: Mapping[str, Any]) -> str | None:
            code = cell_hash(self.cells.graph, cell.graph_id)
            if cell.options.cache == "source":
                return code
            content = fingerprint_of((code, sorted(inputs.items())))
            return content.hex() if content is not None else None

        return {"cache": result_cache, "cache_key": key, "rules": replace(work.rules, cached=True)}

    def _compile(self, cell: NotebookCell) -> CellCode:
        try:
            return compile_cell(self.shell, cell.source, cell.body)
        except SyntaxError as error:
            raise CellError(f"Task {cell.label!r}, line {error.lineno}: {error.msg}. It was not registered.") from None

    def _bind_name(self, cell: NotebookCell) -> None:
        """The task's name is bound to the task, unless the name is taken by something else."""
        name, names = cell.label, self.shell.user_ns
        is_variable = any(name in other.analysis.writes for other in self.cells)
        if name.isidentifier() and not is_variable and isinstance(names.get(name), Task | type(None)):
            names[name] = self.task_of(cell)

    def _identity(self, source: str, name: str | None = None) -> str:
        """The front end's id of the cell; else its content, and in a terminal, where cells are edited, its name."""
        if self.here:
            return self.here
        in_terminal = getattr(self.shell, "kernel", None) is None
        return f"name:{name}" if in_terminal and name else f"content:{hash(source)}"

    def modules(self) -> dict[str, str]:
        """What imported names stand for, from the cells so far."""
        return {name: path for cell in self.cells for name, path in cell.analysis.imports.items()}


_NOTHING = object()


def notebook_path() -> Path | None:
    """The notebook of this kernel, where the server has told it."""
    said = os.environ.get("JPY_SESSION_NAME") or os.environ.get("FLOWBOOK_NOTEBOOK")
    return Path(said) if said and said.endswith(".ipynb") else None


def flow_name() -> str:
    """The name of the flow that the notebook itself is: that of its file."""
    path = notebook_path()
    return path.stem if path else "notebook"


def _is_plain(source: str) -> bool:
    """Whether a cell is neither a task nor made of our own magics only."""
    lines = [line.strip() for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    first = source.lstrip()
    if first.startswith(("%%task", "%%flow", "#| task", "#|task")):
        return False
    return any(not line.startswith(_OWN_MAGICS) for line in lines)
