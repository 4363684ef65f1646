"""Settings: few, each with a default that is right, each set by one environment variable.

=================================  ==============================================================================
``FLOWBOOK_HOME``                  folder of the database, results, snapshots and keys (``~/.flowbook``)
``FLOWBOOK_DATABASE_URL``          SQLAlchemy URL of the database (SQLite in the home folder)
``FLOWBOOK_LOGGING_LEVEL``         least level that reaches the terminal and the store (``INFO``)
``FLOWBOOK_TASK_WORKERS``          threads of a flow run that names no task runner (4 per core, 8 to 32)
``FLOWBOOK_KEEP_RUNS``             how long workers keep runs that have ended: ``90d`` (the default), or ``forever``
``FLOWBOOK_SERVER_WORKER``         whether the Jupyter server hosts a worker of the pool ``default``: ``on``, ``off``,
                                   or ``auto`` (the default): once there is a deployment that nobody else executes
=================================  ==============================================================================
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flowbook.core.durations import seconds
from flowbook.errors import UsageError

_KEEP = 90 * 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings in force."""

    home: Path
    database_url: str
    logging_level: int
    task_workers: int
    keep_runs: float | None
    """Seconds after the end of a run; None for ever."""
    server_worker: str
    """``auto``, ``on`` or ``off``."""


def current_settings() -> Settings:
    """The settings as the environment says now; raises UsageError naming the variable that is wrong."""
    said = os.environ.get
    home = os.path.abspath(os.path.expanduser(said("FLOWBOOK_HOME") or "~/.flowbook"))  # noqa: PTH100, PTH111
    names = ("DATABASE_URL", "LOGGING_LEVEL", "TASK_WORKERS", "KEEP_RUNS", "SERVER_WORKER")
    return _settings(home, *(said(f"FLOWBOOK_{name}") for name in names))


@lru_cache(maxsize=16)  # they are asked for with each run
def _settings(
    folder: str,
    database_url: str | None,
    logging_level: str | None,
    task_workers: str | None,
    keep_runs: str | None,
    server_worker: str | None,
) -> Settings:
    home = Path(folder)
    return Settings(
        home=home,
        database_url=database_url or f"sqlite:///{home / 'flowbook.db'}",
        logging_level=_level(logging_level or "INFO"),
        task_workers=_workers(task_workers),
        keep_runs=_keep(keep_runs),
        server_worker=_hosting(server_worker or "auto"),
    )


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise UsageError(f"FLOWBOOK_LOGGING_LEVEL is {name!r}; set it to DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    return level


def _hosting(text: str) -> str:
    said = text.strip().lower()
    if said not in ("auto", "on", "off"):
        raise UsageError(f"FLOWBOOK_SERVER_WORKER is {text!r}; set it to auto, on or off.")
    return said


def _keep(text: str | None) -> float | None:
    if not text:
        return _KEEP
    if text.strip().lower() == "forever":
        return None
    try:
        kept = seconds(text)
    except ValueError:
        kept = 0.0
    if kept <= 0:
        raise UsageError(f"FLOWBOOK_KEEP_RUNS is {text!r}; set it to a length of time such as 90d, or to forever.")
    return kept


def _workers(text: str | None) -> int:
    if not text:
        return max(8, min(32, 4 * (os.cpu_count() or 1)))
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"FLOWBOOK_TASK_WORKERS is {text!r}; set it to a whole number from 1 up.")
    return int(text)
