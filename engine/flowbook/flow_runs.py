"""Pausing, resuming and cancelling flow runs, from within them and from anywhere else."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowbook import engine, runs
from flowbook.core.events import state_to_json
from flowbook.core.states import State, StateType, scheduled
from flowbook.errors import FlowbookError, MissingContextError, ParameterError, UsageError
from flowbook.run.current import current
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.logs import logger_of
from flowbook.run.pauses import Pause, not_paused
from flowbook.run.unattended import run_of_this_kernel
from flowbook.store.events import last_state_of
from flowbook.store.processes import this_process

if TYPE_CHECKING:
    from flowbook.run.asked import Asked

__all__ = ["cancel_flow_run", "pause_flow_run", "resume_flow_run", "retry_flow_run", "suspend_flow_run"]

_ANSWER_WITHIN = 10.0  # seconds for the process that executes a run to answer
_LOOK_EVERY = 0.05  # seconds


def pause_flow_run(
    wait_for_input: Any = None, timeout: float | None = 3600, poll_interval: float = 10, key: str | None = None
) -> Any:
    """Wait, inside of a flow, until somebody resumes its run; task runs that have begun go on meanwhile.

    In an ``async def`` flow it is awaited: ``await pause_flow_run()``. `wait_for_input` is a
    :class:`flowbook.input.RunInput`, another pydantic model, or a type such as ``int``: what whoever resumes the run
    gives is checked against it and returned. `timeout` is in seconds, None for no limit. A pause with a `key` happens
    once in a flow run; later ones with the same key, in a retry for instance, return the same answer at once.
    `poll_interval` is accepted for Prefect's sake and makes no difference.

    Raises FlowPauseTimeout when nobody resumes it in time, MissingContextError outside of a flow, and UsageError in a
    task.
    """
    run = _flow_to_pause()
    if run.work.is_async:
        return _pause_async(run, wait_for_input, timeout, key)
    pause = _begin(run, wait_for_input, timeout, key)
    return run.pauses.answer_to(key) if pause is None else pause.wait(_shown)


def suspend_flow_run(wait_for_input: Any = None, timeout: float | None = 3600, key: str | None = None) -> Any:
    """Wait, inside of a flow run of a deployment, without a process: it ends, and another one goes on with the run.

    When somebody resumes it, the flow is called again from its beginning. Tasks that had completed are not executed
    again where their results were kept; this call returns what it was answered. So whatever must not happen twice
    belongs into tasks. The arguments are those of `pause_flow_run`; an input that does not fit suspends it once more.

    Raises MissingContextError outside of a flow, UsageError in a task, in a sub-flow and in a run that no deployment
    has made. A run that nobody resumes in time is Failed.
    """
    run = _flow_to_pause("suspend_flow_run")
    if run.parent is not None or run.recovery is None:
        raise UsageError(
            "suspend_flow_run() was called in a run that no other process could go on with: only the flow that a "
            "deployment runs can be suspended. Use pause_flow_run(), which waits where it is."
        )
    if run.work.is_async:
        return _suspend_async(run, wait_for_input, timeout, key)
    return _suspend(run, wait_for_input, timeout, key)


def resume_flow_run(flow_run_id: str | int, run_input: Mapping[str, Any] | None = None) -> None:
    """Have a paused flow run go on, whatever process executes it.

    `flow_run_id` is its id, number or name. `run_input` are the fields of the input that it waits for; of a plain type
    it is ``{"value": ...}``. Returns when the run has taken it. Raises NotFound, UsageError if the run is not paused,
    and ParameterError, which names the field, if the input does not fit: the run stays paused then.
    """
    _resume(flow_run_id, run_input)


def cancel_flow_run(flow_run_id: str | int) -> State:
    """Cancel a flow run, whatever process executes it; returns the state that it is in now.

    `flow_run_id` is its id, number or name. A run that nobody executes yet is Cancelled at once. Another one is
    Cancelling: the process that executes it ends it within two seconds, with its tasks and sub-flows. Raises NotFound,
    and UsageError if it has ended.
    """
    opened = engine.engine()
    found = runs.find_run(flow_run_id)
    if found.ended is None:
        state = opened.requests.cancel(found.id, f"Cancelled on request of {_who()}.")
        if state.is_cancelling():
            opened.watcher.look_now()
        if state.is_cancelling() or state.is_cancelled():
            return state
    raise UsageError(f"Flow run {found.name!r} has ended already: it is {runs.find_run(found.id).state_name}.")


def retry_flow_run(flow_run_id: str | int) -> None:
    """Have a flow run of a deployment that failed, crashed or was cancelled begin anew, in whatever worker is free.

    `flow_run_id` is its id, number or name. It keeps its parameters and its version; tasks that had completed are not
    executed again where their results were kept. Raises NotFound, and UsageError for a run that has not ended, that
    completed, or that no worker can execute.
    """
    from flowbook.store.queue import begin_again

    found = runs.find_run(flow_run_id)
    title = f"Flow run {found.name!r}"
    if found.ended is None:
        raise UsageError(f"{title} has not ended: it is {found.state_name}. Cancel it first, or wait for its end.")
    if found.state_type == StateType.COMPLETED:
        raise UsageError(f"{title} has completed; ask for another run with: flowbook deployment run NAME")
    if found.deployment is None:
        raise UsageError(
            f"{title} was called from code and no deployment has it, so nothing here knows how to call it again: "
            f"call flow {found.flow!r} again."
        )
    begin_again(engine.engine().database, found.id, f"Retry asked for by {_who()}.")


def resume_with_texts(flow_run_id: str | int, texts: Mapping[str, str]) -> None:
    """`resume_flow_run` with what a person typed: values that a field does not take as text are read as JSON."""
    _resume(flow_run_id, texts, texts=True)


def _flow_to_pause(called: str = "pause_flow_run") -> FlowExecution:
    run = current.get()
    if run is None:
        raise MissingContextError(f"{called}() was called outside of a flow run; call it inside a flow.")
    if not isinstance(run, FlowExecution):
        raise UsageError(f"{called}() was called in {run.title[0].lower()}{run.title[1:]}; call it in the flow.")
    return run


def _suspend(run: FlowExecution, wait_for_input: Any, timeout: float | None, key: str | None) -> Any:
    pause = run.pauses.begin(_asked(wait_for_input), timeout, key)
    if pause is None:
        return run.pauses.answer_to(key)
    return run.pauses.suspend(pause, engine.engine().requests.answers_to(run.id))


async def _suspend_async(run: FlowExecution, wait_for_input: Any, timeout: float | None, key: str | None) -> Any:
    return _suspend(run, wait_for_input, timeout, key)


def _asked(wait_for_input: Any) -> Asked | None:
    if wait_for_input is None:
        return None
    from flowbook.run.asked import Asked

    return Asked(wait_for_input)


def _begin(run: FlowExecution, wait_for_input: Any, timeout: float | None, key: str | None) -> Pause | None:
    pause = run.pauses.begin(_asked(wait_for_input), timeout, key)
    if pause is not None:
        logger_of(run).info("Paused. To resume it: %s", pause.how_to_resume())
    return pause


async def _pause_async(run: FlowExecution, wait_for_input: Any, timeout: float | None, key: str | None) -> Any:
    pause = _begin(run, wait_for_input, timeout, key)
    return run.pauses.answer_to(key) if pause is None else await pause.awaited(_shown)


def _shown(pause: Pause) -> AbstractContextManager[Any]:
    """A form under the cell, in a kernel that somebody sits before."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None or run_of_this_kernel() is not None:
        return nullcontext()
    form: AbstractContextManager[Any] = import_module("flowbook_magics.pause_form").PauseForm(pause)
    return form


def _resume(flow_run_id: str | int, given: Mapping[str, Any] | None, *, texts: bool = False) -> None:
    opened = engine.engine()
    found = runs.find_run(flow_run_id)
    if found.state_type != StateType.PAUSED:
        raise not_paused(f"Flow run {found.name!r}", State(type=StateType(found.state_type), name=found.state_name))
    data = {"by": _who(), "input": _plain(given), "texts": texts}
    if found.state_name == "Suspended":
        key = last_state_of(opened.database, found.id).get("key")
        if opened.requests.resume_suspended(found.id, {**data, "key": key}):
            return
    here = opened.watcher.find(found.id)
    if here is not None:
        here.resume(data)
        return
    request_id = opened.requests.ask_to_resume(found.id, data)
    try:
        _wait_for_answer(found.name, request_id)
    finally:
        opened.requests.remove(request_id)


def _wait_for_answer(name: str, request_id: str) -> None:
    deadline = time.monotonic() + _ANSWER_WITHIN
    while time.monotonic() < deadline:
        answer = engine.engine().requests.is_answered(request_id)
        if answer is True:
            return
        if answer:
            said = str(answer["message"])
            raise ParameterError(said, field=answer["field"]) if answer["input"] else UsageError(said)
        time.sleep(_LOOK_EVERY)
    raise FlowbookError(
        f"The process that executes flow run {name!r} did not answer within {_ANSWER_WITHIN:g} seconds, so the run is "
        f"as it was. `flowbook runs show {name}` says what has become of it."
    )


def _plain(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The input as JSON values, which travel to another process; models and dates in it become what JSON has."""
    if given is None:
        return None
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return {str(name): to_jsonable_python(value) for name, value in given.items()}
    except PydanticSerializationError as error:
        raise ParameterError(f"run_input cannot be kept as JSON: {error}.") from None


def _who() -> str:
    """Who asks: ``ada@laptop, pid 4711``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no entry for this user, as in some containers
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    process = this_process()
    return f"{user}@{process.host}, pid {process.pid}"


def show_subflow(
    parent: FlowExecution, flow_run_id: str, flow: str, kind: str = "deployment", upstream: Sequence[str] = ()
) -> None:
    """Show a run of another process as a node in the graph of `parent`, which has asked for it and waits for it.

    It is a run of a deployment, or of a notebook if that is its `kind`; it takes results of the runs `upstream`.

    Nothing if it is there already, because `parent` has asked for it before.
    """
    from sqlalchemy import select

    from flowbook.store.schema import task_run

    parent.recorder.flush()
    with engine.engine().database.read() as connection:
        if connection.scalar(select(task_run.c.id).where(task_run.c.id == flow_run_id)) is not None:
            return
    node: dict[str, Any] = {"name": parent.task_run_name(flow), "key": f"{kind}.{flow}", "flow": True}
    if upstream:
        node["upstream"] = list(upstream)
    parent.recorder.emit("task-run", parent.id, flow_run_id, node)
    parent.recorder.emit("state", parent.id, flow_run_id, state_to_json(scheduled()))
    parent.recorder.flush()  # before whoever executes it says how it goes
