"""The environment of the kernel of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from flowbook.promote.called import DEPTH
from flowbook.promote.folder import RunFolder
from flowbook.promote.plan import Plan
from flowbook.run.unattended import RUN_FOLDER
from flowbook.settings import current_settings

if TYPE_CHECKING:
    from flowbook.promote.client import RunClient


@contextlib.asynccontextmanager
async def started_kernel(plan: Plan, client: RunClient, folder: RunFolder) -> AsyncIterator[None]:
    """The kernel of the run, in the notebook's folder, for as long as the block lasts."""
    env = {
        **os.environ,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "FLOWBOOK_HOME": str(current_settings().home),
        RUN_FOLDER: str(folder.path),
        DEPTH: str(plan.manifest.get("depth", 0)),
    }
    try:
        async with client.started(cwd=plan.manifest["cwd"], env=env):
            folder.write_kernel(client.kernel_pid, client.sockets)
            yield
    finally:
        folder.write_kernel(None)
        folder.save_if_possible()
