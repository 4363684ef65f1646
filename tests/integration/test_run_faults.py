"""What can go wrong around an unattended run: each ends with its cause as the message, keeps what was done until then,
and leaves the next run alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from flowbook import engine
from flowbook.core.view import RunView
from flowbook.promote import promote, request_run
from flowbook.runs import run_folder, run_view
from flowbook.schedule.worker import Worker
from flowbook.store.schema import flow_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits are set from another process"),
]

#: The cells of a notebook that goes wrong as its parameter says. The folder is gone at once: one that is emptied file
#: by file is not empty if the run's notebook is saved there meanwhile.
CELLS = (
    "%load_ext flowbook\nimport atexit, os, resource, signal",
    "# parameters\nfault: str = 'none'\ncount: int = 1",
    "def kill():\n    os.kill(os.getpid(), signal.SIGKILL)\nprint('begun')",
    "if fault == 'prelude':\n    kill()\nif fault == 'import':\n    import beside",
    "%%task one\nif fault == 'task':\n    kill()\nx = count",
    "print('x is', x)\n"
    "if fault == 'between':\n    get_ipython().events.register('pre_execute', kill)\n"
    "if fault == 'end':\n    atexit.register(kill)\n"
    "if fault == 'folder':\n    folder = os.environ['FLOWBOOK_RUN_FOLDER']\n    os.rename(folder, folder + '.gone')\n"
    "if fault == 'disk':\n    resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))\n"
    "    display({'text/plain': 'x' * (9 << 20)}, raw=True)",
    "y = x + 1\nif fault == 'finish':\n    get_ipython().events.register('pre_execute', kill)",
)

KILLED = "The kernel died: killed by SIGKILL"

#: The fault; how its run ends, and with which message; and how many of the cells 3 to 7 have succeeded, at
#: least: of a task that ended just before the kernel was killed the record may be lost. With a full disk nobody knows.
KILLS: list[tuple[str, str, str, int | None]] = [
    ("prelude", "failed", KILLED, 1),
    ("task", "failed", KILLED, 2),
    ("between", "failed", KILLED, 3),
    ("finish", "failed", KILLED, 4),
    ("end", "succeeded", "", 5),
]
LOSSES: list[tuple[str, str, str, int | None]] = [
    ("import", "failed", "ModuleNotFoundError: No module named 'beside'", 1),
    ("folder", "succeeded", "", 5),
    ("disk", "failed", "notebook.ipynb cannot be written to the folder of the run", None),
]


def states_of(view: RunView) -> list[str]:
    """The state that stands in each of the cells 3 to 7 of the executed notebook."""
    cells = json.loads((run_folder(view.id) / "notebook.ipynb").read_text())["cells"]
    return [cell["metadata"].get("flowbook", {}).get("state") for cell in cells[2:]]


@pytest.fixture
def faulty(make_notebook: Any) -> str:
    """A deployment whose runs go wrong in the way that they are told to."""
    path: Path = make_notebook("faulty", *CELLS)
    beside = path.parent / "beside.py"
    beside.write_text("")
    name = promote(path, concurrency_limit=2).name
    beside.unlink()
    return name


@pytest.mark.parametrize("faults", [KILLS, LOSSES], ids=["kills", "losses"])
def test_each_fault_has_a_name_and_the_next_run_succeeds(
    faulty: str, faults: list[tuple[str, str, str, int | None]]
) -> None:
    asked = {fault: request_run(faulty, {"fault": fault}).id for fault, *_ in faults}
    following = request_run(faulty).id
    assert Worker(limit=2, pool="default").run_once() == len(faults) + 1
    ended = {}
    for fault, _, message, count in faults:
        view = run_view(asked[fault])
        assert view.state is not None
        said = view.state.message or ""
        succeeded = states_of(view).count("succeeded") if count is not None else None
        kept = count if succeeded is None or succeeded >= (count or 0) else succeeded
        ended[fault] = (view.look, message if message in said else said, kept)
        assert all(node.state is not None and node.state.is_final() for node in view.nodes.values()), fault
    assert ended == {fault: (look, message, count) for fault, look, message, count in faults}
    assert run_view(following).look == "succeeded"


def test_a_run_that_cannot_begin_says_why(make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "share" / "kernels" / "stillborn"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Stillborn", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(spec.parent.parent))
    promote(make_notebook("report", "# parameters\nn: int = 1", kernel="stillborn"))
    asked, ill = request_run("report"), request_run("report")
    with engine.engine().database.write() as connection:  # as by a program that asks without the check
        connection.execute(update(flow_run).where(flow_run.c.id == ill.id).values(parameters='{"n": "many"}'))
    Worker(limit=1, pool="default").run_once()
    view = run_view(asked.id)
    assert view.state is not None
    assert view.look == "failed"
    assert "The kernel 'stillborn' did not start: killed by SIGKILL" in (view.state.message or "")
    assert states_of(view) == []
    refused = run_view(ill.id)
    assert refused.state is not None
    assert refused.look == "failed"
    assert "Parameter 'n' of run" in (refused.state.message or "")


def test_a_cell_that_wants_more_memory_than_its_pool_gives_says_how_much_that_is(make_notebook: Any) -> None:
    path = make_notebook("hungry", "print('kept')", "rows = []\nwhile True:\n    rows.append(bytearray(50_000_000))")
    promote(path, job_variables={"memory_mb": 600})
    asked = request_run("hungry")
    Worker(limit=1, pool="default").run_once()
    view = run_view(asked.id)
    assert [node.look for node in view.nodes.values()] == ["succeeded", "failed"]
    assert view.state is not None
    why = "MemoryError: no more can be had; the pool lets each process of this run allocate 600 MiB"
    assert view.state.message == why


def test_a_kernel_that_is_gone_since_is_stood_in_for_by_one_of_python_or_named(
    make_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    asked = []
    for name, language in (("old", "python"), ("ir", "R")):
        spec = tmp_path / "share" / "kernels" / name
        spec.mkdir(parents=True)
        (spec / "kernel.json").write_text(
            json.dumps({"argv": [sys.executable], "display_name": name, "language": language})
        )
        promote(make_notebook(f"for-{name}", "x = 1", kernel=name, language=language))
        asked.append(request_run(f"for-{name}"))
    shutil.rmtree(tmp_path / "share")
    Worker(limit=1, pool="default").run_once()
    in_python, in_r = (run_view(each.id) for each in asked)
    assert in_python.look == "succeeded"
    log = (run_folder(asked[0].id) / "output.log").read_text()
    assert "Warning: The kernel 'old' is not installed where the run is executed, so 'python3' executes it." in log
    assert in_r.look == "failed"
    assert in_r.state is not None
    assert "The kernel 'ir' is not installed where the run is executed. Installed: python3" in (
        in_r.state.message or ""
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_opened(make_notebook: Any) -> None:
    path: Path = make_notebook("report", "x = 1")
    promote(path)
    asked = request_run("report")
    path.parent.chmod(0)
    try:
        Worker(limit=1, pool="default").run_once()
    finally:
        path.parent.chmod(0o700)
    state = run_view(asked.id).state
    assert state is not None
    assert "may not be opened by the user of the worker" in (state.message or "")
