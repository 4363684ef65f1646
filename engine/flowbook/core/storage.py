"""What the storage of results answers: data of a result, and what the run's record says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """A stored result of the same work."""

    value: Any
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values for the event of the run's final state."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that was given to the storage."""

    data: Any
    """What the run's final state holds: the value, or a reference that loads it."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values for the event of the run's final state."""
