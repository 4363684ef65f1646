"""What task cells do that their code does not show: it is noticed as they run, and from then on it has its order.

A cell that may have seen the wrong version of something meanwhile runs again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import Any

from flowbook.cells import Observed, ReasonKind
from flowbook_magics.notebook_cells import Audit, NotebookCell, NotebookCells
from flowbook_magics.opened_files import OpenedFiles, end_watch, watch_files
from flowbook_magics.surveys import Survey
from flowbook_magics.values import version_before


class Watch:
    """Watches one run of a task cell."""

    def __init__(self, cells: NotebookCells, cell: NotebookCell, inputs: Mapping[str, Any]) -> None:
        self._cells, self._cell = cells, cell
        self._known = cells.graph[cell.graph_id].changes
        self._survey = Survey(inputs)
        self._files = watch_files()
        self._began = time.perf_counter()

    def add(self, name: str, value: Any) -> None:
        """A name that was not foreseen is read for the first time."""
        self._survey.add(name, value)

    def missed(self, error: BaseException) -> None:
        """The run fails with this error; that a file is not there yet may be why."""
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            self._files.add(error.filename, writes=False)

    def end(self, seen: Mapping[str, Any], written: Collection[str]) -> None:
        """The run has ended; `seen` are the undeclared reads, and `written` the names that it has bound."""
        cells, cell = self._cells, self._cell
        end_watch()
        objects = self._survey.changed()
        audit = Audit(self._began, time.perf_counter(), dict(seen), self._files, self._survey, objects)
        cell.audit = audit
        if cell.options.over:
            return
        changed = self._survey.names_of(objects) - self._known
        read = {name: maker for name, value in seen.items() if (maker := self._maker(name, value)) is not None}
        bound = frozenset(written) - cell.analysis.writes if cell.options.writes is None else frozenset()
        observed = Observed(reads=frozenset(read), mutates=frozenset(changed), writes=bound)
        if observed != Observed():
            cells.observe(cell, observed)
        audit.notices.extend(
            f"Task {cell.label!r} read {name!r}, which its code does not show; "
            f"from now on it waits for {maker.label}, which makes it."
            for name, maker in sorted(read.items())
        )
        audit.notices.extend(_of_changes(cell, changed))
        audit.notices.extend(self._keep_order(audit))
        for notice in audit.notices:
            _say(notice)

    def _keep_order(self, audit: Audit) -> Iterator[str]:
        """Have the cell keep its order with those that share with it what one of the two changes; says with which."""
        for other in self._cells:
            if other is self._cell or other.audit is None or not (audit.left_traces or other.audit.left_traces):
                continue
            what = self._shared(audit, other.audit)
            if what and self._cells.keep_order(self._cell, other, what):
                first, second = sorted((self._cell, other), key=lambda each: each.position)
                yield (
                    f"Tasks {first.label!r} and {second.label!r} share {what}, which their code does not show; "
                    "from now on they keep their order."
                )

    def _shared(self, own: Audit, theirs: Audit) -> str:
        """What two runs of cells had in common and one of them has changed ('' if nothing)."""
        files = own.files.written & (theirs.files.read | theirs.files.written) | own.files.read & theirs.files.written
        if files:
            return f"the file {min(files)}"
        if theirs.reached is None or not (own.changed or theirs.changed):
            return ""
        objects = (own.changed & theirs.reached.reached) | (self._survey.reached & theirs.changed)
        return f"what {min(self._survey.names_of(objects))!r} is or holds" if objects else ""

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
    cell.audit = Audit(began, time.perf_counter(), {}, OpenedFiles(), notices=_of_changes(cell, changed))
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


_OF_DATA = (ReasonKind.READS, ReasonKind.MUTATES)


def _overlapped(cells: NotebookCells, upstream: str, downstream: str) -> bool:
    first, second = cells.by_id(upstream).audit, cells.by_id(downstream).audit
    return first is not None and second is not None and first.ended > second.began


def _say(sentence: str) -> None:
    sys.stderr.write(f"flowbook: {sentence}\n")
