"""Settings: few, each with a default that is right, each set by one environment variable.

=================================  ==============================================================================
``FLOWBOOK_HOME``                  folder of the database, results, snapshots and keys (``~/.flowbook``)
``FLOWBOOK_DATABASE_URL``          SQLAlchemy URL of the database (SQLite in the home folder)
``FLOWBOOK_LOGGING_LEVEL``         least level that reaches the terminal and the store (``INFO``)
``FLOWBOOK_TASK_WORKERS``          threads of a flow run that names no task runner (4 per core, 8 to 32)
=================================  ==============================================================================
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flowbook.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings in force."""

    home: Path
    database_url: str
    logging_level: int
    task_workers: int


def current_settings() -> Settings:
    """The settings as the environment says now; raises UsageError naming the variable that is wrong."""
    said = os.environ.get
    home = os.path.abspath(os.path.expanduser(said("FLOWBOOK_HOME") or "~/.flowbook"))  # noqa: PTH100, PTH111
    return _settings(home, said("FLOWBOOK_DATABASE_URL"), said("FLOWBOOK_LOGGING_LEVEL"), said("FLOWBOOK_TASK_WORKERS"))


@lru_cache(maxsize=16)  # they are asked for with each run
def _settings(folder: str, database_url: str | None, logging_level: str | None, task_workers: str | None) -> Settings:
    home = Path(folder)
    return Settings(
        home=home,
        database_url=database_url or f"sqlite:///{home / 'flowbook.db'}",
        logging_level=_level(logging_level or "INFO"),
        task_workers=_workers(task_workers),
    )


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise UsageError(f"FLOWBOOK_LOGGING_LEVEL is {name!r}; set it to DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    return level


def _workers(text: str | None) -> int:
    if not text:
        return max(8, min(32, 4 * (os.cpu_count() or 1)))
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"FLOWBOOK_TASK_WORKERS is {text!r}; set it to a whole number from 1 up.")
    return int(text)
