"""What a failed task run was given and how it failed, kept with its flow run for whoever wants to know why.

A notebook puts it back into its namespace (``%flow debug``), also for a run of last night on another machine. Nothing
is kept of a task that says so (``persist_result=False``, ``cache_policy=NO_CACHE``), nor beyond the first `MOST_RUNS`
failures of one flow run.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.errors import MissingResult
from flowbook.recovery import MOST, Bounded, TooLarge
from flowbook.results import ResultStore

if TYPE_CHECKING:
    from flowbook.core.states import State
    from flowbook.run.failures import Failure
    from flowbook.run.task_execution import TaskExecution

_log = logging.getLogger("flowbook.results")

#: Of so many failed task runs of one flow run it is kept.
MOST_RUNS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedCall:
    """The call of a task that failed."""

    inputs: Mapping[str, Any]
    """What it was given, by name, as it was when the call had failed."""
    left_out: Mapping[str, str]
    """The names of inputs that could not be kept, and why not."""
    error: BaseException
    """With a traceback whose frames hold no variables."""


@dataclass(frozen=True, slots=True)
class _Record:
    inputs: Mapping[str, bytes]
    left_out: Mapping[str, str]
    failure: Failure


def keep(run: TaskExecution, state: State) -> None:
    """Keep what `run`, which enters the failed `state`, was given. Never raises: a failure must not hide another."""
    flow, error = run.flow, state.data
    if flow is None or not isinstance(error, BaseException):
        return
    if next(flow.names.setdefault("failures that are kept", count())) >= MOST_RUNS:
        return
    try:
        record = _record(run.parameters, error)
        root = str(flow.recovery).partition("/")[0] if flow.recovery is not None else flow.id
        _store.put(_key(run.id), record, task_key=run.work.key, flow_run_id=root)
    except Exception as problem:
        _log.debug("What %s was given is not kept: %s: %s", run.title, type(problem).__name__, problem)


def failed_call(task_run_id: str) -> FailedCall | None:
    """What is kept of a task run that failed; None if nothing is. Raises MissingResult if it cannot be read here."""
    from flowbook.run.failures import revive

    engine.engine().journal.flush()
    found = _store.record(_key(task_run_id))
    if found is None:
        return None
    record: _Record = _store.load(found)
    inputs, left_out = {}, dict(record.left_out)
    for name, pickled in record.inputs.items():
        try:
            inputs[name] = _bounded.loads(pickled)
        except Exception as error:  # a module that is not installed here, a class that is gone
            left_out[name] = f"it cannot be read here: {type(error).__name__}: {error}"
    return FailedCall(inputs=inputs, left_out=left_out, error=revive(record.failure))


def _record(parameters: Mapping[str, Any], error: BaseException) -> _Record:
    from flowbook.run.failures import portray

    inputs, left_out = {}, {}
    for name, value in parameters.items():
        file = io.BytesIO()
        try:
            _bounded.dump(value, file)
        except TooLarge:
            left_out[name] = f"it is larger than {MOST >> 20} MiB"
        except Exception as problem:
            left_out[name] = f"it cannot be pickled: {problem}"
        else:
            inputs[name] = file.getvalue()
    return _Record(inputs, left_out, portray(error))


def _key(task_run_id: str) -> str:
    return _store.hashed(f"failed call {task_run_id}")


_bounded = Bounded()
_store = ResultStore(serializer=_bounded)

__all__ = ["MOST_RUNS", "FailedCall", "MissingResult", "failed_call", "keep"]
