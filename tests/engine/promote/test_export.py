"""A notebook written as a module: it gives the values that its cells give in order, and ruff finds nothing in it."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest

from flowbook.cells import to_python
from flowbook.errors import UsageError
from flowbook.flows import Flow
from flowbook.promote.export.exporting import export_notebook
from flowbook.promote.export.module_text import Module

CORPUS = Path(__file__).parents[2] / "notebooks" / "corpus"
IPYTHON_ONLY = {
    "database": "Cell 2, line 2: other tasks use db, which sqlite3 allows only",
    "files_and_shell": "Cell 7, line 3: `lines = !wc",
    "handles_and_logs": "Cell 22, line 3: `told = !echo $word`",
    "names_of_the_notebook": "Cell 2 cannot be exported: it looks names up",
    "scripts_and_magics": "Cell 1, line 2: `%%writefile",
    "settings_of_libraries": "Cell 3 cannot be exported: what it sets",
    "timing": "Cell 4, line 3: `%timeit",
}
"""Notebooks of the corpus with what has no equal in a module of Python, and how the refusal begins."""

CASES: dict[str, tuple[Sequence[str], dict[str, Any] | None]] = {
    "plain cells keep their place": (
        [
            "# sizes\nn = 3; items = []\nTEN = 10",
            "%%task\nitems.append(n)\na = n * TEN",
            "items.append(a)",
            "%%task\nb = a",
        ],
        None,
    ),
    "a function sees the value that is current": (
        [
            "k = 2\ndef f(x):\n    return x * k",
            "%%task\na = f(1)",
            "k = 5",
            "%%task\nb = f(1)",
            "k = b",
            "%%task\nc = f(k)",
        ],
        None,
    ),
    "a function sees what a task binds": (
        ["def f(x):\n    return x * k", "%%task\nk: int = 3", "%%task\na = f(2)", "%%task\nk = a", "%%task\nb = f(1)"],
        None,
    ),
    "a class sees what a task binds": (
        [
            "from dataclasses import dataclass\nRATE = 2\n@dataclass\nclass P:\n    n: int\n    def go(self):\n"
            "        return self.n * RATE * scale\nscale = 3",
            "%%task\np = P(2)\nn = p.n",
            "%%task\ng = p.go()",
            "%%task\nscale = 4",
            "%%task\nh = p.go()\ndel p",
        ],
        None,
    ),
    "a parameter that a function looks up": (
        ["# parameters\nunit = 3", "def f(x): return x * unit", "%%task\na = f(2)", "unit = 4", "%%task\nb = f(2)"],
        None,
    ),
    "defaults of parameters": (
        [
            "# parameters\nfrom datetime import date\nday: date = date(2026, 1, 2)\nn: int = 2\n"
            "names: list[str] = ['a']\nm = n + 1",
            "%%task\nnames.append(day.isoformat())\ntotal = n + m",
        ],
        None,
    ),
    "what a cached task binds for functions": (
        [
            "def f(x): return x * k",
            "%%task --cache inputs\nk = 3",
            "%%task --cache inputs\na = f(2)",
            "%%task\nk = a",
            "%%task\nb = f(1)",
        ],
        None,
    ),
    "strings of several lines": (
        [
            "%%task\ntext = '''a\n  b\n c''' + f\"\"\"x\n{1 + 1}\n y\"\"\"\n"
            "try:\n    more = '''\nq\n'''\nfinally:\n    pass\n# the end"
        ],
        {"text": "a\n  b\n cx\n2\n y", "more": "\nq\n"},
    ),
    "names of built-ins": (
        ["%%task\nlist = list('ab')\nsum = 0\nfor c in list: sum += 1", "%%task\nn = len(list) + sum"],
        None,
    ),
    "names of flowbook": (["task = 1\nflow = 2", "%%task load\nload = task + flow", "%%task task\nrun = load"], None),
    "await": (
        ["import asyncio", "await asyncio.sleep(0)\nx = 1 + len('a')", "%%task\nawait asyncio.sleep(0)\ny = x + 1"],
        None,
    ),
    "bound on some paths": (
        [
            "%%task\nx = 1\nflag = not x",
            "%%task\nif flag:\n    x = 2",
            "%%task\ny = x",
            "if y > 5:\n    x = 7",
            "z = x",
        ],
        None,
    ),
    "a decorator that fills a table": (
        [
            "TABLE = {}\ndef add(f):\n    TABLE[f.__name__] = f\n    return f",
            "@add\ndef one():\n    return 1",
            "%%task\nn = [f() for f in TABLE.values()]\ndel TABLE",
        ],
        None,
    ),
    "imports that cannot go up": (
        ["import sys\nsys.path.insert(0, 'beside')", "from in_folder import v", "%%task\nw = v + 1"],
        {"w": 42},
    ),
    "star and guarded imports": (
        [
            "try:\n    import nothing_here\nexcept ImportError:\n    nothing_here = None",
            "from math import *",
            "%%task\nq = sqrt(4) if nothing_here is None else 0",
        ],
        {"q": 2.0, "nothing_here": None},
    ),
    "map": (
        [
            "xs = [1, 2, 3]\nys = [4, 5, 6]\nadd = 1",
            "%%task\nmore = [x + 1 for x in xs]",
            "%%task sq --map x=more,y=ys\nlow = min(x, y) + add\nhigh = x * y",
            "%%task\ntotal = sum(low) + sum(high)",
            "%%task --map x=more\nsquare = x * x",
            "%%task\nsquare.append(len(square))",
            "%%task\nlast = list(square)",
            "%%task\nnone = []",
            "%%task --map q=none\nempty = q",
        ],
        {
            "more": [2, 3, 4],
            "low": [3, 4, 5],
            "high": [8, 15, 24],
            "total": 59,
            "square": [4, 9, 16, 3],
            "last": [4, 9, 16, 3],
            "none": [],
            "empty": [],
            "xs": [1, 2, 3],
            "ys": [4, 5, 6],
            "add": 1,
        },
    ),
    "map in turn": (
        ["xs = [1, 2, 3]\nseen = []", "%%task log --map x=xs\nseen.append(x)\nat = len(seen)"],
        {"xs": [1, 2, 3], "seen": [1, 2, 3], "at": [1, 2, 3]},
    ),
    "options": (
        [
            "%%task load --retries 2 --retry-delay 1s,2s --jitter 0.5 --timeout 5m --tags a,b --log-prints "
            "--limit db:2\nx = 1",
            "%%task w --retries 3 --retry-delay exp --cache inputs --cache-for 1h\ny = x + 1",
            "%%task v --cache source --isolate process\nz = 2",
            "%%task u --after v --out q --in y\nq = y + 1\nhidden = q",
        ],
        {"x": 1, "y": 2, "z": 2, "q": 3},
    ),
    "names of options": (
        [
            "%%task\nwait_for = [1]\nreturn_state = 2",
            "%%task\nwait_for.append(return_state)",
            "%%task\ntotal = sum(wait_for) + return_state",
            "%%task --map each=wait_for\nsums = each + return_state",
        ],
        {"wait_for": [1, 2], "return_state": 2, "total": 5, "sums": [3, 4]},
    ),
    "a tuple is shown": (["%%task\nxs = [3]\nxs.append(4), len(xs)", "%%task\nn = len(xs)\n(n, xs)"], None),
    "shell commands": (
        ["%load_ext flowbook", "!echo hi > said.txt", "%%task\nsaid = open('said.txt').read()"],
        {"said": "hi\n"},
    ),
    "deleted": (["%%task\na = 1\nb = 2", "%%task\ndel a", "%%task\nc = b"], None),
}

DRIVER = """
import asyncio, ast, inspect, json, os, runpy, sys

def plain(value):
    if hasattr(value, "to_csv") or hasattr(value, "tolist"):
        return str(value.to_csv() if hasattr(value, "to_csv") else value.tolist())
    shown = repr(sorted(value, key=repr) if isinstance(value, set) else value)
    return "an object" if " at 0x" in shown else shown

async def in_order(cells):
    names = {"__name__": "__main__"}
    for cell in cells:
        code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, names)
        if inspect.isawaitable(done):
            await done
        await asyncio.sleep(0.001)
    return names

for file, flow, cells in json.load(sys.stdin):
    try:
        got = runpy.run_path(file, run_name="exported")[flow]()
        got = asyncio.run(got) if inspect.isawaitable(got) else got
        want = None if cells is None else asyncio.run(in_order(cells))
        said = {"got": {k: plain(v) for k, v in got.items()}}
        said["want"] = want and {k: plain(v) for k, v in want.items() if k in got}
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    print("\\n@@" + json.dumps([file, said]))
"""


def notebook(*cells: str) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])


def corpus_cells(path: Path) -> list[str]:
    parts = ("\n" + path.read_text(encoding="utf-8")).split("\n# %%")[1:]
    sources = [part.partition("\n")[2].strip("\n") for part in parts]
    return [
        source if part.startswith(" plain") else f"%%task\n{source}"
        for part, source in zip(parts, sources, strict=True)
    ]


BOOKS: dict[str, Sequence[str]] = {
    **{path.stem: corpus_cells(path) for path in sorted(CORPUS.glob("*.py")) if path.stem not in IPYTHON_ONLY},
    **{name: cells for name, (cells, _) in CASES.items()},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Module]]:
    """All notebooks as modules in one folder, and what became of each when one process ran it."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "beside").mkdir()
    (folder / "beside" / "in_folder.py").write_text("v = 41\n")
    modules, asked = {}, []
    for number, (name, cells) in enumerate(BOOKS.items()):
        file = folder / f"book_{number}.py"
        modules[name] = export_notebook(notebook(*cells), f"book {number}", str(file), flow=None)
        expected = CASES[name][1] if name in CASES else None
        asked.append((str(file), modules[name].flow, None if expected is not None else [*map(to_python, cells)]))
    environment = {"FLOWBOOK_HOME": str(folder / "home"), "FLOWBOOK_LOGGING_LEVEL": "ERROR", "MPLBACKEND": "agg"}
    done = python(["-c", DRIVER], folder, environment, json.dumps(asked))
    said = dict(json.loads(line[2:]) for line in done.stdout.split("\n") if line.startswith("@@"))
    assert len(said) == len(asked), done.stderr
    return folder, {name: said[file] for name, (file, _, _) in zip(BOOKS, asked, strict=True)}, modules


def python(command: list[str], folder: Path, environment: dict[str, str], typed: str = "") -> Any:
    return subprocess.run(
        [sys.executable, *command],
        input=typed,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=100,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_the_module_gives_what_the_cells_give(exported: Any, name: str) -> None:
    said = exported[1][name]
    assert "error" not in said, said
    expected = CASES[name][1] if name in CASES else None
    if expected is not None:
        assert said["got"] == {key: repr(value) for key, value in expected.items()}
        return
    # a class that a task cell defines is one of its function
    assert {key: re.sub(r"\w+\.<locals>\.", "", value) for key, value in said["got"].items()} == said["want"]
    assert said["got"]


@pytest.mark.slow
def test_ruff_finds_nothing(exported: Any) -> None:
    done = python(["-m", "ruff", "check", "--isolated", "--no-cache", "."], exported[0], {})
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_options_of_a_task_are_those_of_its_cell(exported: Any) -> None:
    text, notes = exported[2]["options"].text, exported[2]["options"].notes
    assert (
        '@task(name="load_task", ' not in text
        and '@task(tags=["a", "b"], retries=2, retry_delay_seconds=[1, 2], retry_jitter_factor=0.5, '
        "timeout_seconds=300, log_prints=True)"
        in text
    )
    assert 'with concurrency("db", occupy=2):' in text
    assert (
        "retry_delay_seconds=exponential_backoff(1), cache_policy=INPUTS + TASK_SOURCE, cache_expiration=3600" in text
    )
    assert notes == ("Task 'v' runs in a process of its own in the notebook, and in a thread in the module.",)


@pytest.mark.slow
def test_it_is_a_script_that_prints_what_the_notebook_shows(tmp_path: Path) -> None:
    cells = [
        "names = ['eu', 'us']",
        "%%task --map name=names\nupper = name.upper()",
        "%%task\nboth = '+'.join(upper); both",
        "both",
    ]
    export_notebook(notebook(*cells), "report", str(tmp_path / "report.py"), flow=None)
    done = python(["report.py"], tmp_path, {"FLOWBOOK_HOME": str(tmp_path / "home")})
    assert (done.returncode, done.stdout) == (0, "EU+US\nEU+US\n"), done.stderr


@pytest.mark.slow
def test_a_task_that_fails_fails_the_script(tmp_path: Path) -> None:
    export_notebook(notebook("%%task\n1 / 0", "%%task\nx = 1"), "report", str(tmp_path / "report.py"), flow=None)
    done = python(["report.py"], tmp_path, {"FLOWBOOK_HOME": str(tmp_path / "home")})
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.slow
def test_independent_tasks_run_side_by_side(tmp_path: Path) -> None:
    cells = [
        "import threading\nmeet = threading.Barrier(2, timeout=60)",
        "%%task\na, b = 1, 2",
        "%%task\nc = a\nmeet.wait()",
        "%%task\nd, e = 3, 4\nmeet.wait()",
    ]
    export_notebook(notebook(*cells), "report", str(tmp_path / "report.py"), flow=None)
    done = python(["report.py"], tmp_path, {"FLOWBOOK_HOME": str(tmp_path / "home")})
    assert done.returncode == 0, done.stderr


FLOWS = [
    "from flowbook import flow, task\nimport math\n%load_ext flowbook",
    "print('stray')",
    "rate = 2\n@task\ndef double(x):\n    return x * rate",
    "%%flow nightly --params 'day:str=\"2026-01-02\",n:int=1'\nout = double(n)\nprint(day, out)\nout + 1",
    "@flow\ndef other():\n    return math.pi",
]


@pytest.mark.slow
def test_a_flow_is_written_with_the_cells_that_it_needs(tmp_path: Path) -> None:
    module = export_notebook(notebook(*FLOWS), "book", str(tmp_path / "nightly.py"), flow="nightly")
    assert "stray" not in module.text
    assert "math.pi" not in module.text
    done = python(["nightly.py"], tmp_path, {"FLOWBOOK_HOME": str(tmp_path / "home")})
    assert (done.returncode, done.stdout) == (0, "2026-01-02 2\n"), done.stderr
    assert "return out + 1" in module.text
    checked = python(["-m", "ruff", "check", "--isolated", "--no-cache", "nightly.py"], tmp_path, {})
    assert checked.returncode == 0, checked.stdout


REFUSED = [
    (["%%task\nx = nowhere + 1"], "Cell 1, line 2: `nowhere` is read, and no cell above binds it"),
    (["%%task --map i=nobody\nx = i"], "Cell 1, line 1: `nobody` is read"),
    (["%%task\nx = 1", "\nexec('q = 1')"], "Cell 2 cannot be exported: it looks names up by their text"),
    (["%%task\nx = 1", "y = _"], "Cell 2 cannot be exported: it uses In, Out or _"),
    (["%%task a --after b\nx = 1", "%%task b\ny = 2"], "Cell 1, line 1: --after b names a task that stands below"),
    (
        ["import numpy as np", "%%task\nnp.seterr(divide='raise')"],
        "Cell 2 cannot be exported: what it sets (np.seterr, np.set_printoptions, decimal) would hold in its own",
    ),
    (["%%task\nx = 1", "\nfiles = !ls"], "Cell 2, line 2: `files = !ls` is IPython's and has no exact equal in Python"),
    (["%%task\nx = 1", "%%bash\nls"], "Cell 2, line 1: `%%bash` is IPython's"),
    (
        ["%%task --cache inputs\nk = 1\ndef f(): return k"],
        "Cell 1, line 3: 'f' looks up 'k', which the same task binds",
    ),
    (["# parameters\nk = 1", "def f(): return k", "%%task\nk = 2"], "Cell 3, line 2: the parameter 'k' is bound again"),
    (["def f(): return k", "%%task\nif f:\n    k: int = 1"], "`k: int = 1` is not allowed in a function"),
    (["x = 1"], "There are no tasks and no flow to export: put `%%task` on a cell's first line"),
]


@pytest.mark.parametrize(("cells", "said"), REFUSED)
def test_what_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path, cells: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        export_notebook(notebook(*cells), "book", str(tmp_path / "book.py"), flow=None)
    assert str(refused.value).startswith(said) or said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "book.py").exists()


@pytest.mark.parametrize("name", IPYTHON_ONLY)
def test_notebooks_that_only_ipython_understands(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as refused:
        export_notebook(notebook(*corpus_cells(CORPUS / f"{name}.py")), "book", str(tmp_path / "book.py"), flow=None)
    assert str(refused.value).startswith(IPYTHON_ONLY[name])


def test_a_flow_has_the_name_of_its_notebook_whatever_stands_in_it(tmp_path: Path) -> None:
    name = """it's "1 of 2"\\ü"""
    export_notebook(notebook("%%task\nx = 1"), name, str(tmp_path / "x.py"), flow=None)
    flows = [each for each in runpy.run_path(str(tmp_path / "x.py"), run_name="x").values() if isinstance(each, Flow)]
    assert [each.name for each in flows] == [name]


def test_files(tmp_path: Path) -> None:
    book, file = notebook("%%task\nx = 1"), tmp_path / "book.py"

    def said(name: str) -> str:
        with pytest.raises(UsageError) as refused:
            export_notebook(book, "book", str(tmp_path / name), flow=None)
        return str(refused.value)

    assert "does not end in .py: call it book.py." in said("book.txt")
    assert "there is no folder" in said("nowhere/book.py")
    (tmp_path / "folder.py").mkdir()
    assert "is a folder" in said("folder.py")
    file.write_text("mine = 1\n")
    assert "exists, and was not written by %flow export; choose another name, or add --force" in said("book.py")
    assert file.read_text() == "mine = 1\n"
    export_notebook(book, "book", str(file), flow=None, force=True)
    first = file.read_text()
    export_notebook(book, "book", str(file), flow=None)
    assert file.read_text() == first
