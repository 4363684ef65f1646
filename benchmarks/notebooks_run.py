"""What it takes to run a notebook from a shell: ``flowbook run`` beside nbclient's ``jupyter execute`` and papermill.

``python benchmarks/notebooks_run.py [CELLS...] [--peers FOLDER] [--best-of N]``

The peers are installed into a virtual environment of their own, which `--peers` keeps for the next time. The cells are
trivial, so what is measured is the way around them: from the start of the process to its end, its kernel included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from measuring import Cost, best, cost_of_process, header, heading, new_home, row

PACKAGES = ("papermill", "nbclient", "ipykernel", "jupyter-core")


def peers_in(folder: Path) -> Path:
    """The folder with the commands of the peers, which are installed if they are not there."""
    commands = folder / "bin"
    if not (commands / "papermill").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(commands / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return commands


def notebook(path: Path, cells: int) -> Path:
    """A notebook of so many small cells."""
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
                "source": f"x{number} = {number}\nprint(x{number})",
            }
            for number in range(cells)
        ],
    }
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def commands(peers: Path, source: Path, out: Path) -> dict[str, list[str]]:
    """The command lines that do the same."""
    return {
        "flowbook run": [sys.executable, "-m", "flowbook.cli", "run", str(source), str(out), "--quiet"],
        "jupyter execute": [str(peers / "jupyter"), "execute", str(source), f"--output={out}"],
        "papermill": [str(peers / "papermill"), str(source), str(out), "--no-progress-bar", "--log-level", "ERROR"],
    }


def measure(peers: Path, cells: int, times: int) -> dict[str, Cost]:
    """The best of some runs of each, which take turns."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder, new_home():
        source = notebook(Path(folder, "source.ipynb"), cells)
        lines = commands(peers, source, Path(folder, "out.ipynb"))
        for _ in range(times):
            for name, line in lines.items():
                own = {"PYTHONPATH": os.environ.get("PYTHONPATH", "") if name == "flowbook run" else ""}
                costs.setdefault(name, []).append(cost_of_process(*line, **own))
    return {name: best(found) for name, found in costs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", type=int, default=[1, 20, 200])
    parser.add_argument("--peers", type=Path, help="where the peers are installed, or are to be")
    parser.add_argument("--best-of", type=int, default=3)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peers = peers_in((said.peers or Path(folder, "peers")).absolute())
        heading("Notebooks run from a shell")
        header("cells", "command", "CPU s", "wall s", "CPU, of papermill's", "wall, of papermill's")
        for cells in said.cells:
            found = measure(peers, cells, said.best_of)
            least = found["papermill"]
            for name, cost in found.items():
                row(cells, name, cost.cpu, cost.wall, cost.cpu / least.cpu, cost.wall / least.wall)


if __name__ == "__main__":
    main()
