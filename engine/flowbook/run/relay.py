"""The flow's side of a task run that is executed in another process: what is sent there, and what comes back.

What comes back is passed on as it comes: prints to the standard streams, in the context of the run, so that they land
under its cell; events to the record, with the time that they have; log records to the loggers of this process.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flowbook.core.events import state_from_json, state_to_json
from flowbook.core.parameters import arguments_by_name
from flowbook.core.protocol import Call, Raised, Returned
from flowbook.core.states import cancelled, crashed
from flowbook.errors import FlowbookError, NotPicklable, WorkerLost
from flowbook.run.channel import Part
from flowbook.run.clock import SystemClock
from flowbook.run.current import current_tags
from flowbook.run.failures import revive
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.pickles import Pickler, cannot_be_sent, pack, unpack
from flowbook.run.remote import AboutFlow, Done, Failed, Logged, Order, Recorded, Said, Shown, TimedOut
from flowbook.run.task_execution import TaskExecution
from flowbook.run.timeouts import OutOfTime
from flowbook.run.work import Work

_LARGE = 1 << 20  # bytes: a larger parameter of the flow stays in the flow's process
_GONE = crashed("The process that executed it went away.")
_STOPPED = cancelled("Cancelled with the task run that it was a part of.")


class Companion(Protocol):
    """A function that has something to do here while it is executed elsewhere, such as to show what comes of it."""

    @property
    def pickler(self) -> type[Pickler]:
        """What pickles it, and what it is called with."""

    def accompany(self, call: Callable[[], Returned | Raised], inputs: Mapping[str, Any]) -> Returned | Raised:
        """The outcome of `call`, which executes the function elsewhere with copies of `inputs`, by keyword."""


def _companion_of(run: TaskExecution) -> Companion | None:
    function: Any = run.work.fn
    return function if hasattr(function, "accompany") else None


class RemoteCaller:
    """Has the functions of task runs called in other processes. Subclasses say how an order gets there."""

    def __init__(self, threads: int) -> None:
        """`threads` is how many a process may use for tasks that are submitted inside of a task."""
        self._threads = threads
        self._parameters: dict[str, bytes] = {}

    def call(self, run: TaskExecution, effect: Call) -> Returned | Raised:
        """The outcome of the call, when it has ended."""
        companion = _companion_of(run)
        if companion is None:
            return self._call(run, effect.timeout)
        return companion.accompany(lambda: self._call(run, effect.timeout), run.kwargs)

    def conduct(self, order: Sequence[Part], run: TaskExecution, relay: Relay, timeout: float | None) -> Raised | Any:
        """The outcome of an order, once it has been carried out; what comes meanwhile is given to `relay`."""
        raise NotImplementedError  # pragma: no cover - each kind of caller has its own

    def _call(self, run: TaskExecution, timeout: float | None) -> Returned | Raised:
        relay = Relay(run)
        try:
            outcome: Returned | Raised = self.conduct(self._packed(run), run, relay, timeout)
        except BaseException as error:
            outcome = Raised(error)
        if run.stopped_by is not None and isinstance(outcome, Raised) and isinstance(outcome.error, Exception):
            outcome = Raised(run.stopped_by())  # however the code answered the interrupt
        relay.close(outcome)
        return outcome

    def _packed(self, run: TaskExecution) -> list[Part]:
        companion = _companion_of(run)
        try:
            return pack(self._order(run), companion.pickler if companion is not None else Pickler)
        except FlowbookError:
            raise
        except Exception as error:
            arguments = arguments_by_name(run.work.fn, run.args, run.kwargs)
            raise cannot_be_sent(run.title, run.work.fn, arguments) from error

    def _order(self, run: TaskExecution) -> Order:
        return Order(
            id=run.id,
            name=run.name,
            call_key=run.call_key,
            fn=run.work.fn,
            work=_about_work(run.work),
            args=run.args,
            kwargs=run.kwargs,
            tags=run.tags,
            state=run.state,
            began=run.began,
            log_prints=run.log_prints,
            flow=self._about(run.flow) if run.flow is not None else None,
            tags_around=current_tags.get(),
            level=logging.getLogger("flowbook").level,
            threads=self._threads,
        )

    def _about(self, flow: FlowExecution) -> AboutFlow:
        if flow.id not in self._parameters:
            self._parameters[flow.id] = _packed_parameters(flow.kwargs)
        return AboutFlow(
            id=flow.id,
            name=flow.name,
            work={**_about_work(flow.work), "log_prints": flow.log_prints},
            tags=flow.tags,
            state=flow.state,
            began=flow.began,
            version=getattr(flow.work.subject, "version", None),
            parameters=self._parameters[flow.id],
            parent=self._about(flow.parent) if flow.parent is not None else None,
        )


class Relay:
    """Passes on what the other process says of one run."""

    def __init__(self, run: TaskExecution) -> None:
        self._run = run
        self._unfinished: dict[tuple[str | None, str | None], None] = {}

    def read(self, parts: Sequence[Part]) -> Any:
        """The message; Raised, if it cannot be read."""
        try:
            return unpack(parts)
        except Exception as error:
            return Raised(_cannot_be_read(self._run, error))

    def take(self, message: Any) -> Returned | Raised | None:
        """Pass a message on; returns the outcome of the order, if that is what it says."""
        match message:
            case Said(stream, text):
                getattr(sys, stream).write(text)
            case Recorded(event):
                self._note(event)
                recorder = self._run.recorder
                if not isinstance(recorder.clock, SystemClock):  # the other process goes by another one than ours
                    event = event._replace(time=recorder.clock.time())
                recorder.relay(event)
            case Logged(attributes):
                _log(attributes)
            case Shown():
                _show(message)
            case Done(value):
                return Returned(value)
            case Failed(failure):
                return Raised(revive(failure))
            case Raised():
                return message
            case TimedOut():
                return OutOfTime(self._run.title, self._run.work.rules.timeout or 0.0)
        return None

    def close(self, outcome: Returned | Raised) -> None:
        """The run has ended with `outcome`: so have those inside of it of which the end was not said."""
        lost = isinstance(outcome, Raised) and isinstance(outcome.error, WorkerLost)
        for flow_run_id, task_run_id in reversed(self._unfinished):
            end = state_to_json(_GONE if lost else _STOPPED)
            self._run.recorder.emit("state", flow_run_id, task_run_id, end)
        self._unfinished.clear()

    def _note(self, event: Any) -> None:
        which = (event.flow_run_id, event.task_run_id)
        if event.kind in ("flow-run", "task-run"):
            self._unfinished[which] = None
        elif event.kind == "state" and state_from_json(event.data).is_final():
            self._unfinished.pop(which, None)


def _about_work(work: Work) -> Mapping[str, Any]:
    """What the other process may know of the work, besides its function."""
    return {
        "name": work.name,
        "is_async": work.is_async,
        "log_prints": work.log_prints,
        "key": work.key,
        "tags": work.tags,
        "cell": work.cell,
        "quiet": work.quiet,
    }


def _packed_parameters(parameters: Mapping[str, Any]) -> bytes:
    import cloudpickle

    small: dict[str, Any] = {}
    for name, value in parameters.items():
        try:
            size = sum(memoryview(part).nbytes for part in pack(value))
            small[name] = value if size <= _LARGE else _NotSent(f"it takes {size / _LARGE:.0f} MB")
        except Exception as error:
            small[name] = _NotSent(f"it cannot be pickled: {type(error).__name__}: {error}")
    packed: bytes = cloudpickle.dumps(small)
    return packed


class _NotSent:
    """Stands in another process for a parameter of the flow that is not sent along with every task."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __repr__(self) -> str:
        return f"<a parameter of the flow that is not known in this process: {self.why}; pass it to the task>"


def _cannot_be_read(run: TaskExecution, error: Exception) -> NotPicklable:
    said = NotPicklable(
        f"The result of {run.title[0].lower()}{run.title[1:]} cannot be read in the flow's process: "
        f"{type(error).__name__}: {error}. Return plain data, or write it to a file and return the path."
    )
    said.__cause__ = error
    return said


def _log(attributes: Mapping[str, Any]) -> None:
    """Have the loggers of this process handle a record of another one, if they want it."""
    logger = logging.getLogger(attributes["name"])
    if logger.isEnabledFor(attributes["levelno"]):
        logger.handle(logging.makeLogRecord(dict(attributes)))


def _show(shown: Shown) -> None:
    """Display something as the notebook does, if this is one; else say its text, or what was published."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import publish_display_data

        transient = {} if shown.display_id is None else {"display_id": shown.display_id}
        publish_display_data(  # type: ignore[no-untyped-call]
            dict(shown.data), dict(shown.metadata), transient=transient, update=shown.again
        )
    elif shown.display_id is not None:
        if not shown.again:
            logging.getLogger("flowbook.artifacts").info("Published the artifact %s.", shown.display_id)
    elif "text/plain" in shown.data:
        sys.stdout.write(f"{shown.data['text/plain']}\n")
