"""What somebody asks of a run that another process, or another thread, executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["cancel", "resume"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request. `data` says by whom, and for a run to resume its input: plain JSON values."""

    id: str
    flow_run_id: str
    kind: Kind
    data: Mapping[str, Any] = field(default_factory=dict)
