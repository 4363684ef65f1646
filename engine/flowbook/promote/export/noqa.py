"""What ruff has to say about a module: rules that the user's own code breaks are named on top of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

EVERYTHING = "# ruff: noqa"


def noqa_line(text: str) -> str:
    """The comment that keeps ruff's default rules from complaining about a module; empty if there is no need.

    Where ruff is not installed nobody knows which rules are broken, so it is said of all.
    """
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        return EVERYTHING
    command = [ruff, "check", "--isolated", "--output-format=json", "--exit-zero", "--no-cache", "-"]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
        codes = sorted({found["code"] for found in json.loads(done.stdout) if found["code"]})
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return EVERYTHING
    return f"{EVERYTHING}: {', '.join(codes)}" if codes else ""
