"""What task cells do that their code does not show: it is noticed as they run, and from then on it has its order.

A cell that may have seen the wrong version of something meanwhile runs again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from flowbook.cells import Observed, ReasonKind
from flowbook_magics.notebook_cells import Audit, NotebookCell, NotebookCells
from flowbook_magics.opened_files import OpenedFiles, end_watch, watch_files
from flowbook_magics.sketches import differs, sketch, sketches
from flowbook_magics.values import version_before


class Watch:
    """Watches one run of a task cell."""

    def __init__(self, cells: NotebookCells, cell: NotebookCell, inputs: Mapping[str, Any]) -> None:
        self._cells, self._cell = cells, cell
        known = cells.graph[cell.graph_id].changes
        self._inputs = {name: value for name, value in inputs.items() if name not in known}
        self._before = sketches(self._inputs)
        self._files = watch_files()
        self._known = known
        self._began = time.perf_counter()

    def add(self, name: str, value: Any) -> None:
        """A name that was not foreseen is read for the first time."""
        if name not in self._known:
            self._inputs[name] = value
            self._before.update(sketches({name: value}))

    def end(self, seen: Mapping[str, Any], written: Collection[str]) -> None:
        """The run has ended; `seen` are the undeclared reads, and `written` the names that it has bound."""
        cells, cell = self._cells, self._cell
        end_watch()
        cell.audit = audit = Audit(self._began, time.perf_counter(), dict(seen), self._files)
        changed = {name for name, before in self._before.items() if differs(before, sketch(self._inputs[name]))}
        read = {name: maker for name, value in seen.items() if (maker := self._maker(name, value)) is not None}
        bound = frozenset(written) - cell.analysis.writes if cell.options.writes is None else frozenset()
        observed = Observed(reads=frozenset(read), mutates=frozenset(changed), writes=bound)
        if cell.options.over:
            return
        if self._files.read or self._files.written:
            self._keep_order_of_files(audit.notices)
        if observed != Observed():
            cells.observe(cell, observed)
        audit.notices.extend(
            f"Task {cell.label!r} read {name!r}, which its code does not show; "
            f"from now on it waits for {maker.label}, which makes it."
            for name, maker in sorted(read.items())
        )
        audit.notices.extend(_of_changes(cell, changed))
        for notice in audit.notices:
            _say(notice)

    def _keep_order_of_files(self, notices: list[str]) -> None:
        """Find the cells of which one has written a file that the other has opened, and that have no order yet."""
        cells, cell, own = self._cells, self._cell, self._files
        for other in cells.tasks:
            if other is cell or other.audit is None:
                continue
            theirs = other.audit.files
            shared = own.written & (theirs.read | theirs.written) | own.read & theirs.written
            first, second = sorted((cell, other), key=lambda each: each.position)
            if not shared or first.graph_id in cells.graph.upstream(second.graph_id):
                continue
            for each, files in ((cell, own), (other, theirs)):
                changes = {f"files:{name}" for name in shared & files.written}
                looks = {f"files:{name}" for name in shared - files.written}
                cells.observe(each, Observed(changes=frozenset(changes), looks=frozenset(looks)))
            notices.append(
                f"Tasks {first.label!r} and {second.label!r} both use {_listed(shared)}, which their code does not "
                "show; from now on they keep their order."
            )

    def _maker(self, name: str, value: Any) -> NotebookCell | None:
        """The cell behind which an undeclared read of `name` has to be ordered, if any: a flagged cell is already."""
        cells, cell = self._cells, self._cell
        node = cells.graph[cell.graph_id]
        if isinstance(value, ModuleType) or name in node.inputs or node.flags or cell.options.reads is not None:
            return None
        before = reversed(list(cells)[: cell.position - 1])
        return next((each for each in before if name in each.analysis.writes), None)


def note_change_elsewhere(cells: NotebookCells, cell: NotebookCell, changed: Collection[str], began: float) -> None:
    """A cell has changed inputs in another process, where they were copies, which take their place now."""
    cell.audit = Audit(began, time.perf_counter(), {}, OpenedFiles(), _of_changes(cell, changed))
    if changed:
        cells.observe(cell, Observed(mutates=frozenset(changed)))
    for notice in cell.audit.notices:
        _say(notice)


def _of_changes(cell: NotebookCell, changed: Collection[str]) -> list[str]:
    return [
        f"{name!r} was changed in place while task {cell.label!r} ran, which its code does not show; "
        f"from now on the cells that read {name!r} keep their order with it."
        for name in sorted(changed)
    ]


def disturbed(cells: NotebookCells, ran: Collection[str], part: Collection[str]) -> frozenset[str]:
    """The tasks to run again in notebook order, because some that `ran` may have seen a wrong version.

    With these go all of `part`, the tasks of the flow run, that are connected with them: an object that was changed
    too early is to be made anew, and then changed by the same tasks in the right order.
    """
    again: dict[str, str] = {}
    for graph_id in ran:
        cell = cells.by_id(graph_id)
        for name, value in cell.audit.seen.items() if cell.audit else ():
            if name in cell.observed.reads and version_before(cells, cell, name, value) is not value:
                again.setdefault(graph_id, f"it has read {name} before it was made")
    for edge in cells.graph.edges:
        if edge.upstream in ran and edge.downstream in ran and _overlapped(cells, edge.upstream, edge.downstream):
            first, second = cells.by_id(edge.upstream), cells.by_id(edge.downstream)
            reason = next((each for each in edge.reasons if each.kind in _OF_DATA), None)
            if reason is not None:
                again.setdefault(edge.downstream, f"it ran before {first.label} had ended, and {reason.text}")
                if reason.kind is ReasonKind.MUTATES:
                    again.setdefault(edge.upstream, f"{second.label} changed {reason.subject} before it had ended")
                if reason.kind is ReasonKind.RESOURCE:
                    again.setdefault(edge.upstream, f"{second.label} {reason.text} and began before it had ended")
    if not again:
        return frozenset()
    found = _connected(cells, again, part)
    for graph_id in sorted(found & set(ran)):
        audit = cells.by_id(graph_id).audit
        for notice in audit.notices if audit else ():  # what is under the cell is about to be cleared
            _say(notice)
    for graph_id, why in sorted(again.items()):
        _say(f"Task {cells.by_id(graph_id).label!r} runs again: {why}.")
    return found


def _connected(cells: NotebookCells, some: Collection[str], part: Collection[str]) -> frozenset[str]:
    found, pending = set(some), list(some)
    while pending:
        of = pending.pop()
        beside = {edge.downstream for edge in cells.graph.outgoing(of)}
        beside |= {edge.upstream for edge in cells.graph.incoming(of)}
        more = beside.intersection(part) - found
        found |= more
        pending += more
    return frozenset(found)


_OF_DATA = (ReasonKind.READS, ReasonKind.MUTATES, ReasonKind.RESOURCE)


def _overlapped(cells: NotebookCells, upstream: str, downstream: str) -> bool:
    first, second = cells.by_id(upstream).audit, cells.by_id(downstream).audit
    return first is not None and second is not None and first.ended > second.began


def _listed(files: Collection[str]) -> str:
    some = sorted(files)[:3]
    return f"the file {some[0]}" if len(files) == 1 else f"{len(files)} files ({', '.join(some)}…)"


def _say(sentence: str) -> None:
    sys.stderr.write(f"flowbook: {sentence}\n")
