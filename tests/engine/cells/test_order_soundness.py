"""Random notebooks are run, cell after cell and in other orders: the graph must have foreseen what happened."""

import builtins
import random
import sys
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.cells.fingerprints import fingerprint
from tests.engine.cells.random_notebooks import FIRST_CELL, notebooks
from tests.examples import examples

from flowbook.cells import Cell, NotebookGraph, analyze, analyze_cells
from flowbook.run.blocking import drop_interrupt


class Endless(BaseException):
    """A cell calls and calls."""


class _Steps:
    """A profiler that ends a cell after many calls."""

    def __init__(self) -> None:
        self.left = 2000

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise Endless


class _BuiltIn(dict):
    """Where the bodies of classes look last: they do not ask globals for what these miss."""

    recorder: "Recorder"

    def __missing__(self, name: str) -> object:
        return self.recorder.__missing__(name)


class Recorder(dict):
    """The globals of all cells: each cell sees through to the versions at its place; its reads are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.built_in = _BuiltIn(vars(builtins))
        self.built_in.recorder = self

    def enter(self, before: dict[str, object]) -> None:
        self.clear()
        self["__builtins__"] = self.built_in
        self.before, self.seen, self.deleted = before, set(), set()

    def __missing__(self, name: str) -> object:
        if name in self.deleted or name not in self.before:
            raise KeyError(name)
        self.seen.add(name)
        return self.before[name]

    def __delitem__(self, name: str) -> None:
        if name in self:
            super().__delitem__(name)
        else:
            self[name]
        self.deleted.add(name)

    @property
    def bound(self) -> dict[str, object]:
        return {name: value for name, value in self.items() if name not in ("__builtins__", "__annotations__")}


class Execution:
    """One execution of a notebook, in any order: what each cell has bound and deleted."""

    def __init__(self, codes: Sequence[object]) -> None:
        self.codes, self.namespace = codes, Recorder()
        self.done: dict[int, tuple[dict[str, object], set[str]]] = {}

    def values_at(self, place: int) -> dict[str, object]:
        """The newest versions of all names that cells before this place have made so far."""
        values: dict[str, object] = {}
        for before in sorted(each for each in self.done if each < place):
            bound, deleted = self.done[before]
            values = {name: value for name, value in values.items() if name not in deleted} | bound
        return values

    def run(self, place: int) -> bool:
        """Whether the cell succeeds."""
        self.namespace.enter(self.values_at(place))
        drop_interrupt()  # else one that a thread of another test has not noticed lets profiled code stand still
        sys.setprofile(_Steps())
        try:
            exec(self.codes[place], self.namespace)
        except (Exception, Endless):
            return False
        finally:
            sys.setprofile(None)
            self.done[place] = self.namespace.bound, self.namespace.deleted
        return True


def cells_of(sources: Sequence[str]) -> list[Cell]:
    analyses = analyze_cells(sources)
    return [Cell(id=str(place), source=sources[place], analysis=each) for place, each in enumerate(analyses)]


def readers_that_wait(cells: Sequence[Cell], names: set[str]) -> set[str]:
    """Which of the names, if a cell behind these cells reads it, make it wait for the last of them."""
    readers = [Cell(id=name, source=name, analysis=analyze(name)) for name in names]
    graph = NotebookGraph.of([*cells, *readers])
    return {name for name in names if cells[-1].id in graph.upstream(name)}


def legal_order(graph: NotebookGraph, seed: int) -> Iterator[int]:
    """A random order of the cells that the edges allow."""
    chance = random.Random(seed)
    waiting = dict.fromkeys(graph.nodes)
    while waiting:
        free = [id_ for id_ in waiting if not any(edge.upstream in waiting for edge in graph.incoming(id_))]
        chosen = chance.choice(free)
        del waiting[chosen]
        yield int(chosen)


@given(notebooks(), st.integers(0, 2**16))
@settings(max_examples=examples(80), derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_happens_was_foreseen_in_any_order(drawn: list[str], seed: int) -> None:
    sources = [FIRST_CELL, *drawn]
    codes = [compile(source, f"<cell {place}>", "exec") for place, source in enumerate(sources)]
    cells, in_notebook_order = cells_of(sources), Execution(codes)
    succeeded = 0
    final = look(in_notebook_order.values_at(0))
    while succeeded < len(cells) and check_cell(cells[: succeeded + 1], in_notebook_order):
        succeeded += 1
        final = look(in_notebook_order.values_at(succeeded))
    graph, other = NotebookGraph.of(cells[:succeeded]), Execution(codes)
    order = list(legal_order(graph, seed))
    for place in order:
        assert other.run(place), f"cell {place} fails in the order {order}"
    assert look(other.values_at(succeeded)) == final, order


def check_cell(cells: Sequence[Cell], execution: Execution) -> bool:
    """Run the last of the cells: what it reads, binds and changes was foreseen. Whether it succeeds."""
    place, analysis = len(cells) - 1, cells[-1].analysis
    before = execution.values_at(place)
    looks = look(before)
    succeeded = execution.run(place)
    recorded = execution.namespace
    changed = {name for name in before if fingerprint(before[name]) != looks[name]}
    bound = set(recorded.bound)
    node = NotebookGraph.of(cells).nodes[str(place)]
    assert recorded.seen <= analysis.reads | analysis.builtins | node.inputs.keys()
    touched = changed - recorded.deleted | (bound if succeeded else set())
    assert readers_that_wait(cells, touched) == touched
    if succeeded:
        assert analysis.writes - analysis.conditional_writes <= bound
    return succeeded


def look(values: dict[str, object]) -> dict[str, object]:
    return {name: fingerprint(value) for name, value in sorted(values.items())}
