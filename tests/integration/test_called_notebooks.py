"""Notebooks that are run without a deployment: by ``flowbook run``, and by ``run_notebook`` from code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select
from tests.waiting import WITHIN, until

from flowbook import flow, run_notebook, task
from flowbook.core.view import RunView
from flowbook.engine import engine
from flowbook.errors import MissingResult, NotebookRunFailed
from flowbook.flow_runs import cancel_flow_run
from flowbook.promote.called import kernel_begun, read_called
from flowbook.run.ids import new_id
from flowbook.runs import RunSummary, find_run, recent_runs, run_folder, run_view
from flowbook.runtime.output import output_of
from flowbook.store.retention import delete_runs
from flowbook.store.schema import flow_run

pytestmark = pytest.mark.slow

PLAIN = ("# parameters\nday: str = 'today'\nn: int = 1", "print(day, n * 2)")
FLOWBOOK = (sys.executable, "-m", "flowbook.cli")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*FLOWBOOK, "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN)


def outputs(path: Path) -> list[str]:
    """The text that each cell of an executed notebook has put out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join("".join(each.get("text", each.get("evalue", ""))) for each in cell["outputs"]) for cell in cells]


def subflows() -> list[RunSummary]:
    with engine().database.read() as connection:
        ids = connection.scalars(select(flow_run.c.id).where(flow_run.c.parent_id.is_not(None))).all()
    return [find_run(run_id) for run_id in ids]


def kernels(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLOWBOOK_RUN_FOLDER") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_notebook_is_run_from_the_shell(make_notebook: Any, tmp_path: Path) -> None:
    path = make_notebook("report", *PLAIN, "import os; print(os.getcwd())")
    out = tmp_path / "out.ipynb"
    done = run(path, out, "-p", "n", "4", "-p", "day='); raise SystemExit #", "--name", "first", "--tag", "a")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert outputs(out)[1:] == ["'); raise SystemExit # 8\n", f"{path.parent}\n"]
    assert json.loads(out.read_text())["metadata"]["language_info"]["pygments_lexer"] == "ipython3"
    first, second, _, where, last = done.stderr.splitlines()
    assert first.startswith("cell 1 · parameters: succeeded (")
    assert second.startswith("cell 2 · print(day, n * 2): succeeded (")
    assert where == f"Run 1 (first) of 'report': {out}"
    assert last.startswith("Succeeded in ")
    (found,) = recent_runs()
    assert (found.name, found.flow, found.state_name, found.trigger) == ("first", "report", "Completed", "call")
    assert found.parameters == {"n": 4, "day": "'); raise SystemExit #"}
    assert found.notebook
    assert Path(found.notebook).read_bytes() == out.read_bytes()


def test_a_cell_that_fails_is_the_last_word(make_notebook: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    out.touch(mode=0o640)
    done = run(make_notebook("report", "print('before')", "1 / 0", "print('never')"), out)
    assert done.returncode == 1
    assert outputs(out) == ["before\n", "division by zero", ""]
    assert out.stat().st_mode & 0o777 == 0o640
    assert "ZeroDivisionError: division by zero" in done.stderr.splitlines()[-1]


def test_a_kernel_that_has_begun_ends_with_a_run_that_cannot_be_recorded(make_notebook: Any) -> None:
    begun: list[psutil.Process] = []
    with pytest.raises(OSError, match="no space"), kernel_begun(read_called(make_notebook(*PLAIN)), new_id()) as kernel:
        begun.append(psutil.Process(kernel.pid))
        raise OSError("no space")
    assert not begun[0].is_running()
    assert not Path(kernel.folder).exists()


def test_a_kernel_that_cannot_begin_fails_the_run_that_is_recorded(
    make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "uprooted"
    folder.mkdir(parents=True)
    spec = {"argv": ["/no/such/python", "-f", "{connection_file}"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    ended = run(make_notebook(*PLAIN), "--kernel", "uprooted")
    assert ended.returncode == 1
    assert "The kernel 'uprooted' did not start" in ended.stderr
    assert "/no/such/python" in ended.stderr
    assert recent_runs()[0].state_name == "Failed"


def test_ctrl_c_cancels_the_run_with_its_kernel(make_notebook: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    path = make_notebook("report", "print('before')", "import time\nprint('now', flush=True)\ntime.sleep(60)")
    with subprocess.Popen([*FLOWBOOK, "run", path, out], stderr=subprocess.PIPE, text=True) as process:
        until(lambda: out.exists() and outputs(out)[1] == "now\n")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WITHIN)
    assert process.returncode == 130, said
    (found,) = recent_runs()
    assert (found.state_name, found.message) == ("Cancelled", "Interrupted.")
    assert outputs(out)[0] == "before\n"
    assert kernels(run_folder(found.id)) == []


def test_three_kinds_of_notebook_give_their_output_to_the_flow_that_calls_them(
    make_notebook: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    path = make_notebook(
        "plain", *PLAIN, "from flowbook.runtime import set_output\nset_output(1)\nset_output(day=day, n=n)"
    )
    monkeypatch.chdir(path.parent)
    make_notebook(
        "outer",
        "%load_ext flowbook",
        "from flowbook import run_notebook",
        "%%task\nlock = __import__('threading').Lock()\ninner = run_notebook('plain.ipynb', parameters={'n': 7})",
        "%%task\nn = inner['n'] + 1",
    )
    make_notebook(
        "flows", "from flowbook import flow", "@flow\nasync def work(rows: list):\n    return [row * 2 for row in rows]"
    )
    make_notebook("silent", "x = 1")

    @task
    def first() -> list[int]:
        return [1, 2]

    @flow
    def every() -> dict[str, Any]:
        rows = first.submit()
        doubled = run_notebook("flows.ipynb", parameters={"rows": rows})
        both = run_notebook.map(["plain.ipynb", "silent.ipynb"])
        return {"doubled": doubled, "both": both.result(), "outer": run_notebook(Path("outer.ipynb"))}

    found = every()
    assert found["doubled"] == [2, 4]
    assert found["both"] == [{"day": "today", "n": 1}, None]
    assert found["outer"] == {"inner": {"day": "today", "n": 7}, "n": 8}
    (mine,) = recent_runs()
    view = run_view(mine.id)
    nodes = {node.name: node for node in view.nodes.values()}
    assert {node.look for node in view.nodes.values()} == {"succeeded"}
    assert set(nodes) == {"first", "work", "plain", "silent", "run plain.ipynb", "run silent.ipynb", "outer"}
    assert nodes["work"].upstream == (nodes["first"].id,)
    outer = run_view(nodes["outer"].id)
    assert [node.name for node in outer.nodes.values() if node.key.startswith("notebook.")] == ["plain"]
    assert "'lock' is left out of the output" in logged(outer)

    deleted = delete_runs(engine().database, home, [mine.id])
    assert deleted.flow_runs == 6
    assert output_of(nodes["plain"].id) is None
    assert not run_folder(nodes["plain"].id).exists()


def logged(view: RunView) -> str:
    return (run_folder(view.id) / "output.log").read_text()


def test_a_notebook_that_fails_raises_what_it_says_and_where(make_notebook: Any) -> None:
    path = make_notebook("broken", "1 / 0")
    with pytest.raises(NotebookRunFailed, match="ZeroDivisionError: division by zero") as caught:
        run_notebook(path)
    (found,) = recent_runs()
    assert (caught.value.number, caught.value.state) == (found.number, "Failed")
    assert str(found.notebook) in str(caught.value)


def test_a_result_that_cannot_be_pickled_is_no_silent_none(make_notebook: Any) -> None:
    path = make_notebook(
        "locks", "import threading\nfrom flowbook import flow", "@flow\ndef make():\n    return threading.Lock()"
    )
    with pytest.raises(MissingResult, match="Flow 'make' returned a lock, which cannot go to another process"):
        run_notebook(path)


def test_it_is_cancelled_with_the_flow_that_called_it(make_notebook: Any) -> None:
    path = make_notebook("slow", "import time\ntime.sleep(60)")

    @flow
    def waits() -> Any:
        return run_notebook(path)

    def cancel() -> None:
        until(lambda: [each for each in subflows() if each.state_name == "Running"])
        cancel_flow_run(recent_runs()[0].id)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    assert waits(return_state=True).is_cancelled()
    canceller.join()
    (slow,) = subflows()
    assert slow.state_name == "Cancelled"
    (node,) = run_view(recent_runs()[0].id).nodes.values()
    assert (node.id, node.look) == (slow.id, "cancelled")
    assert kernels(run_folder(slow.id)) == []


def test_it_crashes_when_the_process_that_called_it_is_killed(make_notebook: Any) -> None:
    path = make_notebook("slow", "import time\ntime.sleep(60)")
    code = f"from flowbook import run_notebook\nrun_notebook({str(path)!r})"
    with subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) as caller:
        until(lambda: [each for each in recent_runs() if each.state_name == "Running"])
        caller.kill()
    ended = until(lambda: [each for each in recent_runs() if each.ended])
    assert [(each.state_name, each.message) for each in ended] == [
        ("Crashed", f"Whoever called it, process {caller.pid}, is gone.")
    ]
