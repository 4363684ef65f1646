"""Functions that keep what they gave (`functools.cache`): in a new kernel they would have kept nothing.

Only those forget it that depend on something which tasks make, or which a plain cell has made anew. Others would give
the same again, and may take long.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import _lru_cache_wrapper
from itertools import chain
from weakref import WeakKeyDictionary

from flowbook.cells.resources import ANY_FILE
from flowbook_magics.notebook_cells import NotebookCells


def forget_results(cells: NotebookCells) -> None:
    """Tasks are to run: functions of the notebook forget what they made of what its tasks make."""
    keeping = [(name, kept) for cell in cells for name, value in cell.values.items() for kept in _keeping(value)]
    if not keeping:
        return
    made, touched = _made(cells)
    for name, kept in keeping:
        names, resources = _used_by(cells, name)
        plain = tuple((each.key, each.runs) for each in cells if not each.is_task and names & each.analysis.writes)
        if names & made or _meet(resources, touched) or _made_by.get(kept, ()) != plain:
            _made_by[kept] = plain
            kept.cache_clear()


_made_by: WeakKeyDictionary[_lru_cache_wrapper[object], tuple[tuple[str, int], ...]] = WeakKeyDictionary()
"""By which runs of plain cells that was made which a function uses."""


def _keeping(value: object) -> Iterator[_lru_cache_wrapper[object]]:
    for each in (value, *vars(value).values()) if isinstance(value, type) else (value,):
        if isinstance(each, _lru_cache_wrapper):
            yield each


def _made(cells: NotebookCells) -> tuple[set[str], set[str]]:
    """The names that tasks bind or whose objects they change, and the resources that they change."""
    names: set[str] = set()
    resources: set[str] = set()
    for cell in cells.tasks:
        node = cells.graph[cell.graph_id]
        names |= (cell.analysis.writes | node.changes) - cell.analysis.imports.keys()
        resources |= node.touches
        resources.update(f"files:{file}" for file in cell.wrote)
    return names, resources


def _used_by(cells: NotebookCells, name: str) -> tuple[set[str], set[str]]:
    """What a function looks up and touches when it is called, and the functions that it calls; not its own name."""
    names, resources, pending = set[str](), set[str](), [name]
    while pending:
        called = pending.pop()
        for definition in chain.from_iterable(cell.analysis.definitions.get(called, ()) for cell in cells):
            for part in (definition, *definition.methods):
                pending.extend(part.reads - names)
                names |= part.reads
                resources |= part.looks | part.changes
    return names - {name}, resources


def _meet(used: set[str], touched: set[str]) -> bool:
    """Whether one of two sets of resources has one that the other may have, too."""
    files = [{each for each in those if each.startswith("files:")} for those in (used, touched)]
    return bool(used & touched) or (all(files) and ANY_FILE in files[0] | files[1])
