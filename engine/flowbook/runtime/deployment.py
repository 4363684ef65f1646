"""The deployment that the flow run of the calling code belongs to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flowbook.engine import current_flow, engine
from flowbook.runtime.asking import answer

_FIELDS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "flow_run_id": (lambda row: row.flow_run_id, None),
    "id": (lambda row: row.id, None),
    "name": (lambda row: row.name, None),
    "parameters": (lambda row: json.loads(row.parameters), dict),
    "version": (lambda row: row.version, None),
}
__all__ = sorted(_FIELDS)


def __getattr__(name: str) -> Any:
    return answer(__name__, _FIELDS, name, _row)


def __dir__() -> list[str]:
    return __all__


def _row() -> Any:
    """The deployment of the outermost flow run here: only that one was asked for by a deployment."""
    run = current_flow()
    if run is None:
        return None
    while run.parent is not None:
        run = run.parent
    from sqlalchemy import select

    from flowbook.store.schema import deployment, flow_run

    query = (
        select(
            flow_run.c.id.label("flow_run_id"),
            deployment.c.id,
            deployment.c.name,
            flow_run.c.version,
            flow_run.c.parameters,
        )
        .join(deployment, deployment.c.id == flow_run.c.deployment_id)
        .where(flow_run.c.id == run.id)
    )
    with engine().database.read() as connection:
        return connection.execute(query).one_or_none()
