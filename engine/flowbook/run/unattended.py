"""What a process can tell of the unattended run whose kernel it is."""

from __future__ import annotations

import os
from pathlib import Path

#: In the environment of the kernel of an unattended run, and of what it starts: the folder of the run.
RUN_FOLDER = "FLOWBOOK_RUN_FOLDER"


def run_of_this_kernel() -> str | None:
    """The id of the flow run whose notebook this process executes; None if somebody sits before it."""
    folder = os.environ.get(RUN_FOLDER)
    return Path(folder).name if folder else None
