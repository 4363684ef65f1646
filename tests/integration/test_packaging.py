"""The package as a person gets it: sdist, wheel made from it, installation in place; all without the system's Node."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SOURCES = Path(__file__).parents[2]
PACKAGES = ("flowbook", "flowbook_magics", "flowbook_widgets", "flowbook_lab")
LABEXTENSION = "share/jupyter/labextensions/flowbook"
NODE = {"node", "nodejs", "npm", "npx", "corepack"}
UV = importlib.util.find_spec("uv") is not None


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What the command printed; it fails the test when the command fails."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=500)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{said}"
    return said


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose PATH has every program of the system but Node's."""
    programs = tmp_path_factory.mktemp("bin")
    for folder in map(Path, ("/usr/local/bin", "/usr/bin", "/bin")):
        for program in folder.iterdir() if folder.is_dir() else ():
            link = programs / program.name
            if program.name not in NODE and not link.is_symlink():
                link.symlink_to(program)
    assert not any(shutil.which(name, path=str(programs)) for name in NODE)
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "PATH": str(programs), "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """The files that were built, with the names of what is in them (in the sdist: below its folder)."""

    sdist: Path
    wheel: Path
    in_sdist: frozenset[str]
    in_wheel: frozenset[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, without_node: dict[str, str]) -> Built:
    """The sdist, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    installer = ["--installer", "uv"] if UV else []
    run(sys.executable, "-m", "build", *installer, "--outdir", out, SOURCES, env=without_node)
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as tar:
        in_sdist = frozenset(name.partition("/")[2] for name in tar.getnames())
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = frozenset(archive.namelist())
    return Built(sdist=sdist, wheel=wheel, in_sdist=in_sdist, in_wheel=in_wheel)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A virtual environment of its own."""

    folder: Path
    env: Mapping[str, str]

    def install(self, *what: str | Path) -> None:
        """Install with uv where it is there, for it is ten times faster; with pip otherwise."""
        if UV:
            python = str(self.folder / "bin" / "python")
            run(sys.executable, "-m", "uv", "pip", "install", "--python", python, *what, env=self.env)
        else:
            run(self.folder / "bin" / "python", "-m", "pip", "install", *what, env=self.env)

    def python(self, *arguments: str) -> str:
        """Run its Python somewhere else than in the sources."""
        return run(self.folder / "bin" / "python", *arguments, env=self.env, cwd=self.folder)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, built: Built, without_node: dict[str, str]) -> Installed:
    """The wheel with its dependencies in a fresh environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=not UV)
    config = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "FLOWBOOK_HOME")}
    compiling = {key: value for key, value in without_node.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment = Installed(folder=folder, env={**compiling, **config})
    environment.install(built.wheel)
    return environment


def test_the_sdist_has_what_the_wheel_is_made_from(built: Built) -> None:
    wanted = {
        *("pyproject.toml", "README.md", "LICENSE", "hatch_build.py", "package.json", "package-lock.json"),
        *(
            "extension/package.json",
            "extension/src/index.ts",
            "extension/style/base.css",
            "extension/schema/promote.json",
        ),
        *("widgets/package.json", "widgets/src/dag.ts", "engine/flowbook/visualize/icons.json"),
    }
    assert wanted <= built.in_sdist


def test_the_sdist_has_nothing_that_was_built(built: Built) -> None:
    made = ("node_modules", "/labextension/", "widgets/flowbook_widgets/static/", "extension/lib/", "__pycache__")
    assert [name for name in built.in_sdist if any(part in name for part in made)] == []


def test_the_wheel_has_both_front_ends(built: Built) -> None:
    data = f"flowbook-{built.wheel.name.split('-')[1]}.data/data"
    extension = f"{data}/{LABEXTENSION}"
    assert {f"{extension}/package.json", f"{extension}/install.json"} <= built.in_wheel
    assert f"{extension}/schemas/flowbook/promote.json" in built.in_wheel
    assert any(name.startswith(f"{extension}/static/remoteEntry.") for name in built.in_wheel)
    assert f"{data}/etc/jupyter/jupyter_server_config.d/flowbook.json" in built.in_wheel
    assert {"flowbook_widgets/static/dag.js", "flowbook_widgets/static/dag.css"} <= built.in_wheel


def test_the_wheel_has_every_source_file_and_is_typed(built: Built) -> None:
    roots = ("engine/", "kernel_magics/", "widgets/", "extension/")
    python = {name.partition("/")[2] for name in built.in_sdist if name.startswith(roots) and name.endswith(".py")}
    assert python <= built.in_wheel
    assert {f"{package}/py.typed" for package in PACKAGES} <= built.in_wheel


def test_the_wheel_imports(installed: Installed) -> None:
    code = f"import importlib; print(*[importlib.import_module(name).__path__[0] for name in {PACKAGES}], sep='\\n')"
    places = installed.python("-c", code).split()
    assert [Path(place).name for place in places] == list(PACKAGES)
    assert all(Path(place).is_relative_to(installed.folder) for place in places)


def test_jupyter_finds_the_installed_wheel(installed: Installed) -> None:
    check_jupyter(installed)


def test_jupyter_finds_an_installation_in_place(
    installed: Installed, built: Built, tmp_path: Path, without_node: dict[str, str]
) -> None:
    """A front end that is newer than its sources is not built again: there is no node_modules, and no npm is run."""
    with tarfile.open(built.sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    [tree] = tmp_path.glob("flowbook-[0-9]*")
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    shutil.copytree(tmp_path / "wheel/flowbook_lab/labextension", tree / "extension/flowbook_lab/labextension")
    shutil.copytree(tmp_path / "wheel/flowbook_widgets/static", tree / "widgets/flowbook_widgets/static")
    installed.install("--no-deps", "--editable", tree)
    assert not (tree / "node_modules").exists()
    place = installed.python("-c", "import flowbook_lab; print(flowbook_lab.__path__[0])").strip()
    assert Path(place).resolve() == (tree / "extension" / "flowbook_lab").resolve()
    check_jupyter(installed)


def check_jupyter(installed: Installed) -> None:
    """JupyterLab lists the extension, and the server its own, both enabled and without complaint."""
    package = json.loads((installed.folder / LABEXTENSION / "package.json").read_text())
    assert (installed.folder / LABEXTENSION / package["jupyterlab"]["_build"]["load"]).is_file()
    plain = str.maketrans("", "", "\x1b")
    labextensions = installed.python("-m", "jupyter", "labextension", "list").translate(plain)
    [line] = [line for line in labextensions.splitlines() if line.split()[:1] == ["flowbook"]]
    assert "enabled" in line
    assert "OK" in line
    assert "(python, flowbook)" in line
    server = installed.python("-m", "jupyter", "server", "extension", "list").translate(plain)
    lines = [line.split() for line in server.splitlines() if line.split()[:1] == ["flowbook_lab"]]
    assert any("enabled" in line[1] for line in lines)
    assert any("OK" in line[2] for line in lines if len(line) > 2)
