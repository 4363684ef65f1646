"""The flow run that the calling code is part of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbook.engine import current_flow
from flowbook.run.flow_execution import FlowExecution
from flowbook.runtime.asking import answer

_FIELDS: dict[str, tuple[Callable[[FlowExecution], Any], Any]] = {
    "id": (lambda run: run.id, None),
    "name": (lambda run: run.name, None),
    "flow_name": (lambda run: run.work.name, None),
    "flow_version": (lambda run: getattr(run.work.subject, "version", None), None),
    "parameters": (lambda run: dict(run.kwargs), dict),
    "parent_flow_run_id": (lambda run: run.parent.id if run.parent else None, None),
    "root_flow_run_id": (lambda run: _root(run).id, None),
    "run_count": (lambda run: run.state.attempt if run.state else 0, 0),
    "start_time": (lambda run: run.told().start_time, None),
    "tags": (lambda run: sorted(run.tags), list),
}
__all__ = sorted(_FIELDS)


def __getattr__(name: str) -> Any:
    return answer(__name__, _FIELDS, name, current_flow)


def __dir__() -> list[str]:
    return __all__


def _root(run: FlowExecution) -> FlowExecution:
    while run.parent is not None:
        run = run.parent
    return run
