"""Processes of runs that are forked from a server, which has already imported what each of them imports.

So a run costs neither the start of an interpreter nor these imports. See `flowbook.promote.fork_server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence

#: Whether processes are forked on this system: elsewhere its libraries do not bear it, or there is no such thing.
IS_POSSIBLE = sys.platform == "linux"
#: The status of a process of which nobody can say how it ended.
UNKNOWN = 256
_SERVER = "flowbook.promote.fork_server"
_MOST_SERVERS = 4  # of 30 to 70 MB each


class ForkServers:
    """The servers of this process: one for each kind of run and environment, started before or with the first run."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, frozenset[tuple[str, str]]], Server] = {}
        self._retired: list[Server] = []

    def prepare(self, kind: str, env: Mapping[str, str]) -> None:
        """Start the server for such runs, if there is room for it. One that has ended is replaced by the next run."""
        if (kind, frozenset(env.items())) not in self._servers:
            self.server_for(kind, env)

    def server_for(self, kind: str, env: Mapping[str, str]) -> Server | None:
        """The server for runs of a `kind` (``python``, ``notebook``) in this environment; None if there are many."""
        key = kind, frozenset(env.items())
        known = self._servers.get(key)
        if known is not None:
            if known.is_usable():
                return known
            known.retire()
            self._retired.append(known)
        elif len(self._servers) >= _MOST_SERVERS:
            return None
        made = self._servers[key] = Server(kind, env)
        return made

    def close(self) -> None:
        """End them, now that all their processes have ended."""
        for server in (*self._servers.values(), *self._retired):
            server.end()
        self._servers.clear()
        self._retired.clear()


class Server:
    """One of them, begun as the process of a run would be. It ends with this process, too."""

    def __init__(self, kind: str, env: Mapping[str, str]) -> None:
        self._installed = _installed()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", _SERVER, str(theirs.fileno()), kind],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # what it cannot import, a fresh process cannot either, and says so
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                    env=env,
                )
            except BaseException:
                self._orders.close()
                raise

    def is_usable(self) -> bool:
        """Whether it lives, and what is installed is what it has imported."""
        return self._process.poll() is None and self._installed == _installed()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        *,
        output: int,
        lifeline: int,
        otherwise: Callable[[], subprocess.Popen[bytes] | None],
    ) -> ForkedProcess:
        """Start a process that writes to the descriptor `output`; returns at once.

        `otherwise` gives a process if the server ends before it has come to that.
        """
        told, pipe = os.pipe()
        order = json.dumps({"name": name, "arguments": arguments, "variables": variables, "worker": os.getpid()})
        with contextlib.suppress(OSError):  # it has ended just now, which is heard from the pipe
            socket.send_fds(self._orders, [order.encode()], [output, lifeline, pipe])
        os.close(pipe)
        return ForkedProcess(told, otherwise)

    def retire(self) -> None:
        """Give it no more orders: it ends with its last process."""
        self._orders.close()

    def end(self) -> None:
        """End it at once."""
        self.retire()
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """A process that a server was asked to start. What is known of it comes through the pipe that `told` reads.

    If the server is gone before it has started one, what `otherwise` gives takes its place, if it gives any.
    """

    def __init__(self, told: int, otherwise: Callable[[], subprocess.Popen[bytes] | None]) -> None:
        os.set_blocking(told, False)
        self._told = told
        self._otherwise = otherwise
        self._said: dict[str, int] = {}
        self._begun = b""
        self._reading = threading.Lock()
        self._other: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, and its group; None if it could not be started. Waits for a server that is starting."""
        while self.poll() is None and self._other is None and "pid" not in self._said:
            self._await_news(None)
        return self._said.get("pid") if self._other is None else self._other.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, as `subprocess.Popen` has it, or UNKNOWN; None while nothing is known of an end."""
        return self._said.get("status") if self._other is None else self._other.returncode

    def poll(self) -> int | None:
        """Take in what is told; returns how it ended, if it has."""
        with self._reading:
            while self._told >= 0:
                try:
                    read = os.read(self._told, 100)
                except BlockingIOError:
                    break
                self._take(read)
        return self.returncode if self._other is None else self._other.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._other is not None:
                return self._other.wait(left)
            if left == 0:
                raise subprocess.TimeoutExpired("flowbook.promote.execute", timeout or 0.0)
            self._await_news(left)
        return status

    def _take(self, read: bytes) -> None:
        *lines, self._begun = (self._begun + read).split(b"\n")
        for line in lines:
            word, number = line.split()
            self._said[word.decode()] = int(number)
        if not read:
            os.close(self._told)
            self._told = -1
            if not self._said:
                self._other = self._otherwise()
            if self._other is None:
                self._said.setdefault("status", UNKNOWN)

    def _await_news(self, seconds: float | None) -> None:
        with contextlib.suppress(OSError, ValueError):  # another thread has read the last of it
            select.select([self._told], [], [], seconds)


def _installed() -> tuple[int, ...]:
    """What changes whenever a distribution is installed, upgraded or removed."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return tuple(os.stat(folder).st_mtime_ns for folder in sorted(folders))  # noqa: PTH116
