"""What a notebook gives to whoever has called it: ``set_output(total=3)`` in any of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbook.errors import MissingResult, NotPicklable, UsageError
from flowbook.run.unattended import run_of_this_kernel

_NOTHING: Any = object()


def set_output(value: Any = _NOTHING, /, **values: Any) -> None:
    """Give `value`, or the `values` as a dict, to whoever has called this notebook: the last call counts.

    It stays with the run as long as that is kept. Where somebody sits before the notebook it does nothing. Raises
    UsageError for no value, or for both kinds, and NotPicklable for what cannot go to another process.
    """
    if (value is _NOTHING) != bool(values):
        raise UsageError("set_output() takes one value, set_output(3), or values by name, set_output(total=3).")
    run_id = run_of_this_kernel()
    if run_id is None:
        return
    given = values if value is _NOTHING else value
    try:
        keep_output(run_id, given)
    except Exception as error:
        raise NotPicklable(
            f"set_output() was given a {type(given).__name__}, which cannot go to another process: {error}."
        ) from None


class Unfit:
    """Stands for an output that could not be kept, and says why."""

    def __init__(self, why: str) -> None:
        self.why = why


def keep_output(flow_run_id: str, value: Any) -> None:
    """Keep the output of a run, in place of what was kept; it is durable when this returns."""
    from flowbook.engine import engine
    from flowbook.results import ResultStore

    store = ResultStore()
    store.put(output_key(flow_run_id), value, flow_run_id=flow_run_id)
    engine().journal.flush()


def keep_result(flow_run_id: str, flow: str, result: Any) -> None:
    """Keep what the flow of a notebook has returned, unless the notebook has set its output."""
    if _is_set(flow_run_id):
        return
    try:
        keep_output(flow_run_id, result)
    except Exception as error:
        why = (
            f"Flow {flow!r} returned a {type(result).__name__}, which cannot go to another process: {error}. "
            "Return something that can be pickled, or call flowbook.runtime.set_output()."
        )
        keep_output(flow_run_id, Unfit(why))


def keep_written(flow_run_id: str, values: Mapping[str, Any]) -> None:
    """Keep what task cells have written by name, unless the notebook has set its output.

    What cannot be pickled is left out, with a line in the log.
    """
    if _is_set(flow_run_id):
        return
    try:
        keep_output(flow_run_id, dict(values))
    except Exception:
        keep_output(flow_run_id, {name: value for name, value in values.items() if _can_be_pickled(name, value)})


def _can_be_pickled(name: str, value: Any) -> bool:
    from flowbook.serializers import PickleSerializer

    try:
        PickleSerializer().dumps(value)
    except Exception as error:
        print(f"{name!r} is left out of the output: it cannot be pickled ({error}).")  # noqa: T201 - this is the log
        return False
    return True


def _is_set(flow_run_id: str) -> bool:
    from flowbook.results import ResultStore

    return ResultStore().record(output_key(flow_run_id)) is not None


def output_of(flow_run_id: str) -> Any:
    """The output of a run; None if it has none. Raises MissingResult if it cannot be read."""
    from flowbook.results import ResultStore

    store = ResultStore()
    record = store.record(output_key(flow_run_id))
    value = None if record is None else store.load(record)
    if isinstance(value, Unfit):
        raise MissingResult(value.why)
    return value


def output_key(flow_run_id: str) -> str:
    """What the output of a run is recorded under."""
    from flowbook.results import ResultStore

    return ResultStore().hashed(f"output of {flow_run_id}")
