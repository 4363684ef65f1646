"""Child processes that execute tasks, and the runner that uses them.

A child is started when there is work for it and no other is idle, and lives until the flow run has ended. It is a
fresh interpreter with nothing but flowbook in it: the user's main script is not executed again, and a notebook needs
none. Children are in process groups of their own, so Ctrl-C at a terminal reaches only the flow's process, which passes
it on.

A pool interrupts its threads by exceptions that may strike anywhere. So they do nothing here that would be harmed by
that: each child has a thread of its own, which starts it, reads from it and clears up after it.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import flowbook
from flowbook.core.protocol import Raised, Returned
from flowbook.errors import WorkerLost
from flowbook.run.blocking import release, wakes_by
from flowbook.run.channel import Channel, Part
from flowbook.run.pickles import pack
from flowbook.run.pool import ThreadPool
from flowbook.run.relay import Relay, RemoteCaller
from flowbook.run.remote import Begun
from flowbook.run.task_execution import TaskExecution
from flowbook.run.timeouts import OutOfTime

_INTERRUPT_GRACE = 1.0  # seconds for an interrupted child to end: less than a pool waits for its threads
_TIMEOUT_GRACE = 0.5  # seconds for a child to end whose task has timed out; nobody waits for it
_EXIT_GRACE = 2.0  # seconds for an idle child to end
_CROWDED = 1000  # messages that wait in the flow's process, before a child that says more has to wait


class ProcessPool(ThreadPool):
    """Executes task runs in at most `max_workers` child processes; `threads` is for tasks submitted inside of tasks."""

    def __init__(self, max_workers: int, threads: int) -> None:
        self._children = Children(threads)
        super().__init__(max_workers, self._children)

    def close(self, error: BaseException | None = None) -> None:
        """Return when everything submitted has ended, and so have the child processes; see `Runner.close`."""
        super().close(error)
        self._children.close()


class Children(RemoteCaller):
    """The child processes of one flow run."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self._all: set[Child] = set()
        self._idle: deque[Child] = deque()

    def conduct(
        self, order: Sequence[Part], run: TaskExecution, relay: Relay, timeout: float | None
    ) -> Returned | Raised:
        """The outcome of an order, once it has been carried out by a child."""
        child = self._take()
        try:
            outcome = _conversation(child, order, run, relay, timeout)
        except BaseException:
            child.stop(signal.SIGINT, _INTERRUPT_GRACE)
            _listen(child, relay, _INTERRUPT_GRACE)
            raise
        if not child.stopping:
            self._idle.append(child)
        return outcome

    def close(self) -> None:
        """End the children; returns when they are gone."""
        self._idle.clear()
        children = list(self._all)
        for child in children:
            child.dismiss()
        deadline = time.monotonic() + _EXIT_GRACE
        for child in children:
            if not child.wait(deadline - time.monotonic()):
                child.signal(_KILL)
                child.wait(_EXIT_GRACE)
            self._all.discard(child)

    def _take(self) -> Child:
        with suppress(IndexError):
            while not (child := self._idle.pop()).is_gone:
                return child
        child = Child()
        self._all.add(child)
        child.start()
        return child


def _conversation(
    child: Child, order: Sequence[Part], run: TaskExecution, relay: Relay, timeout: float | None
) -> Returned | Raised:
    """Give the order to the child; returns the outcome."""
    # A child that does not read leaves us waiting in native code; one that is gone will be noticed as such.
    with wakes_by(child.hang_up), suppress(OSError):
        child.channel.send(order)
    del order
    deadline = math.inf
    with wakes_by(child.wake):
        while (message := _next(child, relay, deadline)) is not _NOTHING:
            if message is _GONE:
                return Raised(child.lost(run.title))
            if isinstance(message, Begun) and timeout is not None:
                deadline = time.monotonic() + timeout
            outcome = relay.take(message)
            if outcome is not None:
                return outcome
    assert timeout is not None
    child.stop(_TERMINATE, _TIMEOUT_GRACE)
    return OutOfTime(run.title, timeout)


def _listen(child: Child, relay: Relay, seconds: float) -> None:
    """Pass on what an interrupted child still says."""
    deadline = time.monotonic() + seconds
    while (message := _next(child, relay, deadline)) not in (_NOTHING, _GONE):
        if relay.take(message) is not None:
            return


def _next(child: Child, relay: Relay, deadline: float) -> Any:
    """The next message of the child; _GONE when it is, _NOTHING when there is none before the deadline."""
    while True:
        left = deadline - time.monotonic()
        try:
            parts = child.inbox.get(timeout=None if left == math.inf else min(max(0.0, left), threading.TIMEOUT_MAX))
        except queue.Empty:
            return _NOTHING
        if parts is not None:
            return relay.read(parts) if parts else _GONE


_NOTHING = object()
_GONE = object()
_TERMINATE = signal.SIGTERM
_KILL = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM


class Child:
    """A child process, and the thread that looks after it."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.inbox: queue.SimpleQueue[list[bytearray] | None] = queue.SimpleQueue()
        """The messages. None wakes up who waits for one; one without parts says that the child is gone."""
        self.stopping = False
        self.is_gone = False
        self._has_spoken = False
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._failure: OSError | None = None
        self._ended = threading.Lock()
        self._ended.acquire()

    def start(self) -> None:
        """Start the process; returns at once."""
        self.channel.send(pack(_setup()))
        threading.Thread(target=self._look_after, name="flowbook-child", daemon=True).start()

    def wake(self) -> None:
        """End the wait of the thread that waits for a message."""
        self.inbox.put(None)

    def hang_up(self) -> None:
        """End the sending to the child, and thereby the child."""
        self.stopping = True
        self.channel.break_off()

    def dismiss(self) -> None:
        """Have the child end by itself, now that there is no more work for it."""
        self.channel.end()

    def stop(self, number: int, grace: float) -> None:
        """Have the child end by a signal, and be killed if it has not after `grace` seconds; returns at once."""
        self.stopping = True
        if not self._has_spoken:  # it is not ready for signals, and would print a traceback
            number = _TERMINATE
        threading.Thread(target=self._stop, args=(number, grace), name="flowbook-stop", daemon=True).start()

    def signal(self, number: int) -> None:
        """Send a signal to the child and to the processes that it has started."""
        process = self._process
        if process is None:
            return
        with suppress(OSError):
            if sys.platform == "win32":
                process.terminate()
            else:
                os.killpg(process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether the child is gone within so many seconds."""
        if self._ended.acquire(timeout=max(0.0, seconds)):
            release(self._ended)
        return self.is_gone

    def lost(self, title: str) -> WorkerLost:
        """The error that says how the child ended while it executed the task run."""
        code = self._code
        if not self._has_spoken:
            why = f"it ended with exit code {code}" if self._failure is None else str(self._failure)
            return WorkerLost(
                f"The process for {title[0].lower()}{title[1:]} could not be started: {why}. It is started as "
                f"`{sys.executable} -m flowbook.run.child`; what it said stands on the standard error of this process."
            )
        return WorkerLost(f"The process that executed {title[0].lower()}{title[1:]} {_manner_of(code)}")

    def _stop(self, number: int, grace: float) -> None:
        self.signal(number)
        if not self.wait(grace):
            self.signal(_KILL)

    def _look_after(self) -> None:
        """Start the process, take in what it says, and clear up when it has ended."""
        try:
            self._process = _start(self._theirs)
        except OSError as error:
            self._failure = error
        self._theirs.close()
        if self._process is not None:
            with suppress(EOFError):
                while True:
                    self.inbox.put(self.channel.receive())
                    self._has_spoken = True
                    while self.inbox.qsize() > _CROWDED:
                        time.sleep(0.001)
            self._await_end(self._process)
        self.is_gone = True
        self.channel.close()
        self.inbox.put([])
        release(self._ended)

    def _await_end(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the process, which has closed the line, is gone, and what it had started if it was stopped."""
        deadline = time.monotonic() + _EXIT_GRACE
        while not _has_ended(process):
            if time.monotonic() > deadline:
                self.signal(_KILL)
            time.sleep(0.001)
        if self.stopping:
            self.signal(_KILL)
        self._process = None
        self._code = process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended. Its number stays its own, where the system has such a thing."""
    if sys.platform == "win32":
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


_HASH_SEED = str(int.from_bytes(os.urandom(4)))
"""All children have strings in sets in one order, whichever of them executes a task."""


def _start(end: socket.socket) -> subprocess.Popen[bytes]:
    """The child process, with its end of the line."""
    if not sys.executable:
        raise OSError("this Python does not know its own program (sys.executable is empty)")
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does it
    # Where flowbook is found must be known before `sys.path` is sent.
    where = str(Path(flowbook.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (where, os.environ.get("PYTHONPATH"))))}
    env.setdefault("PYTHONHASHSEED", _HASH_SEED)
    command = [sys.executable, *flags, "-P", "-m", "flowbook.run.child"]
    if sys.platform == "win32":
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=env, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP
        )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(end.share(process.pid))
        return process
    number = end.fileno()
    return subprocess.Popen(
        [*command, str(number)], stdin=subprocess.DEVNULL, env=env, pass_fds=(number,), process_group=0
    )


def _setup() -> Mapping[str, Any]:
    """What of this process a child takes over, besides its environment and folder."""
    levels = {
        name: logger.level
        for name, logger in list(logging.root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and logger.level
    }
    return {
        "path": list(sys.path),
        "argv": list(sys.argv),
        "PYTHONPATH": os.environ.get("PYTHONPATH"),
        "warnings": [one for one in warnings.filters if one[2].__module__ == "builtins"],
        "levels": {"": logging.root.level, **levels},
    }


def _manner_of(code: int | None) -> str:
    """How a process ended, and what to do about it."""
    if code is None or code >= 0:
        return (
            f"ended with exit code {code} before the task had ended: the task, or a library that it uses, has ended it "
            "(by os._exit, say). Look at the last lines that it printed; sys.exit() ends a task only."
        )
    number = -code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    said = f"was killed by signal {number} ({name}) before the task had ended"
    if name == "SIGKILL":
        return (
            f"{said}. That is what the system does when memory runs out: run fewer tasks side by side "
            "(max_workers), or smaller pieces."
        )
    if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"):
        return (
            f"{said}: a library that it uses has crashed. The lines of Python that led there stand on the standard "
            "error of this process."
        )
    return f"{said}."
