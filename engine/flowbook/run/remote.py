"""A task run that is executed in another process than its flow: what goes there, and how it is executed there.

The flow's process sends an `Order`. The other one builds a stand-in for the run, and for the flow runs around it, so
that loggers, ``flowbook.runtime``, artifacts and further tasks and flows work inside of the task as if it ran in the
flow's process. What happens meanwhile is sent back message by message (`Said`, `Recorded`, `Logged`, `Shown`), and at
last the outcome (`Done`, `Failed` or `TimedOut`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flowbook.core.events import Event
from flowbook.core.protocol import Call, Raised, Returned
from flowbook.core.states import State
from flowbook.errors import NotPicklable
from flowbook.run import logs
from flowbook.run.channel import Part
from flowbook.run.current import current_tags
from flowbook.run.execution import Execution, flowless
from flowbook.run.failures import Failure, portray
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.future import may_hold_futures
from flowbook.run.outcomes import settled
from flowbook.run.pickles import cannot_be_returned, pack, unpack
from flowbook.run.pool import ThreadPool
from flowbook.run.recorder import Recorder
from flowbook.run.streams import caught
from flowbook.run.task_execution import TaskExecution
from flowbook.run.timeouts import OutOfTime
from flowbook.run.work import Work

Send = Callable[[Sequence[Part]], None]


@dataclass(frozen=True, slots=True)
class Said:
    """The code has printed `text` to ``stdout`` or ``stderr``."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something has happened to the run, or to one inside of it."""

    event: Event


@dataclass(frozen=True, slots=True)
class Logged:
    """A logger that is none of flowbook's has made a record: the attributes of it."""

    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """The code displays something: its representations by MIME type."""

    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    display_id: str | None = None
    """Under which it may be shown again."""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The order has been read, and the function is called now, by the worker of this address."""

    where: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The function has returned `value`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The function has raised something."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The function was given up at its deadline, in the other process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AboutFlow:
    """A flow run, for those who are part of it in another process."""

    id: str
    name: str
    work: Mapping[str, Any]
    tags: frozenset[str]
    state: State | None
    began: float | None
    version: str | None
    parameters: bytes
    """Pickled, and read only when somebody asks for them."""
    parent: AboutFlow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One call of the function of a task run."""

    id: str
    name: str
    call_key: str
    fn: Callable[..., Any]
    work: Mapping[str, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    tags: frozenset[str]
    state: State | None
    began: float | None
    log_prints: bool
    flow: AboutFlow | None
    tags_around: frozenset[str]
    level: int
    """The least level of flowbook's loggers."""
    threads: int
    """In how many threads tasks are executed that the function submits."""


def read_order(parts: Sequence[Part]) -> Order:
    """The order that was sent. Raises NotPicklable, which says what is missing here."""
    try:
        order: Order = unpack(parts)
    except Exception as error:
        raise NotPicklable(
            f"The task cannot be read in the process that is to execute it: {type(error).__name__}: {error}. What it "
            "uses must be importable there; what the main script or a notebook defines is sent along."
        ) from error
    return order


def execute(order: Order, send: Send, timeout: float | None = None) -> list[Part]:
    """Carry out an order in this thread; returns the outcome as the parts of a message."""
    logs.install(order.level)
    recorder = Recorder(_Forwarding(send))
    flow = _FlowElsewhere(order.flow, recorder, order) if order.flow is not None else None
    run = _task_run(order, recorder, flow)
    around, sender = current_tags.set(order.tags_around), _sender.set(send)
    try:
        with caught([run] if flow is None else [run, flow], lambda *said: send([_dumps(Said(*said))])):
            return _outcome(run, _called(run, timeout))
    finally:
        current_tags.reset(around)
        _sender.reset(sender)
        while flow is not None:
            flowless.discard(flow)
            flow = flow.parent  # type: ignore[assignment]  # which is of the same class


def begun(where: str = "") -> list[Part]:
    """The message that the function is called now."""
    return [_dumps(Begun(where))]


def failure(error: BaseException) -> list[Part]:
    """The outcome of an order that could not be carried out."""
    return [_dumps(Failed(portray(error)))]


_sender: ContextVar[Send] = ContextVar("flowbook_sender")


def display(
    data: Mapping[str, Any], metadata: Mapping[str, Any], *, display_id: str | None = None, again: bool = False
) -> None:
    """Have the flow's process display something: its representations by MIME type. For code that is executed here.

    With `again` it takes the place of what was shown under `display_id`.
    """
    _sender.get()([_dumps(Shown(data, metadata, display_id, again))])


def is_elsewhere() -> bool:
    """Whether the calling code is executed for the process of a flow, which is another one."""
    return _sender.get(None) is not None


def _dumps(message: Any) -> bytes:
    return pickle.dumps(message, protocol=5)


class _Forwarding:
    """The sink of the recorder: the recorder of the flow's process keeps what is recorded here."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def append(self, event: Event) -> None:
        self._send([_dumps(Recorded(event))])

    def flush(self) -> None:
        """The flow's process sees to that."""


class _Nowhere:
    """The sink for what the flow's process has recorded already."""

    def append(self, event: Event) -> None: ...

    def flush(self) -> None: ...


class _FlowElsewhere(FlowExecution):
    """A flow run that another process executes, for a task run of it that is executed here."""

    __slots__ = ("_about", "_order", "_parameters")
    _parameters: Mapping[str, Any] | None

    def __init__(self, about: AboutFlow, recorder: Recorder, order: Order) -> None:
        self._about = about
        self._order = order
        parent = _FlowElsewhere(about.parent, recorder, order) if about.parent is not None else None
        work = Work(fn=_not_here, subject=_Subject(about.version), **about.work)
        runner = ThreadPool(order.threads)
        super().__init__(about.id, about.name, work, {}, recorder, runner=runner, parent=parent, tags=about.tags)
        self.state, self.began = about.state, about.began

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The parameters, which are read when somebody asks for them: they may need imports that take their time."""
        if self._parameters is None:
            read: Mapping[str, Any] = pickle.loads(self._about.parameters)  # noqa: S301 - from a process of our own
            self._parameters = read
        return self._parameters

    @kwargs.setter
    def kwargs(self, _: Mapping[str, Any]) -> None:
        self._parameters = None

    def task_run_name(self, name: str) -> str:
        # The flow's process counts the names; below that of the task run they are this one's to give.
        return f"{self._order.name}.{super().task_run_name(name)}"


@dataclass(frozen=True, slots=True)
class _Subject:
    version: str | None


def _not_here(**parameters: Any) -> Any:  # pragma: no cover - nobody calls it
    raise AssertionError


def _task_run(order: Order, recorder: Recorder, flow: FlowExecution | None) -> TaskExecution:
    run = TaskExecution(
        order.id,
        order.name,
        Work(fn=order.fn, **order.work),
        order.args,
        order.kwargs,
        Recorder(_Nowhere()),
        flow=flow,
        tags=order.tags,
    )
    run.recorder, run.call_key = recorder, order.call_key
    run.state, run.began, run.log_prints = order.state, order.began, order.log_prints
    return run


def _called(run: TaskExecution, timeout: float | None) -> Returned | Raised:
    """The outcome of the call, once everything that it has submitted has ended as well."""
    outcome = run.call(Call(timeout))
    if isinstance(outcome, Returned) and may_hold_futures(outcome.value) and not isinstance(outcome.value, State):
        state = settled(outcome.value)  # a future means nothing in the other process
        outcome = Returned(state.data if state.is_completed() else state)
    if run.flow is not None:
        try:
            run.flow.runner.close(outcome.error if isinstance(outcome, Raised) else None)
        except BaseException as error:
            outcome = Raised(error)
    return outcome


def _outcome(run: Execution, outcome: Returned | Raised) -> list[Part]:
    if isinstance(outcome, OutOfTime):
        return [_dumps(TimedOut())]
    if isinstance(outcome, Raised):
        return failure(outcome.error)
    try:
        return pack(Done(outcome.value))
    except Exception as error:
        return _what_can_be_sent(run, outcome.value, error)


def _what_can_be_sent(run: Execution, value: Any, error: Exception) -> list[Part]:
    """The outcome with what can be pickled of a value that as a whole cannot, if that is of use; else the failure."""
    if not hasattr(value, "without_unpicklable"):
        return failure(cannot_be_returned(run.title, value, error))
    try:
        return pack(Done(value.without_unpicklable()))
    except Exception as problem:
        return failure(problem)
