"""A task cell as a task: what the engine, the cache and the runners know of it."""

from __future__ import annotations

import contextvars
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowbook.cache_policies import fingerprint_of
from flowbook.cells.freshness import cell_hash
from flowbook.core.backoff import exponential_backoff
from flowbook.run.execution import Work
from flowbook.tasks import Task, TaskOptions
from flowbook_magics import outputs
from flowbook_magics.cell_code import CellCode
from flowbook_magics.namespace import CellNamespace, running
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.values import inputs_of, outdated_inputs


def task_of(
    shell: Any,
    notebook: dict[str, Any],
    cells: NotebookCells,
    cell: NotebookCell,
    code: CellCode,
    *,
    here: bool = False,
) -> Task[..., Any]:
    """The cell as a task; its result is a dict of the names that it wrote.

    `notebook` is the namespace of plain cells. `here` is for the cell being executed: its output lands where it should
    without our doing.
    """
    options = cell.options
    delay = exponential_backoff(1.0) if options.retry_delay == "exp" else options.retry_delay
    task: Task[..., Any] = Task(
        _function(shell, notebook, cells, cell, code, None if here else cell.context),
        TaskOptions(
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
        gather=lambda: inputs_of(cells, cell, notebook),
        **_caching(cells, cell, task.work),
    )
    return task


def _function(
    shell: Any,
    notebook: dict[str, Any],
    cells: NotebookCells,
    cell: NotebookCell,
    code: CellCode,
    context: contextvars.Context | None,
) -> Callable[..., dict[str, Any]]:
    """The cell as a function from the names it reads to the names it writes.

    With a context, its output and its traceback go under the cell of that context.
    """

    def execute(inputs: Mapping[str, Any]) -> dict[str, Any]:
        namespace = CellNamespace(inputs, notebook, cell.analysis.builtins)
        namespace.bind_functions(outdated_inputs(cells, cell))
        token = running.set(namespace)
        try:
            code.run(namespace, lambda value: outputs.show(shell, value))
            _raise_if_interrupted(namespace)
            if "pyplot" in cell.analysis.resources:
                outputs.show_figures()
            values = namespace.written(cell.analysis.writes)
            namespace.close()
            return values
        except BaseException as error:
            if context is not None:
                outputs.show_error(shell, error)
            raise
        finally:
            running.reset(token)
            sys.stdout.flush()

    def run_cell(**inputs: Any) -> dict[str, Any]:
        if context is None:
            return execute(inputs)
        outputs.under_cell(context, lambda: outputs.clear(shell))
        return outputs.under_cell(context, lambda: execute(inputs))

    run_cell.__name__ = run_cell.__qualname__ = cell.label
    return run_cell


def _raise_if_interrupted(namespace: CellNamespace) -> None:
    """IPython ends a shell command that is interrupted and goes on; the task must not count as done."""
    if dict.get(namespace, "_exit_code") == -signal.SIGINT:
        raise KeyboardInterrupt


def _caching(cells: NotebookCells, cell: NotebookCell, work: Work) -> dict[str, Any]:
    if cell.options.cache == "off":
        return {}
    from flowbook.results import result_cache

    def key(_args: Sequence[Any], inputs: Mapping[str, Any]) -> str | None:
        code = cell_hash(cells.graph, cell.graph_id)
        if cell.options.cache == "source":
            return code
        content = fingerprint_of((code, sorted(inputs.items())))
        return content.hex() if content is not None else None

    return {"cache": result_cache, "cache_key": key, "rules": replace(work.rules, cached=True)}
