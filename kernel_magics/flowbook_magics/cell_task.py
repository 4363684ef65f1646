"""A task cell as a task: what the engine, the cache and the runners know of it."""

from __future__ import annotations

import contextvars
import signal
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, islice
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowbook.cache_policies import fingerprint_of_inputs
from flowbook.cells.freshness import cell_hash
from flowbook.core.backoff import exponential_backoff
from flowbook.core.protocol import Raised, Returned
from flowbook.recovery import RecoveryStorage
from flowbook.run.current import current
from flowbook.run.work import Work
from flowbook.tasks import Task, TaskOptions
from flowbook_magics import outputs
from flowbook_magics.awaiting import CellLoop, notebook_loop
from flowbook_magics.cell_code import CellCode
from flowbook_magics.context_values import carry, changed_since
from flowbook_magics.context_values import values as context_values
from flowbook_magics.functions import is_process_pool
from flowbook_magics.mapped_cell import mapped_task
from flowbook_magics.namespace import CellNamespace, running
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.shell_names import load_magics
from flowbook_magics.values import inputs_of, names_before, outdated_inputs, version_before
from flowbook_magics.watching import ElementWatch, Watch

if TYPE_CHECKING:
    from flowbook.run.pickles import Pickler


_SHOWN = 3  # tracebacks of one mapped cell


def task_of(
    shell: Any,
    notebook: dict[str, Any],
    cells: NotebookCells,
    cell: NotebookCell,
    code: CellCode,
    *,
    here: bool = False,
    from_failed: bool = False,
) -> Task[..., Any]:
    """The cell as a task; its result is a dict of the names that it wrote.

    `notebook` is the namespace of plain cells. `here` is for the cell being executed: its output lands where it should
    without our doing. `from_failed` leaves out the elements of a mapped cell that completed in its last run.
    """
    options = cell.options
    delay = exponential_backoff(1.0) if options.retry_delay == "exp" else options.retry_delay
    task: Task[..., Any] = Task(
        CellFunction(shell, notebook, cells, cell, code, cell.context if options.over or not here else None),
        TaskOptions(
            name=cell.label,
            retries=options.retries,
            retry_delay_seconds=delay,  # type: ignore[arg-type]  # the one text it may be is handled above
            retry_jitter_factor=options.jitter,
            timeout_seconds=options.timeout,
            tags=options.tags,
            log_prints=options.log_prints,
        ),
    )
    task.description = None  # not that of the class
    task.work = replace(
        task.work,
        key=f"cell.{cell.label}",
        cell=cell.graph_id,
        limit=options.limit,
        place=options.place,
        quiet=True,
        gather=lambda: inputs_of(cells, cell, notebook),
        recovery=lambda reads: RecoveryStorage(lambda: _hash(cells, cell), reads),
        **_caching(cells, cell, task.work),
    )
    if not options.over:
        return task
    context = None if here else cell.context
    return mapped_task(task, shell, cells, cell, code, context, from_failed=from_failed)


class CellFunction:
    """The cell as a function from the names it reads to the names it writes.

    With a context, its output and its traceback go under the cell of that context. To another process it goes as a
    `PortableCell`; what that says comes here, and goes under the cell as well.
    """

    __slots__ = ("_cell", "_cells", "_code", "_context", "_failures", "_notebook", "_shell")

    def __init__(
        self,
        shell: Any,
        notebook: dict[str, Any],
        cells: NotebookCells,
        cell: NotebookCell,
        code: CellCode,
        context: contextvars.Context | None,
    ) -> None:
        self._shell = shell
        self._notebook = notebook
        self._cells = cells
        self._cell = cell
        self._code = code
        self._context = context
        self._failures = count()

    @property
    def __name__(self) -> str:
        return self._cell.label

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Execute the cell."""
        if self._context is None:
            return self._execute(inputs)
        if not self._cell.was_silent:
            self._clear()
        silence = outputs.Silence(self._shell)
        try:
            return outputs.under_cell(self._context, lambda: self._execute(inputs))
        finally:
            self._cell.was_silent = silence.lasted()

    def _execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        analysis = self._cell.analysis
        around = names_before(self._cells, self._cell, self._notebook) if self._is_dynamic() else {}
        namespace = CellNamespace(
            inputs,
            self._notebook,
            analysis.builtins,
            partial(version_before, self._cells, self._cell),
            open_to_all=looks_names_up(self._cells, self._cell, self._code),
            around=around,
            deletes=analysis.deletes,
        )
        is_element = bool(self._cell.options.over)
        watch = ElementWatch(self._cell.watch) if is_element else Watch(self._cells, self._cell, inputs)
        namespace.at_first_read = watch.add
        outdated = outdated_inputs(self._cells, self._cell)
        outdated |= {name for name, value in around.items() if self._notebook.get(name) is not value}
        needed = namespace.bind_functions(outdated, self._at_home(inputs, watch) if outdated else ())
        if self._context is not None:
            carry(islice(self._cells, self._cell.position - 1))
        token = running.set(namespace)
        if self._code.uses_ipython():
            load_magics(self._shell)
        before = context_values()
        try:
            namespace.share(shared_names(self._cells, self._cell, inputs) | needed)
            try:
                self._run(namespace)
            finally:
                namespace.take_back()
            self._cell.context_values = changed_since(before)
            _raise_if_interrupted(namespace)
            if "pyplot" in self._cells.graph[self._cell.graph_id].touches:
                outputs.show_figures()
            declared = self._cell.options.writes
            namespace.check_outputs(declared, self._cell.label)
            only = analysis.writes | self._handed_on() if declared is None and is_element else declared
            values = namespace.written(analysis.writes, only)
            if namespace.moved:
                from flowbook_magics.taken_over import replace_everywhere

                replace_everywhere(namespace.moved, [values, dict(inputs)], {})
            watch.end(namespace.seen, values)
            namespace.close()
            return values
        except BaseException as error:
            watch.missed(error)
            watch.end(namespace.seen, {})
            if self._context is not None:
                self._show_error(error)
            raise
        finally:
            running.reset(token)
            outputs.flush()

    def _at_home(self, inputs: Mapping[str, Any], watch: Watch | ElementWatch) -> list[FunctionType]:
        """The functions that must find their names in the notebook, where others know them or look for them."""
        if self._cells.graph[self._cell.graph_id].sends_functions or any(map(is_process_pool, inputs.values())):
            return [value for value in inputs.values() if isinstance(value, FunctionType)]
        return watch.held_functions()

    def _run(self, namespace: CellNamespace) -> None:
        try:
            self._code.run(namespace, lambda value: outputs.show(self._shell, value), self._loop())
        except Exception as error:
            if isinstance(error.__context__, KeyboardInterrupt) and self._code.uses_ipython():
                raise KeyboardInterrupt from error  # its shell lines stumble over one that comes as they begin
            raise

    def _handed_on(self) -> frozenset[str]:
        """Of an element, the names that code of other cells may have bound while it ran."""
        return self._cells.graph[self._cell.graph_id].late_binds

    def _is_dynamic(self) -> bool:
        return "dynamic" in self._cells.graph[self._cell.graph_id].flags

    def _loop(self) -> CellLoop | None:
        """The loop of the notebook if the cell needs it. Run by itself it may: what will go on with it is not known."""
        graph, id_ = self._cells.graph, self._cell.graph_id
        shares = self._cell.shares_loop
        if shares is None:
            shares = graph[id_].uses_loop if self._context is None else graph.shares_loop(id_)
        return notebook_loop if shares else None

    @property
    def pickler(self) -> type[Pickler]:
        """What pickles the cell and its inputs for another process."""
        from flowbook_magics.remote_run import pickler

        return pickler()

    def accompany(self, call: Callable[[], Returned | Raised], inputs: Mapping[str, Any]) -> Returned | Raised:
        """The outcome of `call`, which executes the cell with copies of its `inputs` in another process."""
        self._clear()
        self._cell.was_silent = False
        return outputs.under_cell(self._context, lambda: self._accompany(call, inputs))

    def _clear(self) -> None:
        if not self._cell.options.over:  # else what other elements have said would go
            outputs.under_cell(self._context, lambda: outputs.clear(self._shell))

    def _show_error(self, error: BaseException) -> None:
        """Show the traceback under the cell; of elements with their name, and of many only the first few."""
        run = current.get()
        if self._cell.options.over and run is not None:
            sys.stderr.write(f"{run.name} failed: {type(error).__name__}: {error}\n")
            if next(self._failures) >= _SHOWN:
                return
        outputs.show_error(self._shell, error)

    def _accompany(self, call: Callable[[], Returned | Raised], inputs: Mapping[str, Any]) -> Returned | Raised:
        from flowbook_magics.remote_run import run_elsewhere

        carry(islice(self._cells, self._cell.position - 1))
        before = context_values()
        outcome = run_elsewhere(self._notebook, self._cells, self._cell, call, inputs)
        self._cell.context_values = changed_since(before)
        if isinstance(outcome, Raised) and self._context is not None:
            self._show_error(outcome.error)
        outputs.flush()
        return outcome

    def __reduce__(self) -> Any:
        """Pickled as a `PortableCell`. Raises CellError for a cell that needs IPython."""
        from flowbook_magics.remote_run import portable

        return _itself, (portable(self._notebook, self._cells, self._cell, self._code),)


def shared_names(cells: NotebookCells, cell: NotebookCell, inputs: Container[str]) -> frozenset[str]:
    """The names that the cell shares while it runs with code that binds them or looks them up where it is at home.

    Of those that are only looked up, those of its `inputs` that mean something else in the notebook.
    """
    node = cells.graph[cell.graph_id]
    if not node.looks_up:
        return node.late_binds
    outdated = {name for name in outdated_inputs(cells, cell) if name in inputs}
    return node.late_binds | node.looks_up & (outdated | cell.analysis.writes)


def looks_names_up(cells: NotebookCells, cell: NotebookCell, code: CellCode) -> bool:
    """Whether the cell has code that looks names up in its namespace by itself: magics, ``globals()``, ``eval``."""
    return bool(cells.graph[cell.graph_id].flags) or code.uses_ipython()


def _itself(cell: Any) -> Any:
    return cell


def _raise_if_interrupted(namespace: CellNamespace) -> None:
    """IPython ends a shell command that is interrupted and goes on; the task must not count as done."""
    if dict.get(namespace.names, "_exit_code") == -signal.SIGINT:
        raise KeyboardInterrupt


def _hash(cells: NotebookCells, cell: NotebookCell) -> str:
    """What a stored result is of: the code, and which names of it are kept."""
    code, declared = cell_hash(cells.graph, cell.graph_id), cell.options.writes
    return code if declared is None else f"{code} {','.join(sorted(declared))}"


def _uses_what_is_left_by(cells: NotebookCells, cell: NotebookCell) -> list[NotebookCell]:
    """The cells before it on which its result may depend beside its inputs: by files, random numbers and the like."""
    return [
        other
        for edge in cells.graph.incoming(cell.graph_id)
        if (other := cells.by_id(edge.upstream)).key in cell.beside
        or any(reason.subject.partition(":")[0] in _LEFT for reason in edge.reasons)
    ]


_LEFT = frozenset("cwd databases environ files modules numpy.random random sys.path torch.random".split())
"""Shared resources that a result may depend on."""


def _caching(cells: NotebookCells, cell: NotebookCell, work: Work) -> dict[str, Any]:
    if cell.options.cache == "off":
        return {}
    from flowbook.result_storage import KeyedStorage

    def key(_args: Sequence[Any], inputs: Mapping[str, Any]) -> str | None:
        if cells.graph[cell.graph_id].changes:
            return None  # a stored result cannot do again what the cell, or what it calls, changes in place
        code = _hash(cells, cell)
        if cell.options.cache == "source":
            return code
        outside = _uses_what_is_left_by(cells, cell)
        if any(other.is_task and other.audit is not None for other in outside):
            return None  # that has just run: nobody knows what it has left this time
        codes = [code, *(cell_hash(cells.graph, other.graph_id) for other in outside)]
        return f"{' '.join(codes)} {fingerprint_of_inputs(inputs)}"

    return {"storage": KeyedStorage(key, expires_after=cell.options.cache_for), "rules": replace(work.rules, kept=True)}
