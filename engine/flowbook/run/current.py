"""Which run the code that asks is part of."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbook.run.execution import Execution

current: ContextVar[Execution | None] = ContextVar("flowbook_current_run", default=None)
"""The innermost run; None outside of all."""
