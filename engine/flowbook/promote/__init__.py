"""From notebook to deployment: read it, check it, capture what it needs, store a version of it.

``python -m flowbook.promote.execute FLOW_RUN_ID`` executes one run of a deployment; it does not need what promoting
needs, so that is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook.promote.promotion import promote
    from flowbook.promote.requests import request_run
    from flowbook.promote.saving import Promoted

_HOMES = {
    "Promoted": "flowbook.promote.saving",
    "promote": "flowbook.promote.promotion",
    "request_run": "flowbook.promote.requests",
}

__all__ = ["Promoted", "promote", "request_run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flowbook.promote' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
