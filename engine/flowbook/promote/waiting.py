"""Waiting for a run of a deployment that was asked for, in a script, in a flow, or on an event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowbook import engine, runs
from flowbook.core.events import state_to_json
from flowbook.core.records import FlowRun
from flowbook.core.states import FINAL_TYPES, State, StateType
from flowbook.errors import CancelRequested
from flowbook.store.queue import QueuedRun, queued_run

if TYPE_CHECKING:
    from flowbook.run.flow_execution import FlowExecution

_log = logging.getLogger("flowbook.deployments")

_REAP_EVERY = 2.0  # seconds between two looks at whether the process of the run has gone
_SAY_AFTER = 5.0  # seconds after which it is said that nobody is there to execute it


def wait_for_run(
    asked: QueuedRun, timeout: float | None, poll_interval: float, parent: FlowExecution | None
) -> FlowRun:
    """The run as it is when it has ended, or when the `timeout` is over, both in seconds.

    `parent` is the flow run in whose graph it is shown: if that is cancelled meanwhile, so is the run.
    """
    with _cancelled_with(asked.id, parent):
        for seconds in _waits(asked, timeout, poll_interval):
            time.sleep(seconds)
    return told(asked.id, parent)


async def wait_for_run_async(
    asked: QueuedRun, timeout: float | None, poll_interval: float, parent: FlowExecution | None
) -> FlowRun:
    """As `wait_for_run`, while the event loop goes on."""
    with _cancelled_with(asked.id, parent):
        for seconds in _waits(asked, timeout, poll_interval):
            await asyncio.sleep(seconds)
    return told(asked.id, parent)


def _waits(asked: QueuedRun, timeout: float | None, poll_interval: float) -> Iterator[float]:
    """The seconds to wait before each next look."""
    database = engine.engine().database
    begun = reaped = time.monotonic()
    is_told = False
    while True:
        now = time.monotonic()
        left = poll_interval if timeout is None else timeout - (now - begun)
        state = queued_run(database, asked.id).state_type
        if state in FINAL_TYPES or left <= 0:
            return
        if now - reaped >= _REAP_EVERY:
            reaped = now
            runs.find_run(asked.id)
            if not is_told and state == StateType.SCHEDULED and time.time() - asked.due > _SAY_AFTER:
                is_told = True
                _warn_without_worker(asked)
        yield min(poll_interval, left)


def _warn_without_worker(asked: QueuedRun) -> None:
    from flowbook.store.workers import living_workers

    if any(worker.pool == asked.pool for worker in living_workers(engine.engine().database, time.time())):
        return
    title = f"Run {asked.number} of {asked.flow!r} ({asked.name})"
    if asked.pool is None:
        _log.warning("%s waits for the process that serves its deployment, and none is running.", title)
    else:
        start = f"flowbook worker start --pool {asked.pool}"
        _log.warning(
            "%s waits for a worker of pool %r, and none is running. Start one with: %s", title, asked.pool, start
        )


@contextmanager
def _cancelled_with(flow_run_id: str, parent: FlowExecution | None) -> Iterator[None]:
    try:
        yield
    except (CancelRequested, asyncio.CancelledError):
        if parent is not None:
            reason = f"Cancelled with the flow run {parent.name!r}, which had asked for it."
            engine.engine().requests.cancel(flow_run_id, reason)
        raise


def told(flow_run_id: str, parent: FlowExecution | None) -> FlowRun:
    """The run as it is now, which `parent`, in whose graph it is shown, takes note of."""
    found = runs.find_run(flow_run_id)
    state = State(
        type=StateType(found.state_type),
        name=found.state_name,
        message=found.message,
        time=found.ended or found.started or found.created,
    )
    if parent is not None:  # whoever executed it has written that to the store; here the graph is shown from memory
        parent.recorder.emit("state", parent.id, flow_run_id, state_to_json(state))
    return FlowRun(
        id=found.id,
        name=found.name,
        flow_name=found.flow,
        state=state,
        parameters=found.parameters,
        started=found.started,
        parent_flow_run_id=parent.id if parent is not None else None,
    )
