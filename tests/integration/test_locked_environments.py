"""A worker of a pool with ``environment: locked`` executes a version with what was installed where it was deployed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowbook.cli.root import root
from flowbook.promote import promote, request_run
from flowbook.runs import RunSummary, find_run, run_folder

pytestmark = pytest.mark.slow


def wheel(folder: Path, name: str, number: str, files: Mapping[str, str]) -> Path:
    """A wheel with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{number}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    inside = {**files, **{f"{stem}.dist-info/{file}": text for file, text in info.items()}}
    record = "".join(f"{file},,\n" for file in [*inside, f"{stem}.dist-info/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**inside, f"{stem}.dist-info/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def tiny(folder: Path, number: str) -> Path:
    return wheel(folder, "tiny-locked", number, {"tiny_locked.py": f"VERSION = {number!r}\n"})


def unpacked(path: Path, folder: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return str(folder)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip, or uv, finds; and an environment to deploy from: tiny-locked 1 and ipykernel.

    None of it is downloaded: what stands for ipykernel has the environment find everything that the tests have, behind
    all that it has itself, by a ``.pth`` file.
    """
    borrowed = wheel(
        tmp_path / "index", "ipykernel", version("ipykernel"), {"borrowed.pth": sysconfig.get_path("purelib") + "\n"}
    )
    for each in (borrowed, tiny(tmp_path / "wheels", "1")):
        unpacked(each, tmp_path / "deployed")
    monkeypatch.syspath_prepend(str(tmp_path / "deployed"))
    monkeypatch.setattr("flowbook.promote.lock.distributions", lambda: distributions(path=[str(tmp_path / "deployed")]))
    for program in ("PIP", "UV"):
        monkeypatch.setenv(f"{program}_NO_INDEX", "1")
        monkeypatch.setenv(f"{program}_FIND_LINKS", str(borrowed.parent))
    return borrowed.parent


@pytest.fixture
def with_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments are built by the uv of these tests, where it is installed; it takes pip itself from its index."""
    monkeypatch.setenv("PATH", os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments are built by pip."""
    folders = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(each for each in folders if shutil.which("uv", path=each) is None))


def executed(name: str, pool: str, worker_path: str, runs: int = 1) -> list[RunSummary]:
    """Runs of the deployment, executed by a worker of the pool that has `worker_path` in front of its own path."""
    asked = [request_run(name) for _ in range(runs)]
    command = [sys.executable, "-m", "flowbook.cli", "worker", "start", "--run-once", "--pool", pool]
    path = os.pathsep.join([worker_path, *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: a run did not complete
    return [find_run(each.id) for each in asked]


def output(run: RunSummary) -> str:
    return (run_folder(run.id) / "output.log").read_text()


def executed_notebook(run: RunSummary) -> str:
    return (run_folder(run.id) / "notebook.ipynb").read_text()


def cli(*args: str) -> None:
    answer = CliRunner().invoke(root, args, prog_name="flowbook")
    assert answer.exit_code == 0, answer.output


@pytest.mark.timeout(300)
def test_a_run_has_what_was_installed_where_its_version_was_deployed(
    make_notebook: Any, tmp_path: Path, home: Path, index: Path, with_uv: None
) -> None:
    at_worker = unpacked(tiny(tmp_path / "wheels", "2"), tmp_path / "at-worker")
    cli("work-pool", "create", "locked", "--environment", "locked")
    path = make_notebook("book", "import sys, tiny_locked", "print('tiny', tiny_locked.VERSION, 'in', sys.prefix)")
    promote(path, lock=True, pool="locked", concurrency_limit=2)

    (failed,) = executed("book", "locked", at_worker)
    assert failed.look == "failed"
    first = str(failed.message).splitlines()[0]
    assert "The environment of version 1 does not resolve: " in first
    assert "tiny-locked==1" in first

    environments = home / "environments"
    (half,) = [each for each in environments.iterdir() if each.is_dir()]
    assert not (half / "whole").exists()
    tiny(index, "1")
    both = executed("book", "locked", at_worker, runs=2)
    for run in both:
        assert run.look == "succeeded", output(run)
        assert f"tiny 1 in {half}" in executed_notebook(run)
    built = "".join(map(output, both))
    assert built.count("Building the environment of version 1") == 1, "one of them builds it, and the other waits"

    promote(path, pool="default")
    (own,) = executed("book", "default", at_worker)
    assert f"tiny 2 in {sys.prefix}" in executed_notebook(own)


@pytest.mark.timeout(300)
def test_a_python_flow_has_what_was_installed_where_it_was_deployed(
    tmp_path: Path, home: Path, index: Path, without_uv: None
) -> None:
    at_worker = unpacked(tiny(tmp_path / "wheels", "2"), tmp_path / "at-worker")
    tiny(index, "1")
    file = tmp_path / "locked_flow.py"
    file.write_text(
        "import sys\nfrom flowbook import flow\n\n@flow\ndef told():\n"
        "    import tiny_locked\n    print('tiny', tiny_locked.VERSION, 'in', sys.prefix)\n"
    )
    cli("work-pool", "create", "locked", "--environment", "locked")
    cli("promote", f"{file}:told", "--lock", "--pool", "locked", "--name", "told")

    (run,) = executed("told", "locked", at_worker)
    assert run.look == "succeeded", output(run)
    (environment,) = [each for each in (home / "environments").iterdir() if each.is_dir()]
    assert f"tiny 1 in {environment}" in output(run)
