"""Other frameworks, each measured by a script of its own in an environment that has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from measuring import Cost

_HERE = Path(__file__).parent
_PATIENCE = 300  # seconds for one framework


class Measured(NamedTuple):
    """What a framework took for so many tasks, in several runs; `stored` is in bytes, None if it keeps nothing."""

    name: str
    tasks: int
    costs: list[Cost]
    stored: float | None


def measured_peers(python: str, n: int) -> Iterator[Measured]:
    """What each framework took that `python` can import; of the others a word on standard error."""
    for script in sorted(_HERE.glob("run_*.py")):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                yield from _measured(python, script, n, folder)
            except (subprocess.SubprocessError, OSError) as error:
                said = str(getattr(error, "stderr", "") or error).strip().splitlines()
                print(f"{script.name} is left out: {said[-1]}", file=sys.stderr)


def _measured(python: str, script: Path, n: int, folder: str) -> Iterator[Measured]:
    """The rows of one script, which prints a JSON object for each on a line of its own."""
    ran = subprocess.run(
        [python, str(script), str(n)],
        cwd=folder,
        env={**os.environ, "HOME": folder, "PYTHONPATH": str(_HERE.parent)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    )
    for line in ran.stdout.splitlines():
        if line.startswith('{"name"'):
            plain = json.loads(line)
            yield Measured(plain["name"], n, [Cost(*cost) for cost in plain["costs"]], plain["stored"])


def report(name: str, costs: list[Cost], stored: float | None) -> None:
    """Print what `measured_peers` reads; a peer's script calls this."""
    print(json.dumps({"name": name, "costs": costs, "stored": stored}), flush=True)
