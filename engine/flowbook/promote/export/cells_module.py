"""A notebook with task cells as a module: what stands on top, a task for each task cell, and the flow."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from flowbook.cells import NotebookGraph
from flowbook.cells.expressions import BUILTINS
from flowbook.cells.naming import free_name
from flowbook.promote.cells import KnownCell, Role
from flowbook.promote.export.flow_functions import FlowText, default_text, has_plain_default
from flowbook.promote.export.module_text import Module, module_text
from flowbook.promote.export.prelude import prelude_of
from flowbook.promote.export.python_cells import python_cell
from flowbook.promote.export.steps import DISPLAY, Step, Steps, place_of_step, steps_of
from flowbook.promote.export.task_functions import task_text
from flowbook.promote.export.words import Words
from flowbook.promote.parameters import Schema


def cells_module(title: str, name: str, known: Sequence[KnownCell], graph: NotebookGraph, schema: Schema) -> Module:
    """The module of a notebook whose flow is called `name`. Raises NotebookError for what cannot be written so."""
    cells = [python_cell(each) for each in known]
    prelude = prelude_of(cells)
    steps = steps_of(cells, prelude, graph, [each.name for each in schema], _labels(known))
    words = Words(cells)
    flow = words.free(name, "_flow")
    tasks = {step: words.free(step.label, "_task") for step in steps.steps if step.is_task}
    if steps.shows:
        words.imports[DISPLAY] = ast.ImportFrom(module="IPython.display", names=[ast.alias(DISPLAY)], level=0)
    parts = [_published(schema, steps)]
    parts += [task_text(step, function, words) for step, function in tasks.items()]
    names = frozenset({*prelude.names, *BUILTINS})
    text = FlowText(steps=steps, graph=graph, words=words, tasks=tasks, schema=schema, known=names)
    parts.append(text.write(flow, name))
    notes = [note for cell in cells for note in cell.notes]
    notes += [*(note for step in tasks if (note := _of_place(step))), *_of_loop(steps)]
    call = f"{words.module('asyncio')}.run({flow}())" if steps.in_loop else f"{flow}()"
    written = module_text(title, prelude, parts, words=words, cells=cells, call=call)
    return Module(text=written, flow=flow, tasks=len(tasks), notes=tuple(notes))


def _published(schema: Schema, steps: Steps) -> list[str]:
    """The parameters that functions look up, with their defaults, which the flow replaces by what it is given."""
    plain = [each for each in schema if each.name in steps.published]
    return [f"{each.name} = {default_text(each) if has_plain_default(each) else None}" for each in plain]


def _labels(known: Sequence[KnownCell]) -> Mapping[str, str]:
    """The names of the tasks as in the notebook, by the ids of their cells."""
    taken = {each.name for each in known if each.role is Role.TASK and each.name}
    labels: dict[str, str] = {}
    for each in known:
        if each.role is Role.TASK:
            label = each.name or free_name(each.analysis, each.cell.source, taken, each.cell.number)
            taken.add(label)
            labels[each.id] = label
        else:
            labels[each.id] = f"cell-{each.cell.number}"
    return labels


def _of_loop(steps: Steps) -> list[str]:
    """What to say of tasks that the flow does itself."""
    names = [step.label for step in steps.steps if step.in_loop and step.known.role is Role.TASK]
    if not names:
        return []
    said = "shares an event loop with other cells" if len(names) == 1 else "share an event loop"
    return [f"{', '.join(names)} {said}: in the module the flow itself does this, without retries and other options."]


def _of_place(step: Step) -> str:
    """What to say of a task that the notebook has executed elsewhere."""
    place = place_of_step(step)
    if place == "threads":
        return ""
    where = "on Dask" if place == "dask" else "in a process of its own"
    return f"Task {step.label!r} runs {where} in the notebook, and in a thread in the module."
