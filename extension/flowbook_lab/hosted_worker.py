"""The worker that the Jupyter server hosts, so that schedules fire with nothing to start: a child process of its own.

The child holds one end of a pipe to the server. However the server ends, the other end is closed, and the worker stops:
it claims nothing more, and lets its runs come to their end for half a minute. A worker that dies is started again,
after a pause that doubles each time it does not live long.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from logging import Logger
from pathlib import Path

from flowbook.core.deploying import DEFAULT_POOL
from flowbook.errors import UsageError
from flowbook.settings import Settings, current_settings

#: How many runs it executes at a time.
LIMIT = 2
#: Seconds between two looks at whether a worker is wanted.
LOOK_EVERY = 30.0
_LIVED_LONG = 60.0  # seconds after which the pauses begin anew
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between the end of a worker and the start of the next
_CHECK_EVERY = 1.0  # seconds between two looks at whether the worker lives
_STOP_WITHIN = 3.0  # seconds that the end of the server waits for an idle worker


class HostedWorker:
    """Keeps a worker running while one is wanted. `start` and `close` belong to the server, all else to any thread."""

    def __init__(self, log: Logger, *, look_every: float = LOOK_EVERY) -> None:
        self.log = log
        self.look_every = look_every
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._begun = 0.0
        self._pause = 0.0
        self._is_asked_for = False
        self._is_closed = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="flowbook-hosted-worker", daemon=True)

    def start(self) -> None:
        """Begin to look whether a worker is wanted, in a thread."""
        self._thread.start()

    def look_now(self) -> None:
        """A deployment may have been made."""
        self._wake.set()

    def ask_for(self) -> None:
        """Host a worker from now on, whoever else executes runs. Raises UsageError if the setting forbids it."""
        if current_settings().server_worker == "off":
            raise UsageError(
                "FLOWBOOK_SERVER_WORKER is off, so this server hosts no worker. In a terminal: flowbook worker start"
            )
        self._is_asked_for = True
        self._wake.set()

    @property
    def pid(self) -> int | None:
        """The worker's process, if it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_coming(self) -> bool:
        """Whether a worker was started, or is about to be because somebody has asked for it."""
        return self.pid is not None or self._is_asked_for

    def close(self) -> None:
        """Let the worker stop. If it still executes runs, it ends with them, within its grace period."""
        self._is_closed = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN)
        self._let_go()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_WITHIN)

    def _keep(self) -> None:
        wait = 0.0
        while not self._is_closed:
            self._wake.wait(wait)
            self._wake.clear()
            try:
                wait = self._step()
            except Exception as error:  # a database that cannot be read now may be later
                self.log.warning("flowbook: whether a worker is wanted cannot be seen: %s", error)
                wait = self.look_every

    def _step(self) -> float:
        """Start a worker if one is wanted and does not live; returns the seconds until the next look."""
        if self._is_closed or self.pid is not None:
            return _CHECK_EVERY
        settings = current_settings()
        if self._process is not None:
            status, lived = self._process.returncode, time.monotonic() - self._begun
            self._let_go()
            self._process = None
            self._pause = min(_LONGEST_PAUSE, max(_PAUSE, 0.0 if lived > _LIVED_LONG else 2 * self._pause))
            why = _last_line(_log_file(settings))
            self.log.warning(
                "flowbook: the worker of this server ended with status %s (%s). Starting another one in %g s.",
                status,
                why or "it said nothing",
                self._pause,
            )
            return self._pause
        if not self._is_wanted(settings):
            return self.look_every
        self._launch(settings)
        return _CHECK_EVERY

    def _is_wanted(self, settings: Settings) -> bool:
        if settings.server_worker == "off":
            return False
        if settings.server_worker == "on" or self._is_asked_for:
            return True
        if settings.database_url.startswith("sqlite") and not _has_database(settings):
            return False  # nobody has used flowbook here: no file is made only to find that out
        from flowbook import engine
        from flowbook.schedule.standing import needs_worker

        return needs_worker(engine.engine().database, DEFAULT_POOL, time.time())

    def _launch(self, settings: Settings) -> None:
        from flowbook.run.lifeline import lifeline_to

        lifeline, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "flowbook.cli", "worker", "start"]
        log = _log_file(settings)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as said:
                self._process = subprocess.Popen(
                    [*command, "--pool", DEFAULT_POOL, "--limit", str(LIMIT)],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in the terminal of the server is for the server
                    pass_fds=(lifeline,),
                    env={**os.environ, **lifeline_to(lifeline)},
                )
        except BaseException:
            self._let_go()
            raise
        finally:
            os.close(lifeline)
        self._begun = time.monotonic()
        self.log.info("flowbook: this server hosts a worker, process %d, which writes to %s", self._process.pid, log)

    def _let_go(self) -> None:
        """Close our end of the pipe."""
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)


def _log_file(settings: Settings) -> Path:
    return settings.home / "server-worker.log"


def _has_database(settings: Settings) -> bool:
    path = settings.database_url.partition(":///")[2].partition("?")[0]
    return bool(path) and Path(path).exists()


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
    return ""
