"""One trial: some processes share a home, some are killed at random points, all end, and the history is checked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.drawn import drawn_in
from tests.faults.history import marks, violations

from flowbook.store.database import Database
from flowbook.store.reaper import reap

ROOT = Path(__file__).parents[2]
_BEGIN_WITHIN = 60.0  # seconds
_GONE_WITHIN = 20.0  # seconds for what a killed worker has left
_STOP_WITHIN = 45.0  # seconds, more than a worker's grace period


@dataclass
class Trial:
    """A trial is a function of its `seed`, as far as the machine lets it be.

    `url` is that of its database, if that is not in the home.
    """

    seed: int
    folder: Path
    url: str | None = None
    seconds: float = 4.0
    actors: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.url or f"sqlite:///{self.folder / 'home' / 'flowbook.db'}"

    def run(self) -> list[str]:
        """Everything that must not be; empty if all is well."""
        chance = random.Random(self.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._start("deploy").wait(60) != 0:
            return [f"nothing could be deployed, see {self.folder / 'deploy.log'}"]
        kinds = ("kernel", "worker", "scheduler", "server" if self.seed % 4 == 0 else "other worker")
        try:
            for kind in kinds:
                self.actors[kind] = self._start(kind)
            if not self._under_way():
                return ["nothing happened"]
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.1, 0.9))
                victim = chance.choice(kinds)
                self.killed.append(victim)
                self.actors[victim].kill()
                self.actors[victim].wait()
                self.actors[victim] = self._start(victim)
        finally:
            self._stop()
        return self._checked()

    def _checked(self) -> list[str]:
        left = self._left()
        database = Database(self.database_url)
        try:
            reap(database)
            found = violations(database, self.folder)
        finally:
            database.close()
        return [*found, f"processes were left: {left}"] if left else found

    def _under_way(self) -> bool:
        """Wait until a kernel has been answered, and a scheduled run is executed."""
        deadline = time.monotonic() + _BEGIN_WITHIN
        while not (marks(self.folder, "acknowledged") and marks(self.folder, "executed")):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _stop(self) -> None:
        """End all: kernels and schedulers at once, workers as a machine that shuts down does."""
        for process in self.actors.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WITHIN
        for process in self.actors.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _left(self) -> list[str]:
        """Processes of this trial that still live, some time after all was ended."""
        deadline = time.monotonic() + _GONE_WITHIN
        while time.monotonic() < deadline:
            found = []
            for process in psutil.process_iter():
                try:
                    if process.environ().get("FAULTS") == str(self.folder) and process.status() != "zombie":
                        found.append(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            if not found:
                return []
            time.sleep(0.1)
        return found

    def _start(self, kind: str) -> subprocess.Popen[bytes]:
        command = ["-m", "tests.faults.actors", kind]
        if "worker" in kind:
            command = ["-m", "flowbook.cli", "worker", "start", "--limit", "2"]
        if kind == "server":  # which hosts a worker
            command = ["-m", "jupyter_server", "--no-browser", "--allow-root", "--port=0", "--ServerApp.token=none"]
        env = {**os.environ, "FLOWBOOK_HOME": str(drawn_in(self.folder / "home")), "FAULTS": str(self.folder)}
        env["FLOWBOOK_SERVER_WORKER"] = "on"
        env |= {"FLOWBOOK_LOGGING_LEVEL": "ERROR", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        env.pop("FLOWBOOK_DATABASE_URL", None)
        if self.url is not None:
            env["FLOWBOOK_DATABASE_URL"] = self.url
        with (self.folder / f"{kind.replace(' ', '-')}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=env, cwd=ROOT)
