"""What a person sees of a flow run: one snapshot, made from events by one pure reducer.

The live widget, the JupyterLab panel, the CLI and the executed notebook all show this snapshot; none of them decides
anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from flowbook.core.events import Event, state_from_json
from flowbook.core.states import State, StateType

#: The word that stands beside the icon, for each kind of state. The keys are CSS classes in every front end.
WORDS = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "crashed": "Crashed",
    "running": "Running",
    "retrying": "Retrying",
    "reused": "Reused",
    "waiting": "Waiting",
    "scheduled": "Scheduled",
    "not-run": "Not run",
    "cancelled": "Cancelled",
    "paused": "Paused",
}


_BY_NAME = {
    "Cached": "reused",
    "Retrying": "retrying",
    "AwaitingRetry": "retrying",
    "NotReady": "not-run",
    "Cancelling": "cancelled",
}
_BY_TYPE = {
    StateType.COMPLETED: "succeeded",
    StateType.FAILED: "failed",
    StateType.CRASHED: "crashed",
    StateType.RUNNING: "running",
    StateType.CANCELLED: "cancelled",
    StateType.CANCELLING: "cancelled",
    StateType.PAUSED: "paused",
    StateType.SCHEDULED: "scheduled",
}


def look_of(state: State | None) -> str:
    """The key into WORDS for a state; a run without a state is waiting."""
    if state is None or state.type is StateType.PENDING:
        return "waiting"
    return _BY_NAME.get(state.name) or _BY_TYPE[state.type]


class NodeView(NamedTuple):
    """One task run, or a task that is going to run. Times are in seconds since the epoch.

    A tuple, since each event of a task run makes a new one: that takes a tenth of what a frozen dataclass does.
    """

    id: str
    name: str
    key: str = ""
    """What task it is a run of."""
    state: State | None = None
    upstream: tuple[str, ...] = ()
    cell: str | None = None
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    mapped_by: str | None = None
    """The id of the task run whose element this is, if it is one."""

    @property
    def look(self) -> str:
        """The key into WORDS."""
        return look_of(self.state)

    def duration(self, now: float | None = None) -> float | None:
        """Seconds from the first attempt to the end, or to `now`; None before it has begun."""
        end = self.ended if self.ended is not None else now
        return None if self.started is None or end is None else max(0.0, end - self.started)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One log record of a run."""

    time: float
    level: str
    message: str
    task_run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunView:
    """One flow run with its graph: nodes by id in the order in which they came to be."""

    id: str
    name: str = ""
    flow: str = ""
    state: State | None = None
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    logs: tuple[LogLine, ...] = ()
    """The last log lines."""
    log_count: int = 0
    """How many there were in all."""
    last_seq: int = 0

    @property
    def look(self) -> str:
        """The key into WORDS."""
        return look_of(self.state)

    def duration(self, now: float | None = None) -> float | None:
        """Seconds from the start to the end, or to `now`; None before it has begun."""
        end = self.ended if self.ended is not None else now
        return None if self.started is None or end is None else max(0.0, end - self.started)

    def counted(self) -> list[NodeView]:
        """The nodes that are counted: instead of a task run that runs once per element, its elements."""
        shown = {node.mapped_by for node in self.nodes.values()} - {None}
        return [node for node in self.nodes.values() if node.id not in shown]

    def counts(self) -> dict[str, int]:
        """How many nodes look like what, in the order of WORDS, without the zeros."""
        tally = dict.fromkeys(WORDS, 0)
        for node in self.counted():
            tally[node.look] += 1
        return {look: n for look, n in tally.items() if n}

    def first_failure(self) -> NodeView | None:
        """The failed node that failed first: the cause, not what followed from it."""
        broken = [n for n in self.nodes.values() if n.look in ("failed", "crashed")]
        return min(broken, key=lambda n: n.ended or 0.0, default=None)


class RunReducer:
    """Folds the events of one flow run into a `RunView`; `changed` collects the ids of nodes that an event touched.

    The reducer keeps its nodes in a dict of its own, so that an event costs the same however large the run is;
    `view` hands out a snapshot.
    """

    def __init__(self, flow_run_id: str, *, keep_logs: int = 0) -> None:
        self._view = RunView(id=flow_run_id)
        self._nodes: dict[str, NodeView] = {}
        self._logs: list[LogLine] = []
        self._log_count = 0
        self._keep_logs = keep_logs
        self.changed: set[str] = set()
        self.shape_changed = False

    @property
    def view(self) -> RunView:
        """The snapshot after the events so far."""
        return replace(self._view, nodes=dict(self._nodes), logs=tuple(self._logs), log_count=self._log_count)

    def apply(self, events: Iterable[Event]) -> None:
        """Fold `events` in; those of other flow runs are passed over."""
        for event in events:
            if event.flow_run_id == self._view.id:
                fold = self._APPLY.get(event.kind)
                if fold is not None:  # a view shows no artifacts, nor what only a newer flowbook knows
                    fold(self, event)
                if event.seq is not None:
                    self._view = replace(self._view, last_seq=event.seq)

    def _flow_run(self, event: Event) -> None:
        data = event.data
        if (
            data.get("known") and self._view.started is not None
        ):  # begun anew: what is seen is the execution that is under way
            self._nodes.clear()
            self._view = replace(self._view, started=None)
            self.shape_changed = True
        self._view = replace(
            self._view,
            name=data.get("name", ""),
            flow=data.get("flow", ""),
            parameters=data.get("parameters", {}),
            created=self._view.created or event.time,
        )

    def _graph(self, event: Event) -> None:
        for task in event.data["tasks"]:
            self._put(
                NodeView(id=task["id"], name=task["name"], upstream=tuple(task["upstream"]), cell=task.get("cell"))
            )
        self.shape_changed = True

    def _task_run(self, event: Event) -> None:
        data, run_id = event.data, event.task_run_id or ""
        known = self._nodes.get(run_id)
        upstream = tuple(data.get("upstream", ()))
        if known is None or known.upstream != upstream:
            self.shape_changed = True
        node = known or NodeView(id=run_id, name=data["name"])
        key = data.get("key", "")
        cell, mapped_by = data.get("cell"), data.get("mapped_by")
        self._put(node._replace(name=data["name"], key=key, upstream=upstream, cell=cell, mapped_by=mapped_by))

    def _name(self, event: Event) -> None:
        node = self._nodes.get(event.task_run_id or "")
        if node is not None:
            self._put(node._replace(name=event.data["name"]))
            self.shape_changed = True

    def _edge(self, event: Event) -> None:
        node = self._nodes.get(event.task_run_id or "")
        source = event.data["from"]
        if node is not None and source not in node.upstream:
            self._put(node._replace(upstream=(*node.upstream, source)))
            self.shape_changed = True

    def _state(self, event: Event) -> None:
        state = state_from_json(event.data, event.time)
        if event.task_run_id is None:
            self._view = replace(self._view, **_advanced(self._view, state))
        elif (node := self._nodes.get(event.task_run_id)) is not None:
            self._put(node._replace(**_advanced(node, state), attempts=max(node.attempts, state.attempt)))

    def _log(self, event: Event) -> None:
        if self._keep_logs:
            data = event.data
            self._log_count += 1
            self._logs.append(
                LogLine(time=event.time, level=data["level"], message=data["message"], task_run_id=event.task_run_id)
            )
            del self._logs[: -self._keep_logs]

    def _put(self, node: NodeView) -> None:
        self._nodes[node.id] = node
        self.changed.add(node.id)

    _APPLY: ClassVar[Mapping[str, Callable[[RunReducer, Event], None]]] = {
        "flow-run": _flow_run,
        "graph": _graph,
        "task-run": _task_run,
        "name": _name,
        "edge": _edge,
        "state": _state,
        "log": _log,
    }


def _advanced(view: NodeView | RunView, state: State) -> dict[str, Any]:
    """What changes of a view with its new state: also the start of its first attempt, and its end."""
    begun = state.time if view.started is None and state.is_running() else view.started
    return {"state": state, "started": begun, "ended": state.time if state.is_final() else None}


def reduce_run(flow_run_id: str, events: Iterable[Event], *, keep_logs: int = 0) -> RunView:
    """The snapshot of one flow run after `events`."""
    reducer = RunReducer(flow_run_id, keep_logs=keep_logs)
    reducer.apply(events)
    return reducer.view
