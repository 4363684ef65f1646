"""Cells in order become a graph: versions, waiting and reasons."""

import pytest

from flowbook.cells import (
    Cell,
    CycleError,
    DuplicateTaskError,
    NotebookGraph,
    UnknownCellError,
    UnknownVariableError,
    analyze_cells,
)


def notebook(*sources: str, after: dict[str, tuple[str, ...]] | None = None) -> NotebookGraph:
    """A graph of task cells ``a``, ``b``, ``c``… with these sources."""
    names = "abcdefghijklmnop"
    analyses = analyze_cells(sources)
    return NotebookGraph.of(
        Cell(
            id=f"id-{name}",
            source=source,
            analysis=analysis,
            name=name,
            is_task=True,
            after=(after or {}).get(name, ()),
        )
        for name, source, analysis in zip(names, sources, analyses, strict=False)
    )


def letters(ids: tuple[str, ...]) -> str:
    return "".join(id_.removeprefix("id-") for id_ in ids)


def waits(graph: NotebookGraph) -> dict[str, str]:
    """Cell -> the cells it waits for, directly; cells that wait for nobody are left out."""
    return {
        node.cell.name: letters(tuple(edge.upstream for edge in graph.incoming(id_)))
        for id_, node in graph.nodes.items()
        if node.cell.name and graph.incoming(id_)
    }


def texts(graph: NotebookGraph, downstream: str, upstream: str) -> list[str]:
    edges = (edge for edge in graph.incoming(downstream) if edge.upstream == f"id-{upstream}")
    return [reason.text for edge in edges for reason in edge.reasons]


CASES: dict[str, tuple[list[str], dict[str, str]]] = {
    "a chain": (["raw = 1", "clean = raw", "top = clean"], {"b": "a", "c": "b"}),
    "independent cells": (["x = 1", "y = 2"], {}),
    "each writes a file of its own": (
        ["with open('a.txt', 'w') as f:\n    f.write('1')", "with open('b.txt', 'w') as f:\n    f.write('2')"],
        {},
    ),
    "files that libraries read and write by their names": (
        [
            "import cv2\nimport geopandas as gpd",
            "cv2.imwrite('a.png', x)",
            "a = cv2.imread('a.png')",
            "b = cv2.imread('a.png')",
            "c = gpd.read_file('b.shp')",
        ],
        {"b": "a", "c": "ab", "d": "ab", "e": "a"},
    ),
    "cells that read one file by its path": (
        ["from pathlib import Path", "a = Path('a.csv').read_text()", "b = Path('a.csv').read_text()"],
        {"b": "a", "c": "a"},
    ),
    "what captures the output of the process": (
        [
            "import io\nfrom contextlib import redirect_stdout",
            "x = 1",
            "with redirect_stdout(io.StringIO()):\n    f()",
            "y = 2",
        ],
        {"c": "ab", "d": "c"},
    ),
    "cells that await by themselves": (["import asyncio", "x = await f()", "y = await g()"], {}),
    "cells that await what another has awaited keep their order": (
        ["db = await connect()", "x = await db.get(1)", "y = await db.get(2)", "z = 1"],
        {"b": "a", "c": "ab"},
    ),
    "what was started goes on in cells that await": (
        ["import asyncio\nt = asyncio.create_task(f())", "x = 1", "await asyncio.sleep(1)", "y = 2"],
        {"b": "a", "c": "ab", "d": "c"},
    ),
    "a container of what another cell's function gives": (
        [
            "log = []\ndef steps(n):\n    log.append(n)\n    yield n\n    log.append(-n)",
            "todo = []",
            "todo.append(steps(1))",
            "next(todo[0])",
            "seen = log[:]",
        ],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "what is logged has no order": (
        ["import logging\nlog = logging.getLogger()", "log.info('1')\nx = 1", "log.info('2')\ny = 2"],
        {"b": "a", "c": "a"},
    ),
    "nor has what is logged under the cells": (
        [
            "import logging, sys\nlogging.basicConfig(level='INFO', handlers=[logging.StreamHandler(sys.stdout)])",
            "logging.info('1')\nx = 1",
            "logging.info('2')\ny = 2",
        ],
        {"b": "a", "c": "a"},
    ),
    "what is logged to a stream has": (
        ["import io, logging\nlogging.basicConfig(stream=io.StringIO())", "logging.info('1')", "logging.info('2')"],
        {"b": "a", "c": "ab"},
    ),
    "what is logged to a file has": (
        [
            "import logging\nlog = logging.getLogger()\nlog.addHandler(logging.FileHandler('l'))",
            "log.info('1')",
            "log.info('2')",
        ],
        {"b": "a", "c": "ab"},
    ),
    "what is written to one open file": (
        ["f = open('a.txt', 'w')", "f.write('1')", "f.close()", "t = open('a.txt').read()"],
        {"b": "a", "c": "ab", "d": "ac"},
    ),
    "closures over one variable": (
        [
            "def make():\n    n = []\n    return (lambda: n.append(1)), (lambda: len(n))",
            "add, count = make()",
            "add()",
            "k = count()",
        ],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "parts of what a function gives": (
        ["def split(x): return x[:1], x[1:]", "left, right = split([1, 2])", "left.append(1)", "n = len(right)"],
        {"b": "a", "c": "b", "d": "b"},
    ),
    "a setting of a library": (
        ["import numpy as np\nz = 0", "a = z", "np.seterr(all='raise')", "b = z"],
        {"b": "a", "c": "ab", "d": "ac"},
    ),
    "rebinding is a new version": (["x = 1", "y = x", "x = 2", "z = x"], {"b": "a", "d": "c"}),
    "one cell reads the old and makes the new": (["x = 1", "x = x + 1", "y = x"], {"b": "a", "c": "b"}),
    "a change waits for readers, later readers for it": (
        ["df = f()", "r = df.sum()", "s = df.mean()", "df['x'] = 1", "t = df.x"],
        {"b": "a", "c": "a", "d": "abc", "e": "d"},
    ),
    "a constructor of an inherited class changes what the class holds": (
        ["class A:\n    n = 0\n    def __init__(self): A.n += 1", "class B(A): pass", "b = B()", "k = A.n"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "an inherited method changes the object": (
        ["class A:\n    def add(self): self.n = 1", "class B(A): pass", "b = B()", "b.add()", "k = b.n"],
        {"b": "a", "c": "ab", "d": "ac", "e": "ad"},
    ),
    "what a decorator of another cell does is done by the function": (
        [
            "calls = []\ndef counted(f):\n    def g(): calls.append(f)\n    return g",
            "@counted\ndef work(): pass",
            "k = work()",
            "n = len(calls)",
        ],
        {"b": "a", "c": "ab", "d": "c"},
    ),
    "each name of a tuple shares its own object": (
        ["xs = f()", "a, b = xs, (xs if c else d)", "b.append(1)", "r = xs"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "an iterator moves on when it is used": (
        ["it = iter(range(9))", "a = list(it)", "b = sum(it)"],
        {"b": "a", "c": "b"},
    ),
    "an item of an iterator may be used at any time": (
        ["it = iter(f())", "x = next(it)", "a = x.sum()", "b = x.mean()"],
        {"b": "a", "c": "b", "d": "b"},
    ),
    "a generator of the user moves on when it is used": (
        ["def numbers(): yield k", "it = numbers()", "a = list(it)", "b = list(it)"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "a closure keeps what it changes": (
        [
            "def make():\n    n = 0\n    def count():\n        nonlocal n\n        n = n + 1\n    return count",
            "count = make()",
            "a = count()",
            "b = count()",
        ],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "a function that changes its own default": (
        ["def note(x, seen=[]):\n    seen.append(x)\n    return len(seen)", "a = note(1)", "b = note(2)"],
        {"b": "a", "c": "b"},
    ),
    "a default that is given by a name is changed by the call": (
        ["xs = []", "def note(x, seen=xs):\n    seen.append(x)", "note(1)", "n = len(xs)"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "a default is changed in the cell that defines the function": (
        ["xs = []", "def note(x, seen=xs):\n    seen.append(x)\nnote(1)", "n = len(xs)"],
        {"b": "a", "c": "b"},
    ),
    "a function that is passed on changes what it is called with": (
        ["def add(t): t.append(1)", "rows = [[0], [1]]", "list(map(add, rows))", "n = rows[0]"],
        {"c": "ab", "d": "c"},
    ),
    "a method that returns the object itself": (
        [
            "class A:\n    def add(self, x):\n        self.n = x\n        return self",
            "a = A()",
            "b = a.add(1)",
            "b.n = 2",
            "c = a.n",
        ],
        {"b": "a", "c": "b", "d": "c", "e": "d"},
    ),
    "a function that returns its argument": (
        ["xs = []", "def same(t): return t", "ys = same(xs)", "ys.append(1)", "n = len(xs)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "a name that is bound to its own object runs what it ran": (
        ["class A:\n    def get(self): return k", "k = 1", "a = A()", "a = a", "k = 2", "n = a.get()"],
        {"c": "ab", "d": "bc", "f": "de"},
    ),
    "a function that returns what it finds": (
        ["xs = []", "def get(): return xs", "ys = get()", "ys.append(1)", "n = len(xs)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "an attribute of a class is one of its instances": (
        ["class A: n = 0", "a = A()", "A.n = 1", "k = a.n"],
        {"b": "a", "c": "ab", "d": "c"},
    ),
    "with enters the object": (
        [
            "class A:\n    def __enter__(self): self.n = 1\n    def __exit__(self, *_): pass",
            "a = A()",
            "with a: pass",
            "k = a.n",
        ],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "an item is changed in place by an augmented assignment": (
        ["xs = []", "d = {'k': xs}", "d['k'] += [1]", "n = len(xs)"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "what an augmented assignment adds is held": (
        ["xs = []", "d = {}", "d |= {'k': xs}", "d['k'].append(1)", "n = len(xs)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "a default of get may be the result": (
        ["xs = []", "d = {}", "ys = d.get('k', xs)", "ys.append(1)", "n = len(xs)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "a view that is changed by its own name is still a view": (
        ["a = f()", "v = a[:2]", "v += 1", "s = a.sum()"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "readers of a rebound name are not waited for": (["x = f()", "y = x.z", "x = 2", "x.n = 1"], {"b": "a", "d": "c"}),
    "a change through an alias of another cell": (["y = x", "y.append(1)", "print(x)"], {"b": "a", "c": "b"}),
    "a change through a container of another cell": (
        ["df = f()", "d = {'k': df}", "d['k']['x'] = 1", "print(df)"],
        {"b": "a", "c": "b", "d": "c"},
    ),
    "a container changed by itself leaves its items alone": (
        ["df = f()", "d = {'k': df}", "d['j'] = 1", "print(df)"],
        {"b": "a", "c": "b", "d": "a"},
    ),
    "a container that was filled by another cell": (
        ["cache = {}", "df = f()", "cache['x'] = df", "cache['x']['n'] = 1", "print(df)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "helpers change their arguments": (
        ["def add(d):\n    d['x'] = 1", "df = f()", "s = df.sum()", "add(df)", "print(df)"],
        {"c": "b", "d": "abc", "e": "d"},
    ),
    "helpers of helpers": (
        ["def add(d): inner(d)", "def inner(e): e.append(1)", "xs = f()", "add(xs)", "print(xs)"],
        {"d": "abc", "e": "d"},
    ),
    "late binding": (["def f(): return k", "k = 1", "x = f()", "k = 2", "y = f()"], {"c": "ab", "e": "ad"}),
    "a helper defined later": (["def f(): return h()", "def h(): return k", "k = 1", "x = f()"], {"d": "abc"}),
    "a redefined helper": (["def f(): return 1", "x = f()", "def f(): return 2", "y = f()"], {"b": "a", "d": "c"}),
    "a class of another cell": (
        [
            "class M:\n    def note(self, x):\n        self.xs.append(x + k)",
            "k = 1",
            "m = M()",
            "s = m.xs",
            "m.note(1)",
            "t = m.xs",
        ],
        {"c": "ab", "d": "bc", "e": "bcd", "f": "be"},
    ),
    "a global bound by a helper": (
        ["def init():\n    global g\n    g = 1", "init()", "print(g)"],
        {"b": "a", "c": "b"},
    ),
    "a function that is only defined waits for nobody": (["k = 1", "def f(): return k"], {}),
    "bound on some paths": (["x = 1", "if c:\n    x = 2", "print(x)"], {"c": "ab"}),
    "loop variables tie nobody": (["for i in xs:\n    pass", "for i in ys:\n    pass"], {}),
    "a built-in name that a cell binds": (["sum = 0", "print(sum)", "print(max)"], {"b": "a"}),
    "random state keeps its order": (
        ["import numpy as np", "np.random.seed(0)", "x = 1", "y = np.random.rand()"],
        {"b": "a", "d": "ab"},
    ),
    "separate random states do not": (
        ["import random, numpy as np", "random.seed(0)", "np.random.seed(0)"],
        {"b": "a", "c": "a"},
    ),
    "files written, then read": (
        ["df.to_csv('a.csv')", "x = pd.read_csv('a.csv')", "y = pd.read_csv('b.csv')", "z = pd.read_csv(p)"],
        {"b": "a", "d": "a"},
    ),
    "a shell command may write any file": (
        ["x = open('a').read()", "!make", "y = open('b').read()"],
        {"b": "a", "c": "b"},
    ),
    "imports look at the path": (
        ["import sys", "sys.path.append('src')", "import mine", "import json"],
        {"b": "a", "c": "b"},
    ),
    "relative paths look at the working directory": (
        ["import os", "x = open('a').read()", "os.chdir('d')", "y = open('a').read()"],
        {"c": "ab", "d": "c"},
    ),
    "any library may open a file by a relative path": (
        ["import os", "x = work(1)", "os.chdir('d')", "y = work(2)"],
        {"c": "ab", "d": "c"},
    ),
    "a pool of processes finds names in the notebook": (
        [
            "from multiprocessing import Pool",
            "k = 2\ndef f(x): return x * k",
            "with Pool() as p: r = p.map(f, xs)",
            "k = 3",
        ],
        {"c": "ab", "d": "c"},
    ),
    "a method is replaced where a class is reached": (
        [
            "class A:\n    def f(self): ...\nclasses = [A]",
            "made = [classes[0]()]",
            "log = []\ndef g(self): log.append(1)",
            "for c in classes:\n    c.f = g",
            "made[0].f()",
            "n = len(log)",
        ],
        {"b": "a", "d": "abc", "e": "d", "f": "e"},
    ),
    "a database and the files of a folder": (
        ["import glob, sqlalchemy", "e = sqlalchemy.create_engine('sqlite:///a.db')", "files = glob.glob('*.db')"],
        {"b": "a", "c": "ab"},
    ),
    "options of a module": (["import pandas as pd", "pd.set_option('a', 1)", "pd.DataFrame()"], {"b": "a", "c": "b"}),
    "a module is changed": (
        ["import m", "from m import f", "x = f()", "m.SIZE = 2", "y = f()"],
        {"c": "b", "d": "abc", "e": "bd"},
    ),
    "a module that a cell writes": (["%%writefile m.py\nx = 1", "from m import x", "from n import y"], {"b": "a"}),
    "a model without a seed": (
        [
            "from sklearn.linear_model import LinearRegression\nfrom sklearn.ensemble import RandomForestClassifier",
            "a, b = RandomForestClassifier(), RandomForestClassifier(random_state=1)",
            "a.fit(X, y)",
            "b.fit(X, y)",
            "z = np.random.rand()",
        ],
        {"b": "a", "c": "b", "d": "b", "e": "c"},
    ),
    "a handler that is called later": (
        ["hooks, log = [], []", "def f(): log.append(1)", "hooks.append(f)", "hooks[0]()", "n = len(log)"],
        {"c": "ab", "d": "c", "e": "d"},
    ),
    "an axes under any name": (["host = plt.figure().gca()", "twin = host", "twin.invert()"], {"b": "a", "c": "b"}),
    "data that many cells only hand on": (
        ["x = [1]", "a = work.submit(x)", "b = work.submit(x)", "c = obj.use(x)", "d = obj.use(x)"],
        {"b": "a", "c": "a", "d": "a", "e": "a"},
    ),
    "pyplot's figure": (["plt.plot(x)", "y = 1", "plt.show()"], {"c": "a"}),
    "a flagged cell keeps its place": (
        ["x = 1", "y = 2", "exec(code)", "z = 3", "eval(w)"],
        {"c": "ab", "d": "c", "e": "cd"},
    ),
    "private names stay inside a task": (["_t = 1\nx = _t", "y = _t"], {}),
    "a deleted name is gone": (["x = 1", "del x", "x = 3", "y = x"], {"b": "a", "d": "c"}),
    "an imported name keeps its meaning": (
        ["from random import shuffle as mix", "mix(xs)", "ys = xs"],
        {"b": "a", "c": "b"},
    ),
}


@pytest.mark.parametrize(("sources", "expected"), CASES.values(), ids=CASES)
def test_who_waits_for_whom(sources: list[str], expected: dict[str, str]) -> None:
    assert waits(notebook(*sources)) == expected


@pytest.mark.parametrize(("sources", "_"), CASES.values(), ids=CASES)
def test_every_order_is_forward_without_after(sources: list[str], _: dict[str, str]) -> None:
    graph = notebook(*sources)
    assert graph.topological_order() == tuple(graph.nodes)


def test_inputs_name_the_newest_version_before_the_cell() -> None:
    graph = notebook("x = 1", "x.append(2)", "y = (x, z)", "x = 3")
    assert graph.inputs("c") == {"x": "id-b", "z": None}


def test_alternatives_are_the_older_versions() -> None:
    graph = notebook("x = 1", "if c:\n    x = 2", "print(x)", "x = 4", "print(x)")
    assert graph["c"].inputs["x"] == "id-b"
    assert graph["c"].alternatives == {"x": ("id-a",)}
    assert graph["e"].alternatives == {}


def test_inputs_include_what_helpers_look_up() -> None:
    graph = notebook("def f(): return k + len(z)", "k = 1", "x = f()")
    assert graph.inputs("c") == {"f": "id-a", "k": "id-b", "z": None}
    assert graph["c"].helpers == (("f", "id-a"),)


def test_reasons_say_why() -> None:
    graph = notebook("df = f()", "r = df.sum()", "df['x'] = 1", "np.random.seed(0)", "np.random.rand()", "eval(x)")
    assert texts(graph, "b", "a") == ["reads df from a"]
    assert "changes df after b read it" in texts(graph, "c", "b")
    assert texts(graph, "e", "d") == ["shares NumPy's random state with d"]
    assert "flagged: keeps its place (dynamic)" in texts(graph, "f", "b")


def test_a_read_through_a_helper_says_so() -> None:
    graph = notebook("def f(): return k", "k = 1", "x = f()")
    assert texts(graph, "c", "b") == ["reads k from b through f"]


def test_after_orders_cells_that_share_nothing() -> None:
    graph = notebook("x = 1", "y = 2", "z = 3", after={"a": ("c",)})
    assert letters(graph.topological_order()) == "bca"
    assert texts(graph, "a", "c") == ["--after c"]


def test_a_cycle_is_refused_by_name() -> None:
    with pytest.raises(CycleError, match=r"a →\(x\) b →\(--after\) a\."):
        notebook("x = 1", "y = x", after={"a": ("b",)})


def test_a_cell_after_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError, match=r"a →\(--after\) a\."):
        notebook("x = 1", after={"a": ("a",)})


def test_after_an_unknown_cell_suggests_one() -> None:
    analyses = analyze_cells(["x = 1", "y = 2"])
    cells = [
        Cell(id="1", source="x = 1", analysis=analyses[0], name="clean", is_task=True),
        Cell(id="2", source="y = 2", analysis=analyses[1], name="report", is_task=True, after=("claen",)),
    ]
    with pytest.raises(UnknownCellError, match=r"'claen'.*'report'.*Did you mean 'clean'\?"):
        NotebookGraph.of(cells)


def test_one_name_for_two_tasks_is_refused() -> None:
    analysis = analyze_cells(["x = 1"])[0]
    cells = [Cell(id=id_, source="x = 1", analysis=analysis, name="load", is_task=True) for id_ in ("7", "9")]
    with pytest.raises(DuplicateTaskError, match="'load': cell 7 and cell 9"):
        NotebookGraph.of(cells)


def test_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match="No cell is named 'q'"):
        notebook("x = 1").upstream("q")


def test_upstream_and_downstream_are_transitive() -> None:
    graph = notebook("x = 1", "y = x", "z = y", "w = 1")
    assert letters(graph.upstream("c")) == "ab"
    assert letters(graph.downstream("a")) == "bc"
    assert graph.downstream("d") == ()


def test_a_cell_is_found_by_name_or_id() -> None:
    graph = notebook("x = 1", "y = x")
    assert graph["b"] is graph["id-b"]


def test_a_slice_has_what_names_need_and_no_more() -> None:
    graph = notebook(
        "import numpy as np",
        "np.random.seed(1)",
        "raw = np.random.rand(3)",
        "print(raw)",
        "raw.sort()",
        "other = 1",
        "def score(x): return x * weight",
        "weight = 2",
        "plt.plot(other)",
    )
    assert letters(graph.slice_for(["raw"])) == "abce"
    assert letters(graph.slice_for(["score", "len"])) == "gh"
    assert letters(graph.slice_for(["score", "raw"])) == "abcegh"


def test_a_slice_for_an_unknown_name_suggests_one() -> None:
    with pytest.raises(UnknownVariableError, match=r"'weigth'.*Did you mean 'weight'\?"):
        notebook("weight = 1").slice_for(["weigth"])


def test_plain_cells_publish_private_names() -> None:
    analyses = analyze_cells(["_t = 1", "y = _t"])
    graph = NotebookGraph.of(
        Cell(id=str(place), source="", analysis=analysis) for place, analysis in enumerate(analyses)
    )
    assert graph.inputs("1") == {"_t": "0"}
