"""The task run that the calling code is part of.

``idempotency_key`` (32 hexadecimal digits) is the same in each attempt, and when the flow run is begun anew after a
crash or on a retry: give it to a service that does nothing twice for one key.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from flowbook.run.current import current
from flowbook.run.task_execution import TaskExecution
from flowbook.runtime.asking import answer

_FIELDS: dict[str, tuple[Callable[[TaskExecution], Any], Any]] = {
    "id": (lambda run: run.id, None),
    "idempotency_key": (lambda run: sha256(run.call_key.encode()).hexdigest()[:32], None),
    "name": (lambda run: run.name, None),
    "task_name": (lambda run: run.work.name, None),
    "parameters": (lambda run: dict(run.parameters), dict),
    "run_count": (lambda run: run.state.attempt if run.state else 0, 0),
    "start_time": (lambda run: run.told().start_time, None),
    "tags": (lambda run: sorted(run.tags), list),
}
__all__ = sorted(_FIELDS)


def __getattr__(name: str) -> Any:
    return answer(__name__, _FIELDS, name, _current_task)


def __dir__() -> list[str]:
    return __all__


def _current_task() -> TaskExecution | None:
    run = current.get()
    return run if isinstance(run, TaskExecution) else None
