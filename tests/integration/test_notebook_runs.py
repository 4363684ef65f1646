"""Real notebooks, executed by real kernels in processes of their own: what they leave behind, and how they end."""

from __future__ import annotations

import json
import platform
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.drawn import drawn_in
from tests.notebook_files import write_notebook

from flowbook.core.view import RunView
from flowbook.engine import close_engines
from flowbook.errors import ParameterError
from flowbook.promote import promote, request_run
from flowbook.runs import find_run, run_folder, run_view
from flowbook.schedule.worker import Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True, kw_only=True)
class Book:
    """A notebook of which one run is executed with these parameters."""

    cells: tuple[str, ...]
    parameters: dict[str, Any]
    options: dict[str, Any]


BOOKS: dict[str, Book] = {}


def book(name: str, *cells: str, parameters: dict[str, Any] | None = None, **options: Any) -> str:
    """Has one run of a notebook executed before the tests, with those of all others; returns its name.

    `options` are those of `promote`.
    """
    BOOKS[name] = Book(cells=cells, parameters=parameters or {}, options=options)
    return name


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The folder of the notebooks, the home of their runs, and the id of each run."""

    folder: Path
    home: Path
    ids: dict[str, str]


@pytest.fixture(scope="module")
def executed_books(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """All books, executed by one worker: each run but the first two costs little."""
    folder = tmp_path_factory.mktemp("books")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOOK_HOME", str(drawn_in(folder / "home")))
        patch.delenv("FLOWBOOK_DATABASE_URL", raising=False)
        (folder / "helpers.py").write_text("where = 'beside'")
        ids = {}
        for name, each in BOOKS.items():
            made = promote(write_notebook(folder, name, *each.cells), **each.options)
            ids[name] = request_run(made.name, each.parameters).id
        assert Worker(limit=2, pool="default").run_once() == len(BOOKS)
        close_engines()
    return Executed(folder=folder, home=folder / "home", ids=ids)


@pytest.fixture
def ended(executed_books: Executed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], RunView]]:
    """The run of a book, as it ended."""
    close_engines()
    monkeypatch.setenv("FLOWBOOK_HOME", str(executed_books.home))
    yield lambda name: run_view(executed_books.ids[name])
    close_engines()


def execute(path: Path, parameters: dict[str, Any] | None = None, **options: Any) -> RunView:
    """Promote a notebook and execute one run of it; returns the run as it ended."""
    made = promote(path, **options)
    asked = request_run(made.name, parameters or {})
    assert Worker(limit=1, pool="default").run_once() == 1
    return run_view(asked.id)


def cells(view: RunView) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = executed(view)["cells"]
    return found


def executed(view: RunView) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_folder(view.id) / "notebook.ipynb").read_text())
    return found


def text(cell: dict[str, Any]) -> str:
    """Everything that a cell put out, as text."""
    parts = []
    for output in cell["outputs"]:
        said = output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue") or ""
        parts.append("".join(said))
    return "".join(parts)


def looks(view: RunView) -> list[tuple[str, str]]:
    return [(node.name, node.look) for node in view.nodes.values()]


OUTPUTS = book(
    "outputs",
    "# parameters\nfrom datetime import date\nday: date = date(2026, 1, 1)\nregion = 'eu'",
    "import helpers, os, sys\nrows = [1, 2, 3]\nprint(helpers.where, os.getcwd())",
    "print(repr(day), region)\nprint('to stderr', file=sys.stderr)",
    "import matplotlib.pyplot as plt\nplt.plot(rows);",
    "total = sum(rows)\ntotal",
    parameters={"day": "2026-02-03", "region": "'); raise SystemExit #"},
)


def test_the_executed_notebook_holds_each_cells_output_state_and_duration(
    ended: Callable[[str], RunView], executed_books: Executed
) -> None:
    view = ended(OUTPUTS)
    assert view.look == "succeeded", view.state
    made = cells(view)
    assert [cell["metadata"]["flowbook"]["state"] for cell in made] == ["succeeded"] * 5
    assert all(cell["metadata"]["flowbook"]["duration"] >= 0 for cell in made)
    assert [cell["metadata"]["flowbook"]["attempt"] for cell in made] == [1] * 5
    assert text(made[1]) == f"beside {executed_books.folder}\n"
    assert text(made[2]) == "datetime.date(2026, 2, 3) '); raise SystemExit #\nto stderr\n"
    assert "image/png" in made[3]["outputs"][0]["data"]
    assert text(made[4]) == "6"
    language = executed(view)["metadata"]["language_info"]
    assert (language["name"], language["version"]) == ("python", platform.python_version())
    assert text(made[0]).splitlines()[:2] == ["Parameters of this run:", "day = datetime.date(2026, 2, 3)"]
    assert [name for name, _ in looks(view)] == [
        "cell 1 · parameters",
        "cell 2 · rows",
        "cell 3 · print(repr(day), region)",
        "cell 4 · plt.plot(rows);",
        "cell 5 · total",
    ]
    by_name = {node.name.split()[1]: node for node in view.nodes.values()}
    assert by_name["5"].upstream == (by_name["2"].id,)


PAGE = book(
    "page",
    "from IPython.display import HTML, Markdown\n"
    "display(HTML('<script>alert(1)</script><img src=\"https://example.org/x.png\">'), Markdown('$x^2$'))",
)


def test_the_files_of_a_run_are_private_and_ask_nobody(ended: Callable[[str], RunView]) -> None:
    view = ended(PAGE)
    found = find_run(view.id)
    assert found.notebook and found.html and found.svg
    page = Path(found.html).read_text()
    assert "default-src 'none'; img-src data:" in page
    outside = re.findall(r"""<(?:script|link|iframe)[^>]*(?:src|href)=["']?([^"'> ]+)""", page)
    assert outside == []
    assert "<svg" in page
    assert "Succeeded in" in page
    assert Path(found.svg).read_text().startswith("<svg")
    for file in run_folder(view.id).iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


FAILURES: list[tuple[str, str, str, str]] = [
    ("raises", "print('before')\nraise ValueError('no such column')", "ValueError: no such column", "before\n"),
    ("exit", "import sys\nprint('x')\nsys.exit(0)", "SystemExit: the cell called sys.exit(0)", "x\n"),
    ("quit", "exit()", "SystemExit: the cell called sys.exit()", ""),
    (
        "killed",
        "import os, time\nprint('x', flush=True); time.sleep(0.5)\nos.kill(os.getpid(), 9)",
        "killed by SIGKILL, perhaps for lack of",
        "x",
    ),
    ("left", "import os\nos._exit(0)", "KernelDied: The kernel died: it exited with status 0", ""),
    ("asks", "name = input('Name? ')", "the cell asked for input, as by input(), and nobody is there to answer", ""),
]


for name, code, _, _ in FAILURES:
    book(name, "x = 1", code, "print('never')", force=True)


def test_each_way_to_fail_has_a_name(ended: Callable[[str], RunView]) -> None:
    for name, _, sentence, said in FAILURES:
        view = ended(name)
        assert (view.flow, view.look) == (name, "failed")
        assert view.state is not None
        assert sentence in (view.state.message or ""), name
        assert [look for _, look in looks(view)] == ["succeeded", "failed"], name
        made = cells(view)
        assert made[1]["metadata"]["flowbook"]["state"] == "failed", name
        assert text(made[1]).startswith(said), name
        assert made[2]["outputs"] == [], name
        assert "flowbook" not in made[2]["metadata"], name
        assert find_run(view.id).html, name


def test_what_takes_too_long_is_ended_and_says_which_limit_it_had(make_notebook: Any) -> None:
    nap = "import time; time.sleep(300)"
    limits: list[tuple[Path, dict[str, float]]] = [
        (make_notebook("cell", "print('kept')", nap, "print('never')"), {"cell_timeout": 1}),
        (make_notebook("tasks", "%load_ext flowbook", f"%%task nap\n{nap}\nx = 1", "print(x)"), {"timeout": 4}),
        (make_notebook("calls", f"from flowbook import flow\n@flow\ndef calls():\n    {nap}"), {"timeout": 4}),
    ]
    asked = [request_run(promote(path, **limit).name) for path, limit in limits]
    assert Worker(limit=2, pool="default").run_once() == 3
    ends = [find_run(each.id) for each in asked]
    assert [(end.flow, end.state_name) for end in ends] == [(name, "TimedOut") for name in ("cell", "tasks", "calls")]
    assert [end.why for end in ends] == [
        "TaskTimeoutError: The cell took longer than its timeout of 1s.",
        *["TaskTimeoutError: The run took longer than its timeout of 4s."] * 2,
    ]
    assert text(cells(run_view(asked[0].id))[0]) == "kept\n"


TASKS = book(
    "tasks",
    "%load_ext flowbook\nimport time, threading\nmeet = threading.Barrier(2, timeout=60)",
    "# parameters\nn: int = 2",
    "%%task base\nrows = list(range(n))",
    "%%task left\nmeet.wait(); time.sleep(0.3); print('left', n)\na = sum(rows)",
    "%%task right\nmeet.wait(); time.sleep(0.6); print('right', n)\nb = max(rows)",
    "print('plain')",
    "total = a + b\ntotal",
    parameters={"n": 5},
)


def test_task_cells_run_side_by_side_and_print_under_their_own_cell(ended: Callable[[str], RunView]) -> None:
    view = ended(TASKS)
    assert view.look == "succeeded", view.state
    made = cells(view)
    assert [text(cell) for cell in made] == [
        "",
        "Parameters of this run:\nn = 5",
        "",
        "left 5\n",
        "right 5\n",
        "plain\n",
        "14",
    ]
    assert [cell["metadata"].get("flowbook", {}).get("task") for cell in made] == [
        "cell 1 · meet",
        "cell 2 · parameters",
        "base",
        "left",
        "right",
        "cell 6 · print('plain')",
        "cell 7 · total",
    ]
    names = {node.id: node.name for node in view.nodes.values()}
    edges = {(names[source], node.name) for node in view.nodes.values() for source in node.upstream}
    assert edges == {
        ("cell 1 · meet", "left"),
        ("cell 1 · meet", "right"),
        ("cell 2 · parameters", "base"),
        ("cell 2 · parameters", "left"),
        ("cell 2 · parameters", "right"),
        ("base", "left"),
        ("base", "right"),
        ("left", "cell 7 · total"),
        ("right", "cell 7 · total"),
    }


FAILED_TASK = book(
    "failed_task",
    "%load_ext flowbook",
    "%%task one\nx = 1",
    "%%task bad\ny = x / 0",
    "%%task other\nz = x + 1",
    "print(y)",
)


def test_a_failed_task_cell_ends_the_run_with_its_error(ended: Callable[[str], RunView]) -> None:
    view = ended(FAILED_TASK)
    assert view.state is not None
    assert view.state.message == "ZeroDivisionError: division by zero"
    assert dict(looks(view)) == {"one": "succeeded", "bad": "failed", "other": "succeeded"}
    made = cells(view)
    assert made[2]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert made[2]["metadata"]["flowbook"]["state"] == "failed"
    assert made[4]["outputs"] == []


DIES = book(
    "dies",
    "%load_ext flowbook\nimport os, time",
    "%%task slow\ntime.sleep(60)\nx = 1",
    "time.sleep(0.5)\nos.kill(os.getpid(), 9)",
)


def test_tasks_in_a_kernel_that_dies_are_not_left_running(ended: Callable[[str], RunView]) -> None:
    view = ended(DIES)
    assert view.look == "failed"
    assert dict(looks(view))["slow"] == "crashed"


FLOWS = book(
    "flows",
    "from flowbook import flow, task",
    "rate = 3",
    "exploring = 1 / 0",
    "@task\ndef double(x):\n    print('doubling', x)\n    return x * rate",
    "from datetime import date\n@flow\ndef nightly(day: date, k: int = 1):\n"
    "    print(repr(day))\n    return [double.submit(i) for i in range(k)]",
    "nightly()",
    parameters={"day": "2026-02-03", "k": 2},
)


def test_a_flow_is_executed_with_only_the_cells_it_needs(ended: Callable[[str], RunView]) -> None:
    view = ended(FLOWS)
    assert view.look == "succeeded", view.state
    assert (view.flow, view.parameters) == ("nightly", {"day": "2026-02-03", "k": 2})
    assert looks(view) == [("double", "succeeded"), ("double-1", "succeeded")]
    made = cells(view)
    assert len(made) == 7
    assert made[2]["outputs"] == made[5]["outputs"] == []
    assert made[6]["source"] == ["# flowbook ran nightly(day=datetime.date(2026, 2, 3), k=2)"]
    assert "datetime.date(2026, 2, 3)" in text(made[6])
    assert "doubling 1" in text(made[6])


FLOW = "from flowbook import flow"
FLOW_RAISES = book("flow_raises", FLOW, "@flow\ndef nightly():\n    raise ValueError('bad day')")
FLOW_ENDS = book("flow_ends", FLOW, "@flow\ndef nightly():\n    import os; os._exit(3)")
FLOW_NEEDS = book("flow_needs", f"{FLOW}\nrate = 1 / 0", "@flow\ndef nightly():\n    return rate")


def test_a_flow_that_fails_or_takes_its_kernel_along_and_a_cell_that_it_needs_and_that_fails(
    ended: Callable[[str], RunView],
) -> None:
    raises, ends, needs = ended(FLOW_RAISES), ended(FLOW_ENDS), ended(FLOW_NEEDS)
    assert raises.state is not None
    assert (raises.look, "ValueError: bad day" in (raises.state.message or "")) == ("failed", True), raises.state
    assert ends.state is not None
    died = "The kernel died: it exited with status 3"
    assert (ends.look, died in (ends.state.message or "")) == ("crashed", True), ends.state
    assert needs.state is not None
    assert (needs.look, needs.state.message) == ("failed", "ZeroDivisionError: division by zero")


def test_a_notebook_in_another_language_is_run_cell_by_cell(
    make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of flowbook is in that kernel; here it only calls itself something else than Python."""
    spec = tmp_path / "share" / "kernels" / "other"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Other", "language": "other"}))
    monkeypatch.setenv("JUPYTER_PATH", str(spec.parent.parent))
    view = execute(make_notebook("report", "x = 1", "print(x + 1)", kernel="other", language="other"))
    assert view.look == "succeeded", view.state
    assert looks(view) == [("cell 1 · x = 1", "succeeded"), ("cell 2 · print(x + 1)", "succeeded")]
    assert text(cells(view)[1]) == "2\n"
    with pytest.raises(ParameterError, match="has no parameter 'x'"):
        request_run("report", {"x": 1})


INACTIVE = book("inactive", "%load_ext flowbook", "x = 1", "%deploy", "%flow run")


def test_deploy_and_its_like_do_nothing_in_an_unattended_run(ended: Callable[[str], RunView]) -> None:
    view = ended(INACTIVE)
    assert view.look == "succeeded", view.state
    made = cells(view)
    assert "does nothing here" in text(made[2])
    assert "does nothing here" in text(made[3])


def test_a_run_that_outlasts_the_grace_period_says_why_it_ended(
    make_notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbook.schedule.worker._SAY_LAST", 60.0)  # the page is made last
    promote(make_notebook("report", "print('begun', flush=True)", "import time\ntime.sleep(600)"))
    asked = request_run("report")
    worker = Worker(limit=1, pool="default", grace=0.2)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while find_run(asked.id).total < 2:
        time.sleep(0.1)
    worker.stop()
    thread.join(90)
    view = run_view(asked.id)
    assert view.look == "crashed"
    assert view.state is not None
    assert "the worker was told to stop" in (view.state.message or "")
    assert text(cells(view)[0]) == "begun\n"
    assert find_run(asked.id).html


def test_a_folder_that_is_gone_is_said(make_notebook: Any, tmp_path: Path) -> None:
    path = make_notebook("report", "x = 1")
    promote(path)
    path.parent.rename(tmp_path / "elsewhere")
    state = run_again().state
    assert state is not None
    assert "is gone; runs are executed in it." in (state.message or "")


def test_data_files_that_are_gone_are_said(make_notebook: Any) -> None:
    path = make_notebook("report", "x = open('rates.csv').read()")
    rates, prices = path.parent / "rates.csv", path.parent / "prices"
    rates.write_text("1")
    prices.mkdir()
    promote(path, data=("prices",))
    rates.unlink()
    view = run_again()
    assert view.state is not None
    assert "No such file or directory: 'rates.csv'" in (view.state.message or "")
    log = (run_folder(view.id) / "output.log").read_text()
    assert f"Warning: rates.csv, which the notebook reads, is gone from {path.parent}." in log
    prices.rmdir()
    view = run_again()
    assert view.state is not None
    assert f"The data file prices, which the notebook needs, is gone from {path.parent}." in (view.state.message or "")
    assert not view.nodes  # no cell was executed


def run_again() -> RunView:
    """Execute one more run of the notebook ``report``."""
    asked = request_run("report")
    Worker(limit=1, pool="default").run_once()
    return run_view(asked.id)


ENDLESS = book("endless", "for n in range(40):\n    print('x' * 99_999)", "for n in range(9):\n    print(n, end='\\r')")


def test_endless_output_is_cut_and_said(ended: Callable[[str], RunView]) -> None:
    view = ended(ENDLESS)
    made = cells(view)
    assert len(text(made[0])) < 1_100_000
    assert text(made[0]).endswith("… flowbook left out the rest of this output.\n")
    assert text(made[1]) == "8\r"
