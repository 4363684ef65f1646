"""The cells of a notebook as a graph.

Each binding of a name, and each change of its object in place, is a new version of the name. A cell reads the newest
version before it in notebook order; a cell that changes an object waits for the earlier readers of it, and a cell that
rebinds the name waits for nobody. Running the cells in any order that the edges allow gives what Run All gives.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from flowbook.cells.analysis import Analysis, analyze
from flowbook.cells.errors import CycleError, DuplicateTaskError, UnknownCellError, UnknownVariableError
from flowbook.cells.expressions import BUILTINS
from flowbook.cells.records import Cell, Edge, Node, ReasonKind
from flowbook.cells.versions import VersionTracker

__all__ = ["GrowingGraph", "NotebookGraph", "analyze_cells"]


@dataclass(frozen=True, kw_only=True)
class NotebookGraph:
    """The graph of an ordered sequence of cells: make it with :meth:`of`."""

    nodes: Mapping[str, Node]
    """By id, in notebook order."""
    edges: tuple[Edge, ...]
    """In notebook order of the cells that wait, then of those they wait for."""
    final: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> the cells that made its last version, when all have run."""

    @staticmethod
    def of(cells: Iterable[Cell]) -> NotebookGraph:
        """Build the graph of cells that are given in notebook order.

        Raises DuplicateTaskError, UnknownCellError (``after``) and CycleError.
        """
        return GrowingGraph(cells).graph

    def __getitem__(self, name: str) -> Node:
        return self.nodes[self.resolve(name)]

    def resolve(self, name: str) -> str:
        """The id of the cell with this name or id; raises UnknownCellError with a suggestion."""
        if name in self._ids_by_name:
            return self._ids_by_name[name]
        if name in self.nodes:
            return name
        raise UnknownCellError(name, self._ids_by_name)

    def inputs(self, of: str) -> Mapping[str, str | None]:
        """What a cell reads: name -> id of the cell that made the version it sees, or None (from outside)."""
        return self[of].inputs

    def incoming(self, of: str) -> tuple[Edge, ...]:
        """The edges to the cells that a cell waits for."""
        return self._incoming.get(self.resolve(of), ())

    def outgoing(self, of: str) -> tuple[Edge, ...]:
        """The edges to the cells that wait for a cell."""
        return self._outgoing.get(self.resolve(of), ())

    def topological_order(self) -> tuple[str, ...]:
        """Ids in an order that all edges allow, as near to notebook order as they allow; raises CycleError."""
        place = {id_: index for index, id_ in enumerate(self.nodes)}
        waiting = {id_: len(self._incoming.get(id_, ())) for id_ in self.nodes}
        ready = [place[id_] for id_, count in waiting.items() if count == 0]
        ids, order = tuple(self.nodes), []
        while ready:
            id_ = ids[heapq.heappop(ready)]
            order.append(id_)
            for edge in self._outgoing.get(id_, ()):
                waiting[edge.downstream] -= 1
                if waiting[edge.downstream] == 0:
                    heapq.heappush(ready, place[edge.downstream])
        if len(order) < len(ids):
            raise CycleError(self._cycle(set(ids) - set(order)))
        return tuple(order)

    def upstream(self, of: str) -> tuple[str, ...]:
        """The ids of all cells that a cell waits for, directly or not, in topological order."""
        return self._in_order(self._reach([self.resolve(of)], self._incoming, lambda edge: edge.upstream))

    def downstream(self, of: str) -> tuple[str, ...]:
        """The ids of all cells that wait for a cell, directly or not, in topological order."""
        return self._in_order(self._reach([self.resolve(of)], self._outgoing, lambda edge: edge.downstream))

    def slice_for(self, names: Iterable[str]) -> tuple[str, ...]:
        """The ids of the cells that the last versions of variables need, in topological order.

        Functions and classes bring what they look up when they are called. Cells that only have to keep their order
        (they change an object afterwards, they draw on the same figure) are left out.
        Raises UnknownVariableError for a name that no cell binds and that is not built in.
        """
        needed = self._with_helpers(names)
        makers = {id_ for name in needed for id_ in self.final[name]}
        data = {id_: tuple(filter(_carries_values, edges)) for id_, edges in self._incoming.items()}
        return self._in_order(makers | self._reach(makers, data, lambda edge: edge.upstream))

    def shares_loop(self, of: str) -> bool:
        """Whether a cell has to run in the event loop that goes on from cell to cell.

        It makes what belongs to a loop, or it awaits, and so does a cell that it reads from or that reads from it.
        Another cell that awaits can have a loop of its own, and run while others do.
        """
        node = self[of]
        if not node.uses_loop or not node.cell.analysis.awaits or "background" in node.flags:
            return node.uses_loop
        objects = {id_: tuple(filter(_carries_objects, edges)) for id_, edges in self._incoming.items()}
        readers = {id_: tuple(filter(_carries_objects, edges)) for id_, edges in self._outgoing.items()}
        around = self._reach([node.cell.id], objects, lambda edge: edge.upstream)
        around |= self._reach([node.cell.id], readers, lambda edge: edge.downstream)
        return any(self.nodes[id_].uses_loop for id_ in around)

    # How the queries are answered

    def _with_helpers(self, names: Iterable[str]) -> set[str]:
        needed: set[str] = set()
        pending = []
        for name in names:
            if name in self.final:
                pending.append(name)
            elif name not in BUILTINS:
                raise UnknownVariableError(name, self.final)
        while pending:
            name = pending.pop()
            if name in needed or name not in self.final:
                continue
            needed.add(name)
            for id_ in self.final[name]:
                for definition in self.nodes[id_].cell.analysis.definitions.get(name, ()):
                    pending.extend(definition.reads)
        return needed

    @cached_property
    def _ids_by_name(self) -> Mapping[str, str]:
        return {node.cell.name: id_ for id_, node in self.nodes.items() if node.cell.name}

    @cached_property
    def _incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped(self.edges, lambda edge: edge.downstream)

    @cached_property
    def _outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped(self.edges, lambda edge: edge.upstream)

    def _reach(self, start: Iterable[str], edges: Mapping[str, Sequence[Edge]], end: Callable[[Edge], str]) -> set[str]:
        found: set[str] = set()
        pending = list(start)
        while pending:
            for edge in edges.get(pending.pop(), ()):
                if end(edge) not in found:
                    found.add(end(edge))
                    pending.append(end(edge))
        return found

    def _in_order(self, ids: set[str]) -> tuple[str, ...]:
        return tuple(id_ for id_ in self.topological_order() if id_ in ids)

    def _cycle(self, stuck: set[str]) -> list[str]:
        """``[a, why, b, why, …, a]`` for some cycle among the cells that can never start."""
        path: list[str] = []
        id_ = next(id_ for id_ in self.nodes if id_ in stuck)
        while id_ not in path:  # each stuck cell waits for a stuck one: walking up must come back
            path.append(id_)
            id_ = next(edge.upstream for edge in self._incoming[id_] if edge.upstream in stuck)
        ring = [*path[path.index(id_) :], id_][::-1]
        story = [self.nodes[ring[0]].cell.label]
        for upstream, downstream in pairwise(ring):
            edge = next(edge for edge in self._incoming[downstream] if edge.upstream == upstream)
            story += [", ".join(dict.fromkeys(reason.subject for reason in edge.reasons))]
            story += [self.nodes[downstream].cell.label]
        return story


class GrowingGraph:
    """The graph of cells to which others are added behind them, at what those others cost."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        """Take the cells of a notebook in its order. Raises DuplicateTaskError, UnknownCellError and CycleError."""
        self._tracker = VersionTracker()
        self._tasks: dict[str, str] = {}
        self._graph: NotebookGraph | None = None
        ordered = tuple(cells)
        for cell in ordered:
            self.add(cell)
        if any(cell.after for cell in ordered):  # otherwise all edges go from the cells before to those behind them
            _check_after(ordered)
            self.graph.topological_order()

    @property
    def graph(self) -> NotebookGraph:
        """The graph of the cells so far, made when it is asked for."""
        if self._graph is None:
            nodes, edges, final = self._tracker.tracked()
            self._graph = NotebookGraph(nodes=nodes, edges=edges, final=final)
        return self._graph

    def add(self, cell: Cell) -> None:
        """Add the last cell. Raises DuplicateTaskError, and then nothing has changed.

        What it waits for by ``after`` is only checked of cells that are given at first.
        """
        if cell.is_task and cell.name:
            if cell.name in self._tasks:
                raise DuplicateTaskError(cell.name, self._tasks[cell.name], cell.id)
            self._tasks[cell.name] = cell.id
        self._tracker.add(cell)
        self._graph = None


def analyze_cells(
    sources: Iterable[str], *, exports: Mapping[str, Iterable[str]] | None = None
) -> tuple[Analysis, ...]:
    """Analyse cells in notebook order, each knowing what the earlier ones import."""
    modules: dict[str, str] = {}
    analyses = []
    for source in sources:
        analysis = analyze(source, modules=modules, exports=exports)
        for name in analysis.writes:
            modules[name] = analysis.imports.get(name, "")
        analyses.append(analysis)
    return tuple(analyses)


def _check_after(cells: Sequence[Cell]) -> None:
    known = {cell.name or cell.id for cell in cells} | {cell.id for cell in cells}
    for cell in cells:
        for name in cell.after:
            if name not in known:
                raise UnknownCellError(name, sorted(known), asked_by=cell.label)


def _carries_values(edge: Edge) -> bool:
    return any(reason.kind is not ReasonKind.MUTATES and reason.subject != "pyplot" for reason in edge.reasons)


def _carries_objects(edge: Edge) -> bool:
    return any(reason.kind in (ReasonKind.READS, ReasonKind.MUTATES) for reason in edge.reasons)


def _grouped(edges: Iterable[Edge], key: Callable[[Edge], str]) -> dict[str, tuple[Edge, ...]]:
    groups: dict[str, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(key(edge), []).append(edge)
    return {id_: tuple(group) for id_, group in groups.items()}
