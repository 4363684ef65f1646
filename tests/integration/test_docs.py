"""The examples of the documentation are run as they stand."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from flowbook.cli.root import root

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"


def test_the_python_page_is_one_program(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 9
    program = tmp_path / "page.py"
    program.write_text("\n\n".join(blocks), encoding="utf-8")
    done = subprocess.run([sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Task run 'fetch-Bern' - asking for Bern" in done.stderr


def commands_of(page: str, folder: Path) -> list[str]:
    """What a page has one type, in the `folder` that has its files, and its cells as ``report.ipynb``."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    for language, code in blocks:
        if language == "python":  # its first line is its name
            (folder / code.split()[1]).write_text(code, encoding="utf-8")
    cells = [nbformat.v4.new_code_cell(code.strip()) for language, code in blocks if language == "ipython"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "report.ipynb")
    return [line for language, code in blocks if language == "sh" for line in code.splitlines()]


@pytest.mark.timeout(300)
def test_the_page_on_deployments_is_one_session(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = commands_of("deployments.md", tmp_path)
    assert len(commands) >= 30
    monkeypatch.chdir(tmp_path)
    said: dict[str, str] = {}
    for command in commands:
        said.setdefault(command, served() if command == "python weather.py" else typed(command))
    assert "Serving 'weather/hourly'" in said["python weather.py"]
    assert "are paused until it is served again" in said["python weather.py"]
    assert "Succeeded" in said["flowbook runs show last"]
    assert "Every 1 hour 30 minutes" in said["flowbook schedule next 1h30m"]
    backfilled = said["flowbook deployment backfill weather/daily --from 2026-01-05 --to 2026-01-07 --max-parallel 2"]
    assert backfilled.startswith("Made 2 runs of 'daily', at most 2 at a time")
    assert said["flowbook runs ls --flow weather --since 1h"].count("Succeeded") == 3
    assert said["flowbook runs ls --deployment report --state completed"].count("Succeeded") >= 1
    compared = said["flowbook runs diff prev last --html changes.html"]
    assert "Different: 1 parameter, 1 output." in compared
    assert "  city: 'Chur' → 'Arosa'\n" in compared
    assert "Cell 3 · %%task\n  printed\n    @@ -1,1 +1,1 @@\n    -Chur" in compared
    assert "concurrency_limit 1 → 2" in said["flowbook deployment versions report"]
    assert said["flowbook runs delete 1 --yes"].startswith("Deleted 1 flow run, ")


@pytest.mark.timeout(300)
def test_the_page_for_those_who_come_from_elsewhere_is_one_session(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = commands_of("migrating.md", tmp_path)
    assert len(commands) >= 14
    monkeypatch.chdir(tmp_path)
    said: dict[str, str] = {}
    for command in commands:
        said.setdefault(command, typed(command))
    assert "2026-01-31 us-east 17" in (tmp_path / "out.ipynb").read_text(encoding="utf-8")
    assert said["flowbook runs ls --flow report"].count("Succeeded") == 2
    assert "Succeeded" in said["flowbook runs show last"]
    assert said["flowbook runs ls --deployment report"].count("Succeeded") == 1
    assert "Succeeded" not in said["flowbook runs ls --failed --since 1d"]


def typed(command: str) -> str:
    """What a command of flowbook says. Those that start processes and wait for signals get one of their own."""
    program, *words = shlex.split(command)
    assert program == "flowbook"
    if words[:2] == ["worker", "start"] or words[0] == "run":
        whole = [sys.executable, "-m", "flowbook.cli", *words]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout
    answer = CliRunner().invoke(root, words, prog_name="flowbook")
    differs = words[:2] == ["runs", "diff"]
    assert answer.exit_code == int(differs), f"{command}\n{answer.output}"
    return answer.stdout


def served() -> str:
    """What the program says that serves a flow, until it is told to stop as soon as it serves."""
    command = [sys.executable, "-u", "weather.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        said += process.stdout.read()
    assert process.returncode == 0, said
    return said
