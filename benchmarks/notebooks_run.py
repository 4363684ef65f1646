"""What it takes to run a notebook unattended, beside nbclient (``jupyter execute``) and papermill.

``python benchmarks/notebooks_run.py [CELLS...] [--peer-python PYTHON] [--best-of N]``

`--peer-python` is the Python of an environment with papermill, nbclient and ipykernel. A kernel needs more for each
cell where there are more packages, so a cell is compared with nbclient's only if that is the environment of this Python
as well. The cells are trivial, so what is measured is the way around them: from the start of the process to its end,
its kernel included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from measuring import Cost, best, cost_of_process, header, heading, new_home, row

NBCLIENT = "from nbclient.cli import main; main()"  # the command, whichever `jupyter` the path has first
CLI = [sys.executable, "-m", "flowbook.cli"]
# What the kernel and those that have started it, one after another, have used until its first cell, in steps of 10 ms.
CPU_UNTIL_NOW = """
import json, psutil
kernel = psutil.Process()
print(json.dumps({each.pid: sum(each.cpu_times()[:2]) for each in (kernel, *kernel.parents())}))
"""


def has_papermill(python: str) -> bool:
    """Whether it can be measured; if not, that is said."""
    found = subprocess.run([python, "-c", "import papermill"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not found:
        print(f"papermill is left out: {python} cannot import it; name a Python that can by --peer-python.\n")
    return found


def notebook(path: Path, *sources: str) -> Path:
    """A notebook of these cells."""
    plain = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
                "source": source,
            }
            for number, source in enumerate(sources)
        ],
    }
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def small_cells(count: int) -> list[str]:
    """Sources of cells that do next to nothing."""
    return [f"x{number} = {number}\nprint(x{number})" for number in range(count)]


def commands(python: str, source: Path, out: Path) -> dict[str, list[str]]:
    """The command lines that do the same; `python` is that of the peers."""
    return {
        "flowbook run": [*CLI, "run", str(source), str(out), "--quiet"],
        "jupyter execute": [python, "-c", NBCLIENT, str(source), f"--output={out}"],
        "papermill": [python, "-m", "papermill", str(source), str(out), "--no-progress-bar", "--log-level", "ERROR"],
    }


def cost(name: str, line: list[str]) -> Cost:
    """What one of them takes; the peers find nothing of flowbook's in their path."""
    return cost_of_process(*line, PYTHONPATH=os.environ.get("PYTHONPATH", "") if name == "flowbook run" else "")


def measure(python: str, cells: int, times: int, *, papermill: bool) -> dict[str, Cost]:
    """The best of some runs of each, which take turns."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder, new_home():
        source = notebook(Path(folder, "source.ipynb"), *small_cells(cells))
        lines = commands(python, source, Path(folder, "out.ipynb"))
        for _ in range(times):
            for name, line in lines.items():
                if papermill or name != "papermill":
                    costs.setdefault(name, []).append(cost(name, line))
    return {name: best(found) for name, found in costs.items()}


def until_first_cell(python: str, times: int) -> tuple[float, float, float]:
    """CPU until the first cell, kernel included, in seconds: of the first and of a later run of a worker from its claim
    on, and of nbclient from its start.
    """
    first, later, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder, new_home():
        source, out = notebook(Path(folder, "source.ipynb"), CPU_UNTIL_NOW), Path(folder, "out.ipynb")
        cost_of_process(*CLI, "promote", str(source))
        for _ in range(times):
            one, *others = _claimed(3)
            first.append(one)
            later += others[1:]  # the second makes the server import the rest, beside it
            cost("jupyter execute", commands(python, source, out)["jupyter execute"])
            theirs.append(sum(list(_printed(out).values())[:2]))
    return min(first), min(later), min(theirs)


def _claimed(count: int) -> list[float]:
    """What so many runs of one worker take until their first cells, of the worker and all that it starts for them."""
    from flowbook.deployments import run_deployment
    from flowbook.runs import run_folder

    taken = []
    worker = psutil.Popen([*CLI, "worker", "start"], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    try:
        for _ in range(count):
            time.sleep(3)  # for what the run before leaves to its end
            before = {each.pid: sum(each.cpu_times()[:2]) for each in (worker, *worker.children(recursive=True))}
            run = run_deployment("source", timeout=60)
            now = _printed(run_folder(run.id) / "notebook.ipynb")
            ours = list(now)[: list(now).index(worker.pid) + 1]
            taken.append(sum(now[pid] - before.get(pid, 0.0) for pid in ours))
    finally:
        worker.terminate()
        worker.communicate()
    return taken


def _printed(path: Path) -> dict[int, float]:
    """The CPU that processes had used when the cell was executed, by pid: the kernel first, then who started it."""
    (cell,) = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = json.loads("".join(cell["outputs"][0]["text"]))
    return {int(pid): seconds for pid, seconds in found.items()}


def check_and_promote(times: int, cells: int = 300) -> tuple[Cost, Cost]:
    """The cost of both commands for a notebook of so many cells, each of which reads what the one before writes."""
    with tempfile.TemporaryDirectory() as folder, new_home():
        chain = [f"x{number} = x{number - 1} + 1" for number in range(1, cells)]
        source = str(notebook(Path(folder, "source.ipynb"), "x0 = 0", *chain))
        checks = [cost_of_process(*CLI, "check", source) for _ in range(times)]
        return best(checks), best([cost_of_process(*CLI, "promote", source) for _ in range(times)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", type=int, default=[1, 20, 200])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--best-of", type=int, default=3)
    said = parser.parse_args()
    heading("Notebooks run from a shell")
    papermill = has_papermill(said.peer_python)
    header("cells", "command", "CPU s", "wall s", "CPU, of nbclient's", "CPU, of papermill's", "wall, of papermill's")
    found: dict[int, dict[str, Cost]] = {}
    for cells in said.cells:
        found[cells] = measure(said.peer_python, cells, said.best_of, papermill=papermill)
        least, peer = found[cells]["jupyter execute"], found[cells].get("papermill")
        for name, each in found[cells].items():
            of_peer = (each.cpu / peer.cpu, each.wall / peer.wall) if peer else (None, None)
            row(cells, name, each.cpu, each.wall, each.cpu / least.cpu, *of_peer)
    print()
    header("what", "measured")
    few, many = min(found), max(found)
    if few != many:
        more = {name: (each.cpu - found[few][name].cpu) / (many - few) for name, each in found[many].items()}
        ours, theirs = more["flowbook run"], more["jupyter execute"]
        said_of = f"{ours / theirs:.2f} ({1000 * ours:.1f} and {1000 * theirs:.1f} ms)"
        row(f"CPU of each cell from {few} to {many}, of nbclient's", said_of)
    first, later, theirs = until_first_cell(said.peer_python, said.best_of)
    row("CPU from a claim to the first cell, kernel included: a worker's first run", f"{first:.2f} s")
    row("the same: its later runs; nbclient's, from its start", f"{later:.2f} s; {theirs:.2f} s")
    check, promote = check_and_promote(said.best_of)
    row("CPU of `flowbook check` and of `flowbook promote`, 300 cells", f"{check.cpu:.2f} s and {promote.cpu:.2f} s")


if __name__ == "__main__":
    main()
