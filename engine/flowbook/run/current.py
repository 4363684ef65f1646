"""Which run the code that asks is part of."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

current: ContextVar[Execution | None] = ContextVar("flowbook_current_run", default=None)
"""The innermost run; None outside of all."""

current_tags: ContextVar[frozenset[str]] = ContextVar("flowbook_tags", default=frozenset())
"""The tags that runs get which begin in this context."""
