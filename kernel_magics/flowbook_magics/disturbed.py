"""Which tasks of a flow run may have seen a wrong version of something, as is known since they ran."""

from __future__ import annotations

from collections.abc import Collection

from flowbook.cells import ReasonKind
from flowbook_magics.freshness import runs_with
from flowbook_magics.notebook_cells import NotebookCells
from flowbook_magics.values import version_before
from flowbook_magics.watching import say


def disturbed(cells: NotebookCells, ran: Collection[str], part: Collection[str]) -> frozenset[str]:
    """The tasks to run again in notebook order, because some that `ran` may have seen a wrong version.

    With one that only read too early goes what follows from it. With one that changed something too early go all of
    `part`, the tasks of the flow run, that are connected with it: the object is to be made anew, and then changed by
    the same tasks in the right order.
    """
    again: dict[str, str] = {}
    readers, changers = set[str](), set[str]()
    for graph_id in ran:
        cell = cells.by_id(graph_id)
        for name, value in cell.audit.seen.items() if cell.audit else ():
            if name in cell.observed.reads and version_before(cells, cell, name, value) is not value:
                again.setdefault(graph_id, f"it has read {name} before it was made")
                readers.add(graph_id)
        if cell.audit and cell.audit.again:
            again.setdefault(graph_id, cell.audit.again)
    for edge in cells.graph.edges:
        if edge.upstream in ran and edge.downstream in ran and _overlapped(cells, edge.upstream, edge.downstream):
            first, second = cells.by_id(edge.upstream), cells.by_id(edge.downstream)
            unseen = first.observed.resources | second.observed.resources
            reason = next((each for each in edge.reasons if each.kind in _OF_DATA or each.subject in unseen), None)
            if reason is not None:
                again.setdefault(edge.downstream, f"it ran before {first.label} had ended, and {reason.text}")
                only_read = reason.kind is ReasonKind.READS and not cells.graph[edge.downstream].changes
                (readers if only_read else changers).add(edge.downstream)
                if reason.kind is ReasonKind.MUTATES:
                    again.setdefault(edge.upstream, f"{second.label} changed {reason.subject} before it had ended")
    if not again:
        return frozenset()
    changers |= again.keys() - readers
    found = _connected(cells, changers, part) | (runs_with(cells, readers) & frozenset(part))
    for graph_id in sorted(found & set(ran)):
        audit = cells.by_id(graph_id).audit
        for notice in audit.notices if audit else ():  # what is under the cell is about to be cleared
            say(notice)
    for graph_id, why in sorted(again.items()):
        say(f"Task {cells.by_id(graph_id).label!r} runs again: {why}.")
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
