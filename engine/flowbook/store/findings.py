"""What a check of the store is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Level(StrEnum):
    """How bad a finding is. With a problem flowbook does not work, or may lose or give away what it keeps."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is checked: a home folder, and the URL of a database, as the settings have it."""

    home: Path
    database_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    title: str
    """What was checked: ``Signing key``."""
    level: Level
    found: str
    """A sentence."""
    advice: str | None = None
    """What to do, as a sentence, unless all is well."""


#: None where there is nothing to check.
Check = Callable[[Subject], Finding | None]


def fine(title: str, found: str) -> Finding:
    """All is well."""
    return Finding(title=title, level=Level.OK, found=found)


def warning(title: str, found: str, advice: str) -> Finding:
    """It works, and should be seen to."""
    return Finding(title=title, level=Level.WARNING, found=found, advice=advice)


def problem(title: str, found: str, advice: str) -> Finding:
    """It does not work, or what is kept is at risk."""
    return Finding(title=title, level=Level.PROBLEM, found=found, advice=advice)
