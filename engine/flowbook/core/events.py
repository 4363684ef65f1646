"""Events: the record of what happened, one fact each.

Every view and every table is made from these. They travel from the engine to the store's writer and to the views in
the same process, and are read back by ``event.seq > last`` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from flowbook.core.jsonable import plain_name, plain_text
from flowbook.core.states import State, StateType

EventKind = Literal["flow-run", "task-run", "name", "state", "log", "edge", "graph", "artifact"]
"""``flow-run`` and ``task-run``: a run came to be. ``name``: it took its name. ``state``: it entered a state.
``log``: it said something.
``edge``: a dependency found while running. ``graph``: tasks that are going to run, known beforehand.
``artifact``: something was published for people, or what was published has changed."""


class Event(NamedTuple):
    """One fact about one run. `time` is in seconds since the epoch; `data` holds plain JSON values only.

    `task_run_id` is None for a fact about the flow run itself; `flow_run_id` is None for a task run outside any flow.
    `seq` is the store's number for the event, None until it is stored. (A tuple, since each task run has several.)
    """

    kind: EventKind
    time: float
    flow_run_id: str | None
    data: Mapping[str, Any]
    task_run_id: str | None = None
    seq: int | None = None


def state_to_json(state: State) -> dict[str, Any]:
    """The state as plain JSON values, without its data and time."""
    plain: dict[str, Any] = {"type": state.type.value, "name": plain_name(state.name)}
    if state.message:
        plain["message"] = plain_text(state.message)
    if state.attempt:
        plain["attempt"] = state.attempt
    if state.details:
        plain.update(state.details)
    return plain


def state_from_json(plain: Mapping[str, Any], time: float | None = None) -> State:
    """The state that `state_to_json` wrote, entered at `time`."""
    return State(
        type=StateType(plain["type"]),
        name=plain["name"],
        message=plain.get("message"),
        attempt=plain.get("attempt", 0),
        time=time,
    )
