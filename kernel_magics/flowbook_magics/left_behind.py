"""What does not go along with a cell to another process, or does not come back: it is said, or the cell is not sent."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from functools import _lru_cache_wrapper
from typing import Any
from weakref import WeakSet

from flowbook.cells.effects import LOG_RECORDS
from flowbook.core.fingerprints.ownership import is_own_class
from flowbook.errors import CellError
from flowbook_magics.notebook_cells import NotebookCell, NotebookCells
from flowbook_magics.watching import say

_told: WeakSet[Any] = WeakSet()


def check_attributes(objects: Collection[Any], label: str) -> None:
    """Raise CellError if an object has its attributes in a dict that others hold as well: pickled, it has its own."""
    dicts = {id(each) for each in objects if isinstance(each, dict)}
    for each in objects if dicts else ():
        if is_own_class(type(each)) and id(getattr(each, "__dict__", None)) in dicts and not isinstance(each, type):
            raise CellError(
                f"Task {label!r} cannot run in another process: a {type(each).__qualname__} has its attributes in a "
                "dict that others hold as well (`self.__dict__ = …`), and on the way there each would get its own. "
                "Let the task run in the kernel."
            )


def note_caches(objects: Iterable[Any], label: str) -> None:
    """Say of which functions the cached results stay here, once of each."""
    for each in objects:
        if isinstance(each, _lru_cache_wrapper) and each not in _told:
            _told.add(each)
            say(
                f"What {each.__qualname__!r} has cached does not go to the process of task {label!r}, nor does what it "
                "caches there come back: only the results do."
            )


def note_remade(objects: Iterable[Any], label: str) -> None:
    """Say of which classes of the user's code runs when copies of their objects are made or go, once of each."""
    for each in objects:
        kind = type(each)
        if kind in _told or not is_own_class(kind) or isinstance(each, type):
            continue
        hooks = [name for name in ("__new__", "__del__") if name in vars(kind) and not isinstance(each, tuple)]
        if hooks:
            _told.add(kind)
            say(
                f"Objects of {kind.__qualname__!r} are copied for the process of task {label!r}, so its "
                f"{' and '.join(hooks)} ran for copies, too."
            )


def note_handlers(cells: NotebookCells, cell: NotebookCell) -> None:
    """Say that handlers of loggers, if the notebook has set some up, do not hear what the cell logs."""
    nodes = cells.graph.nodes.values()
    logs = "logging" in cells.graph[cell.graph_id].touches | cell.analysis.resources
    if logs and any(LOG_RECORDS in node.touches for node in nodes) and cells not in _told:
        _told.add(cells)
        say(
            f"What task {cell.label!r} logs in another process does not reach the handlers that the notebook has set "
            "up for its loggers. Let it run in the kernel if they matter."
        )


def note_figures(
    cells: NotebookCells, cell: NotebookCell, inputs: Mapping[str, Any], given: Collection[str], *, left_open: bool
) -> None:
    """Say which figures cells behind this one cannot go on with, as it has drawn on copies, or `left_open` its own."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    is_inline = "inline" in str(dict.get(sys.modules["matplotlib"].rcParams, "backend"))
    if "pyplot" in cells.graph[cell.graph_id].touches and (pyplot.get_fignums() or (left_open and not is_inline)):
        say(
            f"Task {cell.label!r} has drawn with pyplot in another process, which does not know the figures of this "
            "one; those that it has left open were shown and closed. Draw a figure in one task, or let it run in the "
            "kernel."
        )
    for name in sorted(given):
        if any(type(each).__module__.startswith("matplotlib.") for each in _members(inputs[name])):
            say(
                f"{name!r} was a copy in the process of task {cell.label!r}: what it has drawn there the figure here "
                "may not show. Draw a figure in one task, or let it run in the kernel."
            )


def _members(value: Any) -> Iterable[Any]:
    if type(value).__name__ == "ndarray" and value.dtype.hasobject:
        return value.flat  # type: ignore[no-any-return]
    return value if isinstance(value, list | tuple) else (value,)


def note_copies(cells: NotebookCells, cell: NotebookCell, pairs: Collection[tuple[str, str]]) -> None:
    """Say which arrays were views of each other before they were sent to another process or back, if one is changed."""
    changed = {name for node in cells.graph.nodes.values() for name in node.changes} if pairs else set()
    for one, other in pairs:
        if one in changed or other in changed:
            say(
                f"{one!r} and {other!r} are two arrays now: one was a view of the other, or both of a third one, which "
                f"was lost on the way from or to the process of task {cell.label!r}. Make the view in the cell that "
                "uses it, or let the task run in the kernel."
            )
