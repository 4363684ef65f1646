"""The parts without a kernel: the cells of a notebook, namespaces, tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from tests.waiting import CUT_SHORT

from flowbook.cells import Cell, GrowingGraph, Observed
from flowbook.cells.naming import free_name
from flowbook.errors import CellError, NotFound
from flowbook_magics import notebook_cells
from flowbook_magics.namespace import CellNamespace, running
from flowbook_magics.notebook_cells import LastRun, NotebookCell, NotebookCells, TaskOptions, analyze_cell
from flowbook_magics.publisher import Publisher
from flowbook_magics.tables import Table, Text
from flowbook_magics.values import inputs_of


def cell(key: str, source: str, name: str | None = None, after: tuple[str, ...] = ()) -> NotebookCell:
    analysis = analyze_cell(source, "cell", {})
    return NotebookCell(key=key, source=source, analysis=analysis, name=name, options=TaskOptions(after=after))


def labels(cells: NotebookCells) -> list[str]:
    return [each.label for each in cells]


def test_cells_stand_in_the_order_in_which_they_were_first_seen() -> None:
    cells = NotebookCells()
    cells.put(cell("1", "a = 1", "one"))
    cells.put(cell("2", "b = a"))
    cells.put(cell("1", "a = 2", "renamed"))
    assert labels(cells) == ["renamed", "cell 2"]
    assert [each.position for each in cells] == [1, 2]


def test_a_cell_that_needs_what_only_later_cells_make_moves_behind_them() -> None:
    cells = NotebookCells()
    reader, user = cell("1", "b = a", "reader"), cell("2", "c = b", "user")
    reader.missing, user.missing = frozenset("a"), frozenset("b")
    cells.put(reader)
    cells.put(user)
    cells.put(cell("3", "a = 1", "maker"))
    assert labels(cells) == ["maker", "reader", "user"]


def test_a_cell_stays_where_it_was_when_nothing_was_missing() -> None:
    cells = NotebookCells()
    cells.put(cell("1", "b = a", "reader"))
    cells.put(cell("2", "a = 1", "maker"))
    assert labels(cells) == ["reader", "maker"]


def test_what_two_cells_are_seen_to_do_at_once_is_kept_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = NotebookCells()
    for key, source in enumerate(("x = []", "a = 1", "b = 2", "c = x")):
        cells.put(cell(str(key), source, f"t{key}"))
    turns, overtaken = count(), threading.Event()

    def build(given: Iterable[Cell]) -> GrowingGraph:
        graph = GrowingGraph(given)
        if next(turns) == 0:
            overtaken.wait(0.3)  # nobody comes where one waits for the other
        else:
            overtaken.set()
        return graph

    monkeypatch.setattr(notebook_cells, "GrowingGraph", build)
    observed = Observed(mutates=frozenset("x"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: cells.observe(cells.task(name), observed), ("t1", "t2")))
    assert cells.graph.upstream("t3") == ("cell 1", "cell 2", "cell 3")


def test_a_cell_has_its_inputs_while_another_is_seen_to_change_them() -> None:
    cells = NotebookCells()
    made, change, late = cell("1", "x = []", "made"), cell("2", "y = x", "change"), cell("3", "z = len(x)", "late")
    for each in (made, change, late):
        cells.put(each)
    made.values = {"x": [1]}
    made.last = LastRun(task_run_id="1", code="", options=(), inputs={}, duration=1, ended=1)
    assert inputs_of(cells, late, {}) == {"x": [1]}
    cells.observe(change, Observed(mutates=frozenset("x")))  # it has not ended yet, and `late` had no reason to wait
    assert cells.graph.inputs("late") == {"x": "cell 2"}
    assert inputs_of(cells, late, {}) == {"x": [1]}


def test_a_cell_has_its_inputs_while_what_was_seen_of_one_makes_another_change_them() -> None:
    cells = NotebookCells()
    made, link, change, late = (
        cell(str(key), source, name)
        for key, (name, source) in enumerate(
            {"made": "x = []\ny = []", "link": "z = x", "change": "y.append(1)", "late": "del x"}.items()
        )
    )
    for each in (made, link, change, late):
        cells.put(each)
    made.values = {"x": [1], "y": []}
    made.last = LastRun(task_run_id="1", code="", options=(), inputs={}, duration=1, ended=1)
    change.analysis = replace(change.analysis, mutates=frozenset("xy"), reads=frozenset("xy"))
    cells.observe(link, Observed(reads=frozenset("y")))  # the graph is made anew, and `change` is not said to be seen
    assert cells.graph.inputs("late") == {"x": "cell 3"}
    assert inputs_of(cells, late, {}) == {"x": [1]}


def test_a_cell_that_cannot_stand_changes_nothing() -> None:
    cells = NotebookCells()
    cells.put(cell("1", "a = 1", "one"))
    cells.put(cell("2", "b = a", "two"))
    graph = cells.graph
    for wrong, says in (
        (cell("3", "c = 1", "one"), "The task name 'one' is taken by cell 1"),
        (cell("1", "a = 1", "one", after=("two",)), "one →(a) two →(--after) one"),
        (cell("3", "c = 1", "three", after=("tow",)), "Did you mean 'two'?"),
    ):
        with pytest.raises(CellError, match=re.escape(says)):
            cells.put(wrong)
        assert labels(cells) == ["one", "two"]
        assert [each.position for each in cells] == [1, 2]
        assert cells.graph is graph


def test_finding_tasks() -> None:
    cells = NotebookCells()
    cells.put(cell("1", "a = 1", "load"))
    assert cells.task("load").key == "1"
    with pytest.raises(NotFound, match=r"There is no task 'laod'\. Did you mean 'load'\?"):
        cells.task("laod")


def test_tasks_before_looks_through_plain_cells() -> None:
    cells = NotebookCells()
    for each in (cell("1", "a = 1", "one"), cell("2", "b = a"), cell("3", "c = b", "three")):
        cells.put(each)
    assert [each.label for each in cells.tasks_before(cells.task("three"))] == ["one"]


@pytest.mark.parametrize(
    ("source", "taken", "name"),
    [
        ("a = 1\nb = 2", (), "b"),
        ("b = 2\na = 1", (), "a"),
        ("a = 1", ("a", "a-2"), "a-3"),
        ("_p = 1", (), "cell-4"),
        ("print(1)", (), "cell-4"),
        ("import os\nx = os.getcwd()", (), "x"),
    ],
)
def test_the_name_of_a_task_without_one(source: str, taken: tuple[str, ...], name: str) -> None:
    assert free_name(analyze_cell(source, "cell", {}), source, taken, 4) == name


@pytest.mark.parametrize("open_to_all", [False, True])
def test_a_namespace_reads_through_and_keeps_what_is_bound(open_to_all: bool) -> None:
    notebook: dict[str, Any] = {"k": 1, "f": len}
    namespace = CellNamespace({"x": 2}, notebook, {"sum"}, open_to_all=open_to_all)
    exec("y = x + k\n_z = 5\nn = sum([y])\nm = max(y, len((lambda: [f, k])()))", namespace.names)
    assert namespace.written(frozenset({"y", "n", "m", "maybe"})) == {"y": 3, "n": 3, "m": 3}
    assert "y" not in notebook
    with pytest.raises(NameError, match="nothing"):
        exec("nothing", namespace.names)


def test_a_namespace_that_is_open_to_all_shows_the_names_of_the_notebook() -> None:
    names = CellNamespace({"x": 2}, {"k": 1}, open_to_all=True).names
    assert names.get("k") == 1
    assert names.get("nothing", 7) == 7
    assert names.copy()["x"] == 2


def test_a_name_of_the_notebook_that_hides_a_builtin_hides_it_in_a_cell_too() -> None:
    namespace = CellNamespace({}, {"max": min})
    exec("least = max(3, 2)", namespace.names)
    assert namespace.names["least"] == 2


def test_functions_of_a_cell_belong_to_the_notebook_afterwards() -> None:
    notebook: dict[str, Any] = {"k": 1}
    names = CellNamespace({}, notebook)
    exec("def f(): return k\ndef g(): return _p\n_p = 9\nclass C:\n    def m(self): return k", names.names)
    notebook.update(names.written(frozenset("fgC")))
    names.close()
    notebook["k"] = 2
    assert (notebook["f"](), notebook["g"](), notebook["C"]().m()) == (2, 9, 2)
    assert notebook["f"].__globals__ is notebook


def test_functions_see_the_versions_of_the_cell_that_calls_them() -> None:
    notebook: dict[str, Any] = {"k": 2}
    exec("def inner(): return k\ndef outer(): return inner()\ndef other(): return 0", notebook)
    functions = {name: notebook[name] for name in ("inner", "outer", "other")}
    names = CellNamespace({"k": 1, **functions}, notebook)
    names.bind_functions({"k"})
    assert (names.names["outer"](), notebook["outer"]()) == (1, 2)
    assert names.names["other"] is notebook["other"]


def test_code_of_an_earlier_task_sees_the_names_of_the_one_that_calls_it() -> None:
    notebook: dict[str, Any] = {"k": 2}
    earlier = CellNamespace({}, notebook)
    exec("def f(): return k", earlier.names)
    f = earlier.names["f"]
    token = running.set(CellNamespace({"k": 1}, notebook))
    try:
        assert f() == 1
    finally:
        running.reset(token)
    assert f() == 2


def test_the_last_version_stays() -> None:
    notebook: dict[str, Any] = {}
    places: dict[str, int] = {"first": 1, "second": 2}
    publisher = Publisher(notebook, places.get)
    publisher.publish({"x": 2}, (), "second")
    publisher.publish({"x": 1, "y": 1}, (), "first")
    assert notebook == {"x": 2, "y": 1}
    publisher.publish({"x": 1}, (), "first", always=True)
    assert notebook["x"] == 1
    publisher.publish({"x": 2}, {"y"}, "second")
    assert notebook == {"x": 2}
    del places["second"]
    publisher.publish({"x": 1}, (), "first")
    assert notebook["x"] == 1


def test_a_table_as_text_and_as_html() -> None:
    table = Table(("Task", "State"), [("<a>", "fresh"), ("longer", "")], empty="No tasks.")
    assert repr(table) == "Task    State\n<a>     fresh\nlonger"
    assert '<td style="text-align:left">&lt;a&gt;</td>' in table._repr_html_()
    assert repr(Table(("Task",), [], empty="No tasks.")) == "No tasks."
    assert Table(("Task",), [], empty="<No> tasks.")._repr_html_() == "<p>&lt;No&gt; tasks.</p>"
    assert repr(Text("as it is")) == "as it is"


def test_cells_that_need_two_values_of_a_name_at_home_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()

    class Lending(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            return super().wait(timeout)

    monkeypatch.setattr("flowbook_magics.namespace._lending", Lending())
    notebook: dict[str, Any] = {"K": 0}
    one, other = (CellNamespace({"K": value}, notebook) for value in (1, 2))
    seen = []

    def run_other() -> None:
        other.share({"K"})
        seen.append(notebook["K"])
        other.take_back()

    one.share({"K"})
    thread = threading.Thread(target=run_other)
    thread.start()
    assert waits.wait(CUT_SHORT)
    assert notebook["K"] == 1
    one.take_back()
    thread.join()
    assert (seen, notebook) == ([2], {"K": 0})


def test_a_cell_that_another_one_calls_does_not_wait_for_it() -> None:
    notebook: dict[str, Any] = {"K": 0}
    outer = CellNamespace({"K": 1}, notebook)
    outer.share({"K"})
    token = running.set(outer)
    try:
        inner = CellNamespace({"K": 2}, notebook)
        inner.share({"K"})
        assert notebook["K"] == 2
        inner.take_back()
    finally:
        running.reset(token)
        outer.take_back()
    assert notebook == {"K": 0}
