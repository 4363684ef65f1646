"""What the README shows works as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]


def test_the_cells_run_one_after_the_other_as_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("amount,city\n3,Bern\n,Basel\n5,Chur\n")
    cells = [code for code in PYTHON if "__main__" not in code]
    assert any(code.startswith("%%task") for code in cells)
    assert cells[-1].strip() == "%flow run"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code.strip()) for code in cells])
    done = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in done.cells for output in cell.outputs]
    assert any("Chur" in output.get("data", {}).get("text/plain", "") for output in shown)
    assert not [output for output in shown if output.output_type == "error"]


def test_the_program_prints_its_result(tmp_path: Path) -> None:
    (program,) = [code for code in PYTHON if "__main__" in code]
    (tmp_path / "report.py").write_text(program)
    done = subprocess.run([sys.executable, "report.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[6, 6]"
    assert "Task run 'fetch' - fetching monday" in done.stderr


def test_every_command_exists() -> None:
    commands = re.findall(r"^flowbook ([a-z]+(?: [a-z]+)?)", README, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        words = [word for word in command.split() if word != "report"]
        done = subprocess.run(
            [sys.executable, "-m", "flowbook.cli", *words, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"flowbook {command} --help: {done.stderr}"
        assert "Usage:" in done.stdout
