"""The kernel of a run, and what is around it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotebookError
from flowbook.promote.called import DEPTH
from flowbook.promote.folder import RunFolder
from flowbook.promote.kernels import PYTHON, installed_kernels
from flowbook.promote.plan import Plan
from flowbook.run.unattended import RUN_FOLDER
from flowbook.settings import current_settings

if TYPE_CHECKING:
    from flowbook.promote.client import RunClient

#: Where this process is in the environment that a version locked: its folder.
INSIDE = "FLOWBOOK_LOCKED_ENVIRONMENT"


def kernel_of(manifest: Mapping[str, Any]) -> str:
    """The kernel that executes the notebook: that of the environment we are in, else the one it was deployed with.

    Where that is not installed, Python's own stands in for one of Python. Raises NotebookError if none can.
    """
    if os.environ.get(INSIDE):
        return PYTHON
    kernel: str = manifest["kernel"]
    known = sorted(installed_kernels())
    if kernel in known:
        return kernel
    missing = f"The kernel {kernel!r} is not installed where the run is executed"
    if manifest["language"] == "python" and PYTHON in known:
        print(f"Warning: {missing}, so {PYTHON!r} executes it.")  # noqa: T201 - this is the log
        return PYTHON
    raise NotebookError(
        f"{missing}. Installed: {', '.join(known) or 'none'}. Install it there, or choose another kernel."
    )


def kernel_environment(folder: Path, depth: int) -> dict[str, str]:
    """The environment of the kernel of a run whose files are in `folder`; see `flowbook.promote.called.depth`."""
    return {
        **os.environ,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "FLOWBOOK_HOME": str(current_settings().home),
        RUN_FOLDER: str(folder),
        DEPTH: str(depth),
    }


@contextlib.asynccontextmanager
async def started_kernel(plan: Plan, client: RunClient, folder: RunFolder) -> AsyncIterator[None]:
    """The kernel of the run, in the notebook's folder, for as long as the block lasts."""
    env = kernel_environment(folder.path, plan.manifest.get("depth", 0))
    try:
        async with client.started(cwd=plan.manifest["cwd"], env=env):
            folder.write_kernel(client.kernel.pid, client.kernel.folder)
            # nbclient looks at each output by a part of the schema; by default nbformat first compiles all of it.
            os.environ.setdefault("NBFORMAT_VALIDATOR", "jsonschema")  # and the kernel does not inherit it
            yield
    finally:
        folder.write_kernel(None)
        folder.changed()  # by the state of widgets, and of tasks that the kernel has run
        folder.save_if_possible()
