"""Executing a run in the environment that its version locked. It is built by the first run that needs it.

The process of the run builds it, so that the worker goes on meanwhile, and what pip or uv says is in the log of the
run. Then Python of the environment takes the place of this process, under the same id and the same claim.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from flowbook import engine
from flowbook.errors import CancelRequested, EnvironmentNotBuilt
from flowbook.promote.kernel import INSIDE
from flowbook.promote.lock import direct_url, has_requirement, requirement
from flowbook.store.environments import alone, environment_folder, is_whole, use
from flowbook.store.queue import QueuedRun
from flowbook.store.snapshots import load_snapshot, sha_of

#: Says that runs of locked versions are executed in their own environment: a setting of the pool.
WANTED = "FLOWBOOK_ENVIRONMENT"
_PACKAGES = ("flowbook", "flowbook_magics", "flowbook_widgets", "flowbook_lab")
_NOT_HANDED_ON = (WANTED, "PYTHONPATH", "PYTHONHOME")
_LONGEST_CAUSE = 400


def is_wanted() -> bool:
    """Whether runs of locked versions have to be executed in an environment that this process is not in."""
    return os.environ.get(WANTED) == "locked"


def go_on_inside(
    run: QueuedRun, manifest: Mapping[str, Any], module: Sequence[str], env: Mapping[str, str]
) -> NoReturn:
    """Execute ``python -m MODULE ...`` in the environment instead of this process, with the variables `env`.

    Raises EnvironmentNotBuilt, NotFound for a lock that is gone, and CancelRequested.
    """
    watcher = engine.engine().watcher
    assert run.version is not None
    building = Building(run.version)
    watcher.enter(run.id, building)
    try:
        folder = _locked_environment(manifest, building)
    finally:
        watcher.leave(run.id)
    python = str(folder / "bin" / "python")
    inside = {
        **{name: value for name, value in env.items() if name not in _NOT_HANDED_ON},
        INSIDE: str(folder),
        "VIRTUAL_ENV": str(folder),
        "PATH": os.pathsep.join([str(folder / "bin"), env.get("PATH", os.defpath)]),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    sys.stdout.flush()
    os.execve(python, [python, "-m", *module], inside)


class Building:
    """The commands that build an environment. Cancelling the run ends the one that is executed."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._process: subprocess.Popen[str] | None = None
        self._reason: str | None = None
        self._told_waiting = False

    def cancel(self, reason: str) -> None:
        """End what is executed, and let nothing follow."""
        self._reason = reason
        if self._process is not None:
            self._process.terminate()

    def resume(self, data: Mapping[str, Any]) -> bool:
        """It does not wait for anybody."""
        return False

    def check(self) -> None:
        """Raise CancelRequested if the run was cancelled."""
        if self._reason is not None:
            raise CancelRequested(self._reason)

    def wait(self) -> None:
        """Another run builds the same environment."""
        if not self._told_waiting:
            print("Another run is building the environment; waiting for it.")  # noqa: T201 - this is the log
            self._told_waiting = True
        self.check()

    def call(self, command: Sequence[str | Path], trouble: str) -> None:
        """Execute a command, whose output is that of the run. Raises EnvironmentNotBuilt if it fails."""
        self.check()
        env = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
        said: list[str] = []
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
        ) as self._process:
            if self._reason is not None:
                self._process.terminate()
            assert self._process.stdout is not None
            for line in self._process.stdout:
                said.append(line)
                sys.stdout.write(line)
        self.check()
        if self._process.returncode:
            cause = cause_of(said) or f"{Path(command[0]).name} exited with status {self._process.returncode}"
            raise EnvironmentNotBuilt(
                f"The environment of version {self.version} {trouble}: {cause}\n"
                "What was done is in the log of the run. The next run builds it again."
            )


def cause_of(said: Sequence[str]) -> str:
    """Why pip or uv failed: the last error of pip, all that uv says from its first one on, else the last line."""
    lines = [line.strip() for line in said if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    if errors:
        return errors[-1][:_LONGEST_CAUSE]
    first = next((at for at, line in enumerate(lines) if line.startswith(("error:", "×"))), len(lines) - 1)
    return " ".join(lines[max(first, 0) :])[:_LONGEST_CAUSE]


def _locked_environment(manifest: Mapping[str, Any], building: Building) -> Path:
    """The folder of the environment, which is whole and in use from now on."""
    opened = engine.engine()
    lock = load_snapshot(opened.database, manifest["lock"])
    required, places = own_flowbook()
    origin = sha_of("\n".join([required or "", *places]).encode())
    folder = environment_folder(opened.settings.home, manifest["lock"], origin)
    with alone(folder, building.wait):
        if not is_whole(folder):
            print(f"Building the environment of version {building.version} in {folder}.")  # noqa: T201 - the log
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder, lock, manifest["python"], building)
            _add_flowbook(folder, required, places, building)
            (folder / "whole").touch(mode=0o600)
        use(folder)
    return folder


def _build(folder: Path, lock: bytes, python: str, building: Building) -> None:
    version = ".".join(python.split(".")[:2])
    uv = shutil.which("uv")
    if uv is not None:
        building.call([uv, "venv", "--seed", "--python", version, folder], "cannot be made")
    else:
        building.call([_interpreter(version), "-m", "venv", folder], "cannot be made")
    requirements = folder / "lock.txt"
    requirements.write_bytes(lock)
    install(folder, ["--no-deps", "-r", requirements], building)
    if not has_requirement(lock, "ipykernel"):
        install(folder, ["ipykernel"], building)


def install(folder: Path, what: Sequence[str | Path], building: Building) -> None:
    """Have uv, else pip, install into the environment."""
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if uv is not None:
        building.call([uv, "pip", "install", "--python", python, *what], "does not resolve")
    else:
        options = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
        building.call([python, "-m", "pip", "install", *options, *what], "does not resolve")


def _interpreter(version: str) -> str:
    """Python of this version, such as ``3.12``. Raises EnvironmentNotBuilt if there is none."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise EnvironmentNotBuilt(
            f"The version was locked with Python {version}, which this machine does not have: install it, or uv, which "
            "fetches it, where the worker runs."
        )
    return found


def _add_flowbook(folder: Path, required: str | None, places: Sequence[str], building: Building) -> None:
    """Give the environment the flowbook of the worker, and see that it works there."""
    if required is not None:
        install(folder, ["--no-deps", required], building)
    for packages in folder.glob("lib/python*/site-packages"):
        (packages / "flowbook-of-the-worker.pth").write_text(
            "".join(f"{place}\n" for place in places), encoding="utf-8"
        )
    program = "import flowbook.promote.execute, ipykernel"
    building.call([folder / "bin" / "python", "-c", program], "does not have what flowbook needs")


def own_flowbook() -> tuple[str | None, tuple[str, ...]]:
    """The flowbook that this process runs: as a requirement if it was installed, else the folders that it is in.

    An editable one, or one that ``PYTHONPATH`` names, is shared as it stands, which needs no build.
    """
    here = Path(__file__).parents[1].resolve()
    try:
        found = distribution("flowbook")
    except PackageNotFoundError:
        found = None
    if found is not None and Path(str(found.locate_file("flowbook"))).resolve() == here:
        return requirement("flowbook", found.version, direct_url(found)), ()
    specs = [find_spec(name) for name in _PACKAGES]
    places = [str(Path(spec.origin).resolve().parents[1]) for spec in specs if spec is not None and spec.origin]
    return None, tuple(dict.fromkeys(places))
