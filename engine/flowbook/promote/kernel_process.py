"""The process of a kernel that executes a notebook: how it is started and ended, whoever talks to it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowbook.promote.kernels import kernel_specs

_LONGEST_SOCKET = 90  # bytes; a path of a socket may have 107 on Linux and 103 on macOS


class KernelProcess:
    """A process of the kernel `name`, or none yet. `folder` holds the sockets to it, and goes with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="flowbook-", ignore_cleanup_errors=True)
        self.manager: Any = None
        """What Jupyter calls a kernel manager, once it was started."""

    @property
    def folder(self) -> str:
        """The path of the folder."""
        return self._folder.name

    @property
    def pid(self) -> int | None:
        """Its pid, if it is a process of this machine."""
        return getattr(getattr(self.manager, "provisioner", None), "pid", None)

    @property
    def handle(self) -> Any:
        """What knows its exit status; None if nothing does."""
        return getattr(getattr(self.manager, "provisioner", None), "process", None)

    async def start(self, *, cwd: str, env: Mapping[str, str]) -> None:
        """Start it in a folder and an environment, unless that was done before; it need not be ready then."""
        if self.manager is not None:
            return
        from jupyter_client.manager import AsyncKernelManager

        from flowbook.promote.channels import Channels

        manager = AsyncKernelManager(kernel_name=self.name, kernel_spec_manager=kernel_specs())
        _connect_in(self.folder, manager)
        manager.client_factory = Channels
        no_history = ["--HistoryManager.hist_file=:memory:"] if manager.ipykernel else []
        await manager.start_kernel(extra_arguments=no_history, cwd=cwd, env=dict(env))
        self.manager = manager

    def end(self) -> None:
        """End it at once, if it still lives. No loop runs in this thread."""
        if self.manager is not None and self.manager.has_kernel:
            asyncio.run(self._end())
        self._folder.cleanup()

    async def _end(self) -> None:
        await self.manager.shutdown_kernel(now=True)


def _connect_in(folder: str, manager: Any) -> None:
    """Talk to the kernel through files in a folder that only this user can open, where the system has such sockets.

    Kernels of other languages do not all know them; they listen on a port of this machine, behind a key.
    """
    manager.connection_file = str(Path(folder, "kernel.json"))
    sockets = Path(folder, "s")
    is_python = manager.kernel_spec is not None and manager.kernel_spec.language == "python"
    if is_python and os.name == "posix" and len(os.fsencode(sockets)) < _LONGEST_SOCKET:
        manager.transport, manager.ip = "ipc", str(sockets)


@contextlib.contextmanager
def started_early(name: str, *, cwd: str, env: Mapping[str, str]) -> Iterator[KernelProcess]:
    """A process that starts beside what is done in the block, at the end of which it is ended.

    What cannot be started is started again by who wants to talk to it, and that says why it cannot.
    """
    process = KernelProcess(name)
    try:
        with contextlib.suppress(Exception):
            asyncio.run(process.start(cwd=cwd, env=env))
        yield process
    finally:
        process.end()
