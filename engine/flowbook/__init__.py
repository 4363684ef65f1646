"""flowbook: workflow orchestration that lives inside Jupyter.

Mark functions with ``@task`` and ``@flow``, or cells with ``%%task``; run the graph, watch it live, promote the
notebook to a schedule. Names are imported on first use, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook.context import tags
    from flowbook.core.annotations import allow_failure, quote, unmapped
    from flowbook.core.states import State
    from flowbook.deployments import deploy, serve
    from flowbook.flow_runs import pause_flow_run, resume_flow_run, suspend_flow_run
    from flowbook.flows import Flow, flow
    from flowbook.logging import get_run_logger
    from flowbook.notebooks import run_notebook
    from flowbook.tasks import Task, task
    from flowbook.transactions import transaction

__version__ = "0.1.0"

_HOMES = {
    "Flow": "flowbook.flows",
    "State": "flowbook.core.states",
    "Task": "flowbook.tasks",
    "allow_failure": "flowbook.core.annotations",
    "deploy": "flowbook.deployments",
    "flow": "flowbook.flows",
    "get_run_logger": "flowbook.logging",
    "pause_flow_run": "flowbook.flow_runs",
    "quote": "flowbook.core.annotations",
    "resume_flow_run": "flowbook.flow_runs",
    "run_notebook": "flowbook.notebooks",
    "serve": "flowbook.deployments",
    "suspend_flow_run": "flowbook.flow_runs",
    "tags": "flowbook.context",
    "task": "flowbook.tasks",
    "transaction": "flowbook.transactions",
    "unmapped": "flowbook.core.annotations",
}

__all__ = [
    "Flow",
    "State",
    "Task",
    "allow_failure",
    "deploy",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "quote",
    "resume_flow_run",
    "run_notebook",
    "serve",
    "suspend_flow_run",
    "tags",
    "task",
    "transaction",
    "unmapped",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flowbook' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext flowbook``."""
    import_module("flowbook_magics").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext flowbook``."""
    import_module("flowbook_magics").unload(shell)
