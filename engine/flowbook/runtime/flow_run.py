"""The flow run that the calling code is part of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbook.engine import current_flow, engine
from flowbook.run.flow_execution import FlowExecution
from flowbook.runtime.asking import answer


def _root(run: FlowExecution) -> str:
    while run.parent is not None:
        run = run.parent
    root, above = run.id, run.shown_in
    while above is not None:  # a flow run of another process has asked a deployment for it
        root, above = above, _parent_of(above)
    return root


def _parent_of(flow_run_id: str) -> str | None:
    from sqlalchemy import select

    from flowbook.store.schema import flow_run

    with engine().database.read() as connection:
        found: str | None = connection.scalar(select(flow_run.c.parent_id).where(flow_run.c.id == flow_run_id))
    return found


_FIELDS: dict[str, tuple[Callable[[FlowExecution], Any], Any]] = {
    "id": (lambda run: run.id, None),
    "name": (lambda run: run.name, None),
    "flow_name": (lambda run: run.work.name, None),
    "flow_version": (lambda run: getattr(run.work.subject, "version", None), None),
    "parameters": (lambda run: dict(run.kwargs), dict),
    "parent_flow_run_id": (lambda run: run.shown_in, None),
    "root_flow_run_id": (_root, None),
    "run_count": (lambda run: run.state.attempt if run.state else 0, 0),
    "start_time": (lambda run: run.told().start_time, None),
    "tags": (lambda run: sorted(run.tags), list),
}
__all__ = sorted(_FIELDS)


def __getattr__(name: str) -> Any:
    return answer(__name__, _FIELDS, name, current_flow)


def __dir__() -> list[str]:
    return __all__
