"""What code of the user is told about a run: hooks, retry conditions, cache keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flowbook.core.states import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run at one moment."""

    id: str
    name: str
    state: State | None = None
    tags: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The arguments by name."""
    run_count: int = 0
    """How many attempts have begun."""
    started: float | None = None
    """When the first attempt began, in seconds since the epoch."""

    @property
    def start_time(self) -> datetime | None:
        """When the first attempt began: an aware datetime in UTC."""
        return None if self.started is None else datetime.fromtimestamp(self.started, UTC)

    @property
    def end_time(self) -> datetime | None:
        """When the run ended, None before: an aware datetime in UTC."""
        return self.state.timestamp if self.state is not None and self.state.is_final() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun(Run):
    """A task run at one moment."""

    task_key: str
    flow_run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowRun(Run):
    """A flow run at one moment."""

    flow_name: str
    parent_flow_run_id: str | None = None
