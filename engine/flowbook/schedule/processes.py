"""The worker type ``process``: each run in a process of its own, in a group of its own, ended with all it started.

The process holds one end of a pipe to its worker. When the worker is gone, however it went, the other end is closed,
and the process ends its run as Crashed: nobody would stop it any more, and its place is taken by another run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flowbook.errors import UsageError, refuse_unknown
from flowbook.run.leftovers import end_kernel, signal_group
from flowbook.run.lifeline import lifeline_to
from flowbook.run.unattended import RUN_FOLDER
from flowbook.runs import run_folder
from flowbook.schedule.forked import IS_POSSIBLE, UNKNOWN, ForkedProcess, ForkServers, Server
from flowbook.schedule.output import Output
from flowbook.store.queue import QueuedRun

_READ_EVERY = 0.2  # seconds
#: The settings that the process of a run is told by environment variables.
_TOLD = {
    "working_dir": "FLOWBOOK_WORKING_DIR",
    "memory_mb": "FLOWBOOK_MEMORY_MB",
    "environment": "FLOWBOOK_ENVIRONMENT",
}
#: What runs may be executed in.
ENVIRONMENTS = ("worker", "locked")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSettings:
    """`env` is added to the worker's environment; `working_dir` is where runs are executed, instead of in the folder
    they were deployed from; `memory_mb` is what a run's processes may each allocate, in MiB. In the `environment`
    ``locked`` runs of a version that has a lock are executed in what that names; ``worker`` is that of the worker.
    """

    env: Mapping[str, str]
    working_dir: str | None
    memory_mb: int | None
    environment: str | None


class ProcessWorker:
    """Executes runs as processes of this machine, which are forked where that is possible."""

    def __init__(self) -> None:
        self._servers = ForkServers()

    def check(self, settings: Mapping[str, Any], title: str) -> dict[str, Any]:
        """The settings as they are kept. Raises UsageError naming the one that does not fit."""
        refuse_unknown(title, settings, ProcessSettings.__slots__)
        env, folder, memory, environment = (settings.get(name) for name in ProcessSettings.__slots__)
        if env is not None and not (isinstance(env, Mapping) and all(isinstance(name, str) and name for name in env)):
            raise UsageError(f"env of {title} is {env!r:.80}; give a dict of environment variables.")
        if folder is not None and not isinstance(folder, str | os.PathLike):
            raise UsageError(f"working_dir of {title} is {folder!r:.80}; give the path of a folder.")
        if memory is not None and (isinstance(memory, bool) or not isinstance(memory, int) or memory < 64):
            raise UsageError(f"memory_mb of {title} is {memory!r:.80}; give a whole number of MiB from 64 up.")
        if environment not in (None, *ENVIRONMENTS):
            raise UsageError(f"environment of {title} is {environment!r:.80}; it is one of {', '.join(ENVIRONMENTS)}.")
        checked: dict[str, Any] = {}
        if env:
            checked["env"] = {name: str(value) for name, value in env.items()}
        if folder is not None:
            checked["working_dir"] = os.fspath(folder)
        if memory is not None:
            checked["memory_mb"] = memory
        if environment is not None:
            checked["environment"] = environment
        return checked

    def prepare(self, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Start the server that runs of a version are forked from, unless it is there."""
        if IS_POSSIBLE:
            self._servers.prepare(_kind(manifest), _environment(settings.get("env") or {}))

    def launch(
        self, run: QueuedRun, manifest: Mapping[str, Any], settings: Mapping[str, Any], ended: Callable[[], None]
    ) -> RunProcess:
        """Start the process that executes a claimed run."""
        known = {name: settings.get(name) for name in _TOLD}
        checked = ProcessSettings(env=settings.get("env") or {}, **known)
        server_for = partial(self._servers.server_for, _kind(manifest)) if IS_POSSIBLE else None
        return RunProcess(run, checked, ended, server_for)

    def close(self) -> None:
        """Called when the worker ends."""
        self._servers.close()


class RunProcess:
    """The process that executes `run`: forked from what `server_for` an environment gives, else a fresh one."""

    def __init__(
        self,
        run: QueuedRun,
        settings: ProcessSettings,
        ended: Callable[[], None],
        server_for: Callable[[Mapping[str, str]], Server | None] | None = None,
    ) -> None:
        self.run = run
        self.folder = run_folder(run.id)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.output = Output(run.id, self.folder / "output.log")
        self._held: int | None = None
        """Our end of the lifeline."""
        self.process = self._start(settings, server_for)
        threading.Thread(target=self._wait, args=(ended,), name=f"flowbook-run-{run.number}", daemon=True).start()

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def ended_by(self) -> str:
        """How the process ended, in words."""
        status = self.process.returncode
        last = self.output.last_line()
        said = f"it exited with status {status}" + (f" ({last.rstrip('.')})" if last else "")
        if status == UNKNOWN:
            said = "how it ended is not known, since the process that had started it is gone as well"
            if self.process.pid is None:
                said = last.rstrip(".")  # why it could not be started
        elif status is not None and status < 0:
            with contextlib.suppress(ValueError):
                said = f"it was killed by {signal.Signals(-status).name}"
                said += ", perhaps for lack of memory" if status == -signal.SIGKILL else ""
        return f"{said}. See {self.folder / 'output.log'}"

    def ask_to_end(self) -> None:
        """Send SIGTERM, upon which the process records why the run ends."""
        if not self.is_over():
            self._signal(signal.SIGTERM)

    def end_at_once(self) -> None:
        """Kill the process, if it still lives, what it left in its group, and its kernel."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        end_kernel(self.folder)

    def _signal(self, number: int) -> None:
        if (group := self.process.pid) is not None:
            signal_group(group, number)

    def _start(
        self, settings: ProcessSettings, server_for: Callable[[Mapping[str, str]], Server | None] | None
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        env = _environment(settings.env)
        told = {variable: getattr(settings, name) for name, variable in _TOLD.items()}
        variables = {variable: str(value) for variable, value in told.items() if value is not None}
        server = server_for(env) if server_for is not None else None
        if server is None:
            return self._start_fresh(env | variables)
        with self.output.opened() as log, self._lifeline() as lifeline:
            return server.start(
                f"run {self.run.number}",
                self._arguments,
                variables,
                output=log.fileno(),
                lifeline=lifeline,
                otherwise=partial(self._start_instead, env | variables),
            )

    def _start_fresh(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.output.opened() as log, self._lifeline() as lifeline:
            return subprocess.Popen(
                [sys.executable, "-m", "flowbook.promote.execute", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lifeline,),
                env={**env, **lifeline_to(lifeline)},
            )

    def _start_instead(self, env: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """A process in place of one that was not forked."""
        self._cut_lifeline()
        try:
            return self._start_fresh(env)
        except OSError as error:
            with self.output.opened() as log:
                log.write(f"No process could be started: {error}\n".encode())
            return None

    @property
    def _arguments(self) -> tuple[str, str]:
        return self.run.id, str(self.run.fence)

    @contextlib.contextmanager
    def _lifeline(self) -> Iterator[int]:
        """The end of a lifeline that the process gets; ours is kept if it was started."""
        theirs, self._held = os.pipe()
        try:
            yield theirs
        except BaseException:
            self._cut_lifeline()
            raise
        finally:
            os.close(theirs)

    def _cut_lifeline(self) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None

    def _wait(self, ended: Callable[[], None]) -> None:
        """Hand on what the process says until it has ended, and end what it has left behind."""
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_READ_EVERY)
                if self.is_over():
                    break
                self.output.hand_on()
            self.output.finish()
        finally:  # whatever came in between, the worker must hear of the end
            self.process.wait()
            self._cut_lifeline()
            self._signal(signal.SIGKILL)
            end_kernel(self.folder)
            ended()


def _kind(manifest: Mapping[str, Any]) -> str:
    """What has to be imported for the runs of a version."""
    return "python" if manifest["kind"] in ("python", "pickle") else "notebook"


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """The variables that processes of runs have in common: none of those of a run around this worker."""
    env = {**os.environ, **added, "PYTHONUNBUFFERED": "1"}
    for name in (*_TOLD.values(), RUN_FOLDER):
        env.pop(name, None)
    return env
