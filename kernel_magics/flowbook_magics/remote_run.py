"""One run of a task cell in another process, as it is seen from here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Set
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from flowbook.core.protocol import Raised, Returned
from flowbook.errors import CellError, NotPicklable
from flowbook.run.pickles import Pickler
from flowbook_magics.array_views import Views, arrays_among
from flowbook_magics.carried_states import carried_states
from flowbook_magics.cell_code import CellCode
from flowbook_magics.cell_task import looks_names_up, shared_names
from flowbook_magics.left_behind import (
    check_attributes,
    note_caches,
    note_copies,
    note_figures,
    note_handlers,
    note_remade,
)
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.opened_files import OpenedFiles
from flowbook_magics.portable_cell import PortableCell, Written
from flowbook_magics.random_states import random_states
from flowbook_magics.taken_over import ELEMENTS, Numbered, Part, elements_of_sets, reached, replace_everywhere
from flowbook_magics.travelling_code import Place, outward
from flowbook_magics.values import outdated_inputs
from flowbook_magics.watching import MappedWatch, RemoteElementWatch, RemoteWatch

_LISTS = frozenset({"dir", "globals", "locals"})


def run_elsewhere(
    notebook: dict[str, Any],
    cells: NotebookCells,
    cell: NotebookCell,
    call: Callable[[], Returned | Raised],
    inputs: Mapping[str, Any],
) -> Returned | Raised:
    """The outcome of `call`, which executes the cell with copies of its `inputs`: as if it had run here."""
    is_element = bool(cell.options.over)
    watch = RemoteElementWatch(cell.watch) if is_element else RemoteWatch(cells, cell, inputs)
    place = Place(notebook)
    objects = list(reached(inputs.values()))
    used = place.used_by_functions(objects, inputs.keys())
    elements = elements_of_sets([*objects, *reached(used.values())])
    numbered = Numbered({**inputs, **used, ELEMENTS: elements})
    leaving = _Leaving(place, numbered.parts, Views(arrays_among(numbered)), frozenset(used), elements)
    token = _leaving.set(leaving)
    try:
        check_attributes(list(numbered), cell.label)
        outcome = call()
    except CellError as error:
        outcome = Raised(error)
    finally:
        _leaving.reset(token)
    if isinstance(outcome, Raised):
        files = OpenedFiles()
        files.missed(outcome.error)
        watch.end_there(files, frozenset(), frozenset(), frozenset(), ())
        return outcome
    if not isinstance(outcome.value, Written):
        return outcome
    written, given = outcome.value, {**inputs, **used}
    try:
        values, replaced = written.brought_home(place, given, numbered, cell.analysis.writes)
    except Exception as error:
        return Raised(
            NotPicklable(
                f"What task {cell.label!r} has left cannot be read here ({type(error).__name__}: {error}). Leave plain "
                "data, or let the task run in the kernel."
            )
        )
    if replaced:
        shared = [cell.watch.shared] if isinstance(cell.watch, MappedWatch) else []
        replace_everywhere(replaced, [*(each.values for each in cells), *shared], notebook)
    changed = frozenset(id(numbered[number]) for number in written.objects)
    watch.end_there(written.files, changed, written.changed, written.drawn, values)
    note_copies(cells, cell, [*leaving.views.lost(inputs), *written.views])
    note_caches(numbered, cell.label)
    note_remade(numbered, cell.label)
    note_handlers(cells, cell)
    note_figures(cells, cell, given, written.given, left_open=written.left_figures)
    return Returned(values)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """How a cell goes to another process."""

    place: Place
    numbered: Mapping[str, Part]
    """What has been numbered of its inputs."""
    views: Views
    used: frozenset[str]
    """Names that functions use which its inputs hold."""
    elements: list[list[Any]]
    """What sets among them hold, in the order of this process."""


_leaving: ContextVar[_Leaving] = ContextVar("flowbook_leaving")


def pickler() -> type[Pickler]:
    """What pickles the cell that goes to another process now."""
    leaving = _leaving.get()
    return outward(leaving.place, leaving.views)


def portable(notebook: dict[str, Any], cells: NotebookCells, cell: NotebookCell, code: CellCode) -> PortableCell:
    """The cell for another process. Raises CellError for one that needs IPython."""
    if code.uses_ipython():
        raise CellError(
            f"Task {cell.label!r} uses IPython (a magic such as %timeit, a shell command, or get_ipython()), which is "
            "there only in the notebook's own process. Have the flow run it in a thread, or write it in plain Python."
        )
    if "dynamic" in cells.graph[cell.graph_id].flags and not code.names().isdisjoint(_LISTS):
        raise CellError(
            f"Task {cell.label!r} asks which names the notebook has (globals(), dir()), which only the notebook's own "
            "process knows. Have the flow run it in a thread, or say by name what it uses."
        )
    leaving = _leaving.get()
    inputs, analysis = cells.graph.inputs(cell.graph_id), cell.analysis
    own = {*inputs, *analysis.writes, *analysis.private}
    made = {name for other in cells for name in other.analysis.defined | other.analysis.imports.keys()}
    writes = analysis.writes | analysis.mutates | (cells.graph[cell.graph_id].changes - made)
    read = {name for other in cells if other is not cell for name in cells.graph.inputs(other.graph_id)}
    return PortableCell(
        label=cell.label,
        code=code,
        names=leaving.place.in_notebook(code.names() - own),
        outdated=frozenset(outdated_inputs(cells, cell)),
        shared=shared_names(cells, cell, inputs),
        builtins=analysis.builtins,
        open_to_all=looks_names_up(cells, cell, code),
        writes=writes,
        declared=cell.options.writes,
        needed=writes & read,
        draws="pyplot" in cells.graph[cell.graph_id].touches,
        random_states=random_states(cells.graph[cell.graph_id].touches),
        states=carried_states(frozenset().union(*(node.touches for node in cells.graph.nodes.values()))),
        place=leaving.place,
        numbered=leaving.numbered,
        used=leaving.used,
        elements=leaving.elements,
        submodules=_submodules((notebook.get(name) for name in inputs), code.mentions()),
    )


def _submodules(values: Iterable[Any], names: Set[str]) -> tuple[str, ...]:
    """The modules to import beside those among `values` for code with these names (``email.message``)."""
    inside = tuple(f"{each.__name__}." for each in values if isinstance(each, ModuleType))
    return tuple(each for each in list(sys.modules) if each.startswith(inside) and set(each.split(".")[1:]) <= names)
