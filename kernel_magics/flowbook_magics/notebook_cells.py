"""The cells of this notebook as far as they have been seen, in notebook order, and the graph they make.

A cell is known by the front end's id if it sends one, else by its content. Running a cell again replaces what was known
of it, at the same place.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import threading
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flowbook.cells import Analysis, Cell, GrowingGraph, NotebookGraph, Observed, analyze
from flowbook.cells.cell_lines import place_of
from flowbook.cells.grammar import Parsed
from flowbook.errors import CellError, NotFound, did_you_mean
from flowbook_magics.cell_order import as_told, behind_their_makers
from flowbook_magics.opened_files import OpenedFiles
from flowbook_magics.surveys import Survey

if TYPE_CHECKING:
    from flowbook_magics.kept_elements import KeptElements
    from flowbook_magics.watching import Watch


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """What ``%%task`` said beside the name. Delays and the timeout are in seconds."""

    after: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    """What ``--in`` and ``--out`` declare; None: what is found in the code counts."""
    retries: int = 0
    retry_delay: float | list[float] | str = 0.0
    timeout: float | None = None
    jitter: float | None = None
    cache: str = "off"
    cache_for: float | None = None
    """How long a result counts, in seconds; None: without end."""
    tags: frozenset[str] = frozenset()
    log_prints: bool | None = None
    limit: tuple[str, int] | None = None
    """A concurrency limit and how many slots of it a run takes."""
    place: str = "threads"
    """Where it is executed: ``threads``, ``processes`` or ``dask``."""
    over: tuple[tuple[str, str], ...] = ()
    """What ``--map`` says: the name of an element, and that of the variable that holds all of them."""

    @classmethod
    def of(cls, said: Parsed) -> TaskOptions:
        """The options of a ``%%task`` line."""
        return cls(
            after=said.after,
            reads=said.values["in"],
            writes=said.out,
            retries=said.retries,
            retry_delay=said.retry_delay,
            timeout=said.timeout,
            cache=said.cache,
            jitter=said.jitter,
            cache_for=said.cache_for,
            tags=frozenset(said.tags),
            log_prints=True if said.log_prints else False if said.no_log_prints else None,
            limit=said.limit,
            place=place_of(said),
            over=said.map,
        )

    @property
    def over_names(self) -> tuple[str, ...]:
        """The variables whose elements it runs for."""
        return tuple(name for _, name in self.over)

    def affecting_result(self) -> tuple[object, ...]:
        """The options that make a result stale when they change."""
        return (self.cache, self.writes and sorted(self.writes), self.over)


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The last successful run of a task cell: by what it is told whether its result is still fresh."""

    task_run_id: str
    code: str
    options: tuple[object, ...]
    inputs: Mapping[str, object]
    duration: float
    ended: float
    """When it ended, in seconds since the epoch."""
    changed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Whose objects it changed in place: by the key of the cell that made one, and the name, the task run that did."""
    touches: frozenset[str] = frozenset()
    """The shared resources that it changed."""
    plain: Mapping[str, str] = field(default_factory=dict)
    """The sources, by their keys, of plain cells that had set what it used besides names."""
    undone: str = ""
    """Why it has to run again whatever it was made from, if it has."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One run of a task cell. Times are seconds of `time.perf_counter`."""

    began: float
    ended: float
    seen: Mapping[str, Any]
    """The values of the names that were read through to the notebook."""
    files: OpenedFiles
    reached: Survey | None = None
    """The objects that it had, in this process."""
    changed: frozenset[int] = frozenset()
    """The ids of those of them that it changed in place, or another cell meanwhile."""
    again: str = ""
    """Why it has to run again whatever the others did, if it has."""
    notices: list[str] = field(default_factory=list)
    """Sentences about what its code does not show."""
    left_traces: bool = field(init=False)
    """Whether it has changed an object that it was given, opened a file or listed a folder."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_traces", bool(self.changed or self.files))


@dataclass(kw_only=True, slots=True, eq=False)
class NotebookCell:
    """One cell. A task cell has a `name`; of a plain cell `values` holds what it bound when it last ran."""

    key: str
    source: str
    analysis: Analysis
    name: str | None = None
    options: TaskOptions = field(default_factory=TaskOptions)
    position: int = 0
    came_before: bool = False
    """Whether it ran before the extension was loaded, and no id of it is known."""
    former: frozenset[str] = frozenset()
    """What the task was called before: ``--after`` of another cell may still say so."""
    context: contextvars.Context | None = None
    values: dict[str, Any] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    """Names in whose place `values` holds nothing any more, because nobody read them."""
    changed: set[str] = field(default_factory=set)
    """Of a plain cell: names that it bound and whose objects tasks have changed in place since."""
    missing: frozenset[str] = frozenset()
    """What it reads and was not there when it was registered: the cell that binds it must stand before."""
    runs: int = 0
    """How often it has run: a new run of a plain cell makes what reads from it stale."""
    last: LastRun | None = None
    """Of a task cell: its last successful run."""
    failure: str | None = None
    """Of a task cell: the state in which its last run ended, if that is not success."""
    beside: dict[str, str] = field(default_factory=dict)
    """By their keys, the cells with which it was seen to share something, and what: they keep their order."""
    observed: Observed = Observed()
    """What it was seen to do beyond what its text says; `analysis` has it, too."""
    watch: Watch | None = None
    """Of a task cell that runs in this process now: what watches it."""
    audit: Audit | None = None
    """Of a task cell: when its last run began and ended, and what it read without declaring it."""
    wrote: frozenset[str] = frozenset()
    """Of a task cell: the files to which its last run has written, also if it was edited since."""
    tried: Mapping[str, object] = field(default_factory=dict)
    """The inputs of its last run, whatever became of it; they tell what a task may have changed."""
    ran_as: str = ""
    """Of a plain cell: a hash of what it did when it last ran."""
    was_silent: bool = False
    """Of a task cell: whether its last run has left nothing to be cleared under it."""
    context_values: dict[Any, Any] = field(default_factory=dict)
    """Of a task cell: what its last run has set in context variables and for its thread (`context_values`)."""
    shares_loop: bool | None = None
    """Of a task cell: whether it runs in the event loop that cells share, where that is known beforehand."""
    elements: KeptElements | None = None
    """Of a mapped cell whose last run failed: what those of its elements gave that completed."""

    @property
    def is_task(self) -> bool:
        """Whether the cell is a task."""
        return self.name is not None

    @property
    def graph_id(self) -> str:
        """Its id in the graph, chosen so that the graph's errors can be read."""
        return f"cell {self.position}"

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.name or self.graph_id


class NotebookCells:
    """The cells in notebook order. All methods that change something either do it whole or raise and do nothing."""

    def __init__(self) -> None:
        self._cells: list[NotebookCell] = []
        self._graph: GrowingGraph | None = GrowingGraph()
        self._told: Mapping[str, int] = {}
        """Where the front end has said that its cells stand, by their keys."""
        self.grown = 0.0
        """When the last new cell was taken in, in seconds since the epoch."""
        self._observing = threading.Lock()
        self.lost: dict[str, str] = {}
        """Names that no cell binds any more, each with who did until when."""
        self.growing = False
        """Whether further cells are executed while tasks run, as in an unattended run."""

    def __iter__(self) -> Iterator[NotebookCell]:
        return iter(self._cells)

    @property
    def tasks(self) -> list[NotebookCell]:
        """The task cells in notebook order."""
        return [cell for cell in self._cells if cell.is_task]

    @property
    def graph(self) -> NotebookGraph:
        """The graph of all cells, whose ids there are `NotebookCell.graph_id`."""
        graph = self._graph
        if graph is None:
            graph = self._graph = _joined(self._cells)
        return graph.graph

    def observe(self, cell: NotebookCell, observed: Observed) -> None:
        """Take into account what a cell was seen to do, unless `--after` demands another order."""
        with self._observing:  # cells end at the same time
            before = cell.analysis
            cell.analysis = observed.added_to(before)
            try:
                self._graph = _joined(self._cells)
            except ValueError:
                cell.analysis = before
            else:
                cell.observed = cell.observed | observed

    def keep_order(self, one: NotebookCell, other: NotebookCell, why: str) -> bool:
        """Have two cells run in notebook order from now on; False if they do already. `why` names what they share."""
        with self._observing:
            first, second = sorted((one, other), key=lambda cell: cell.position)
            if first.graph_id in self.graph.upstream(second.graph_id):
                return False
            first.beside[second.key] = second.beside[first.key] = why
            try:
                self._graph = _joined(self._cells)
            except ValueError:  # `--after` demands another order
                del first.beside[second.key], second.beside[first.key]
                return False
            return True

    def by_key(self, key: str) -> NotebookCell | None:
        """The cell with this identity."""
        return next((cell for cell in self._cells if cell.key == key), None)

    def by_id(self, graph_id: str) -> NotebookCell:
        """The cell of a node of the graph."""
        return self._cells[int(graph_id.removeprefix("cell ")) - 1]

    def task(self, name: str) -> NotebookCell:
        """The task of this name. Raises NotFound."""
        for cell in self.tasks:
            if cell.name == name:
                return cell
        known = [cell.label for cell in self.tasks]
        raise NotFound(f"There is no task {name!r}.{did_you_mean(name, known)} `%tasks` lists them.")

    def versions_of(self, cell: NotebookCell) -> set[str]:
        """The names whose version after this cell is its own, as a later cell reads it or the notebook ends with it."""
        graph, own = self.graph, cell.graph_id
        found = {name for name, makers in graph.final.items() if own in makers}
        for node in graph.nodes.values():
            if own in node.inputs.values():
                found.update(name for name, maker in node.inputs.items() if maker == own)
        return found

    def renamed_since(self, cell: NotebookCell) -> dict[str, str]:
        """The former names by which the ``--after`` of a cell means tasks, and what these are called now."""
        called = {name: _called_now(name, self._cells) for name in cell.options.after}
        return {name: now for name, now in called.items() if now != name}

    def with_cells(self, copies: Iterable[NotebookCell]) -> NotebookCells:
        """These cells as `copies` of them in the same order, which stay as they are while the notebook grows."""
        apart = NotebookCells()
        apart._cells, apart._graph, apart.growing = list(copies), None, True
        return apart

    def put(self, cell: NotebookCell) -> NotebookCell:
        """Take in a cell, in the place of the one with its identity. Raises CellError, and then nothing has changed.

        A new one stands where the front end has it, or last if that is not known. Where cells were first run in another
        order than they are written, one that reads what only a later one makes moves behind that one.
        """
        before, known = self._cells, self.by_key(cell.key)
        if known is None:
            self.grown = time.time()
        else:
            cell.wrote = known.wrote
            cell.former = (known.former | {known.name or ""}) - {cell.name or "", ""}
        replaced = [cell if old is known else old for old in before] if known is not None else [*before, cell]
        after = behind_their_makers(as_told(replaced, self._told))
        if cell.is_task:
            _check_name(cell, after)
        if self._graph is not None and known is None and after == replaced and not cell.options.after:
            self._cells = _numbered(after)
            self._graph.add(_in_graph(cell, {each.key: each for each in before} if cell.beside else {}))
        else:
            self._replace(after)
        return cell

    def arrange(self, keys: Sequence[str]) -> bool:
        """Have these cells, and those to come, stand in this order; False if those that are known do already.

        Cells that are not among the `keys` stand behind them. Raises CellError, and then nothing has changed.
        """
        told = {key: place for place, key in enumerate(keys)}
        arranged = behind_their_makers(as_told(self._cells, told))
        is_new = arranged != self._cells
        if is_new:
            self._replace(arranged)
        self._told = told
        return is_new

    def _replace(self, cells: list[NotebookCell]) -> None:
        before = self._cells
        try:
            self._graph = _joined(_numbered(cells))
        except ValueError as error:
            _numbered(before)
            raise CellError(str(error)) from None
        self._cells = cells

    def tasks_before(self, cell: NotebookCell, among: Container[str] | None = None) -> list[NotebookCell]:
        """The task cells that a cell waits for, looking through plain cells, which have run already.

        Only those `among` these ids of the graph, if they are given; the others are looked through, too.
        """
        found, seen, pending = [], set(), [cell.graph_id]
        while pending:
            for edge in self.graph.incoming(pending.pop()):
                if edge.upstream in seen:
                    continue
                seen.add(edge.upstream)
                before = self.by_id(edge.upstream)
                if before.is_task and (among is None or before.graph_id in among):
                    found.append(before)
                else:
                    pending.append(edge.upstream)
        return found

    def retire(self, keys: Iterable[str]) -> None:
        """Forget cells that were deleted from the notebook."""
        gone = set(keys)
        if any(cell.key in gone for cell in self._cells):
            self._cells = _numbered([cell for cell in self._cells if cell.key not in gone])
            self._graph = None


def analyze_cell(source: str, label: str, modules: Mapping[str, str]) -> Analysis:
    """The analysis of a cell as typed. Raises CellError naming the cell and the line of a syntax error."""
    try:
        return _with_star_imports(analyze(source, modules=modules), source, modules)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise CellError(
            f"{label[0].upper()}{label[1:]}, line {error.lineno}: {error.msg}: `{line}`. The cell was not registered."
        ) from None


def _with_star_imports(analysis: Analysis, source: str, modules: Mapping[str, str]) -> Analysis:
    """The analysis that knows which names the cell's star imports bind: it imports the modules."""
    exports = {}
    for module in analysis.star_imports:
        with contextlib.suppress(Exception):  # it is the user's, and fails when the cell runs
            exports[module] = _public_names(importlib.import_module(module))
    return analyze(source, modules=modules, exports=exports) if exports else analysis


def _public_names(module: ModuleType) -> list[str]:
    listed: list[str] | None = getattr(module, "__all__", None)
    return list(listed) if listed is not None else [name for name in vars(module) if not name.startswith("_")]


def _numbered(cells: list[NotebookCell]) -> list[NotebookCell]:
    for position, cell in enumerate(cells, 1):
        cell.position = position
    return cells


def _joined(cells: Iterable[NotebookCell]) -> GrowingGraph:
    by_key = {cell.key: cell for cell in cells}
    return GrowingGraph(_in_graph(cell, by_key) for cell in by_key.values())


def _in_graph(cell: NotebookCell, others: Mapping[str, NotebookCell]) -> Cell:
    # What was seen of a cell that has been edited since does not hold.
    beside = (
        (others[key], why) for key, why in cell.beside.items() if key in others and cell.key in others[key].beside
    )
    return Cell(
        id=cell.graph_id,
        source=cell.source,
        analysis=cell.analysis,
        name=cell.name,
        is_task=cell.is_task,
        after=tuple(_called_now(name, others.values()) for name in cell.options.after),
        behind=tuple((other.graph_id, why) for other, why in beside if other.position < cell.position),
    )


def _called_now(name: str, cells: Collection[NotebookCell]) -> str:
    """The name of the task that has this one, or had it once."""
    if any(cell.name == name for cell in cells):
        return name
    return next((cell.name for cell in cells if cell.name and name in cell.former), name)


def _check_name(cell: NotebookCell, cells: Iterable[NotebookCell]) -> None:
    for other in cells:
        if other is not cell and other.name == cell.name:
            raise CellError(
                f"The task name {cell.name!r} is taken by cell {other.position}; "
                "give one of the two another name (%%task NAME), or delete that cell."
            )
