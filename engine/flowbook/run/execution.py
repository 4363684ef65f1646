"""One run being executed: the mutable companion of a life, which performs the effects that need no driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.core.events import state_to_json
from flowbook.core.protocol import (
    Call,
    Effect,
    Enter,
    Life,
    LookUp,
    Raised,
    Returned,
    Rules,
    Save,
    task_life,
)
from flowbook.core.states import PENDING, State, broken_off, check_transition
from flowbook.errors import IllegalTransition, UpstreamTaskError
from flowbook.run.current import current
from flowbook.run.future import Future, replace_futures
from flowbook.run.logs import say
from flowbook.run.recorder import Recorder
from flowbook.run.timeouts import call_within

if TYPE_CHECKING:
    from flowbook.run.flow_execution import FlowExecution


class Cache(Protocol):
    """Where results are kept between runs. `key` is None when this run must not be cached."""

    def look_up(self, key: str) -> Returned | None: ...

    def save(self, key: str, value: Any) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What is to be executed: a function under rules. The same for every run of a task or flow."""

    name: str
    fn: Callable[..., Any]
    rules: Rules = Rules()
    is_async: bool = False
    log_prints: bool | None = None
    cache_key: Callable[[tuple[Any, ...], Mapping[str, Any]], str | None] | None = None
    cache: Cache | None = None
    key: str = ""
    cell: str | None = None
    quiet: bool = False
    gather: Callable[[], Mapping[str, Any]] | None = None
    """Collects the arguments when the run begins, for work whose inputs are not passed by its caller (a cell's)."""


class Execution:
    """What task runs and flow runs have in common."""

    __slots__ = (
        "args",
        "cache_key",
        "id",
        "kwargs",
        "log_prints",
        "name",
        "recorder",
        "siblings",
        "state",
        "stopped_by",
        "work",
    )
    kind = "run"
    logger = "flowbook"

    def __init__(
        self,
        id: str,
        name: str,
        work: Work,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        recorder: Recorder,
        siblings: set[Execution],
    ) -> None:
        self.id = id
        self.name = name
        self.work = work
        self.args = args
        self.kwargs = kwargs
        self.recorder = recorder
        self.state: State | None = None
        self.cache_key: str | None = None
        self.stopped_by: type[BaseException] | None = None  # the interrupt, once there was one
        self.log_prints = bool(work.log_prints)
        self.siblings = siblings  # the unfinished runs of the same flow run, this one among them until it has ended

    @property
    def title(self) -> str:
        """``Task run 'extract'``, as it stands in messages."""
        return f"{self.kind} {self.name!r}"

    def life(self) -> Life:
        """The protocol of this run."""
        raise NotImplementedError  # pragma: no cover - each kind of run has its own

    def enter(self, state: State) -> State:
        """Record that the run is now in `state`; returns it with its time."""
        raise NotImplementedError  # pragma: no cover

    def record_log(self, data: Mapping[str, Any]) -> None:
        """Record one line of this run's log."""
        raise NotImplementedError  # pragma: no cover

    def end_as(self, state: State) -> None:
        """Record that the run ended in `state`, which was not for its life to say; nothing if it has ended."""
        with suppress(IllegalTransition):
            self.enter(state)

    def break_off(self, error: BaseException) -> None:
        """Its driver was broken into by `error`, between two effects; the run must not stay unfinished."""
        if self.state is None or not self.state.is_final():
            self.siblings.add(self)
            self.end_as(broken_off(error))

    def perform(self, effect: Effect) -> Any:
        """Perform an effect that takes no time of its own."""
        if type(effect) is Enter:
            return self.enter(effect.state)
        if type(effect) is LookUp:
            return self._look_up()
        if type(effect) is Save:
            return self._save(effect.value)
        raise TypeError(f"{self.title} was asked to perform {effect!r}.")  # pragma: no cover

    def call(self, effect: Call) -> Returned | Raised:
        """Call the function in this thread (a coroutine function on an event loop of its own)."""
        token = current.set(self)
        try:
            if effect.timeout is not None and not self.work.is_async:
                return call_within(effect.timeout, self._invoke, self.title)
            return self._call_coroutine(effect) if self.work.is_async else Returned(self._invoke())
        except BaseException as error:
            if self.stopped_by is not None and isinstance(error, Exception):
                return Raised(self.stopped_by())  # however the code answered the interrupt
            return Raised(_without_our_frames(error))
        finally:
            current.reset(token)

    async def acall(self, effect: Call) -> Returned | Raised:
        """Call the function from a running event loop, awaiting a coroutine function."""
        if not self.work.is_async:
            return self.call(effect)
        token = current.set(self)
        try:
            return await self._awaited(effect)
        except BaseException as error:
            return Raised(_without_our_frames(error))
        finally:
            current.reset(token)

    def _invoke(self) -> Any:
        return self.work.fn(*self.args, **self.kwargs)

    def _call_coroutine(self, effect: Call) -> Returned | Raised:
        from flowbook.run.coroutines import run_coroutine

        return run_coroutine(self._awaited, effect)

    async def _awaited(self, effect: Call) -> Returned | Raised:
        from flowbook.run.coroutines import await_within

        return await await_within(effect.timeout, self._invoke, self.title)

    def _check(self, state: State) -> None:
        """Raise IllegalTransition unless `state` may follow; a run that has ended enters no other state.

        Several threads may want to end a run (its own, and one that gave it up): who removes it may say how it ended.
        """
        check_transition(self.title, self.state, state)
        if self in self.siblings:
            if not state.is_final():
                return
            try:
                self.siblings.remove(self)
                return
            except KeyError:
                pass
        raise IllegalTransition(f"{self.title} has ended as {self.state}, so it cannot become {state.name}.")

    def _look_up(self) -> Returned | None:
        if self.work.cache is None or self.work.cache_key is None:
            return None
        self.cache_key = self.work.cache_key(self.args, self.kwargs)  # before the call, which may change its arguments
        return self.work.cache.look_up(self.cache_key) if self.cache_key else None

    def _save(self, value: Any) -> None:
        if self.cache_key and self.work.cache is not None:
            self.work.cache.save(self.cache_key, value)


flowless: set[Execution] = set()
"""The unfinished runs that belong to no flow run."""


class TaskExecution(Execution):
    """A task run. `flow` is the flow run it belongs to, None for a task called by itself."""

    __slots__ = ("after", "began", "flow", "future", "inputs", "upstream")
    kind = "Task run"
    logger = "flowbook.task_runs"

    def __init__(
        self,
        id: str,
        name: str,
        work: Work,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        recorder: Recorder,
        *,
        flow: FlowExecution | None,
        upstream: tuple[str, ...] = (),
        after: tuple[Future[Any], ...] = (),
        inputs: tuple[Future[Any], ...] = (),
        map_index: int | None = None,
    ) -> None:
        super().__init__(id, name, work, args, kwargs, recorder, flow.unfinished if flow is not None else flowless)
        self.flow = flow
        self.upstream = upstream
        self.after = after
        self.inputs = inputs
        self.began: float | None = None
        self.future: Future[Any] = Future(id, name)
        if work.log_prints is None and flow is not None:
            self.log_prints = flow.log_prints
        data: dict[str, Any] = {"name": name, "key": work.key}
        if upstream:
            data["upstream"] = upstream
        if work.cell:
            data["cell"] = work.cell
        if map_index is not None:
            data["index"] = map_index
        self.state = PENDING
        self.siblings.add(self)
        recorder.emit("task-run", flow.id if flow else None, id, data)

    def life(self) -> Life:
        return task_life(self.work.rules)

    def enter(self, state: State) -> State:
        self._check(state)
        flow_id = self.flow.id if self.flow else None
        state = replace(state, time=self.recorder.emit("state", flow_id, self.id, state_to_json(state)))
        self.state = state
        if state.is_running() and self.began is None:
            self.began = state.time
        if not state.is_final():
            self.future._enter(state)
            if state.name == "AwaitingRetry":
                say(self, "%s", state.message, always=self.flow is None)  # nothing else shows it
            return state
        if state.is_completed() and self.flow is not None:
            self.flow.producers.register(state.data, self.id, self.upstream)
        say(self, "Finished in state %s", state)
        self.args, self.kwargs, self.after, self.inputs = (
            (),
            {},
            (),
            (),
        )  # inputs are not kept alive by a run that has ended
        self.future._finish(state)
        return state

    def record_log(self, data: Mapping[str, Any]) -> None:
        self.recorder.emit("log", self.flow.id if self.flow else None, self.id, data)

    def seconds(self) -> float:
        """How long the run took or has taken, from its first attempt to its latest state; 0 if it never began."""
        if self.began is None or self.state is None or self.state.time is None:
            return 0.0
        return self.state.time - self.began

    def resolve_inputs(self) -> None:
        """Replace the futures and states among the arguments by their results, waiting for them.

        Raises UpstreamTaskError if one of them did not complete.
        """
        for future in self.after:
            result_of(future)
        if self.work.gather is not None:
            self.kwargs = {**self.work.gather(), **self.kwargs}
        self.args = tuple(replace_futures(value, result_of) for value in self.args)
        self.kwargs = {name: replace_futures(value, result_of) for name, value in self.kwargs.items()}


def result_of(found: Future[Any] | State) -> Any:
    """What the run returned, waiting for it; raises UpstreamTaskError if it did not complete."""
    if isinstance(found, Future):
        found.wait()
        name, state = found.name, found.state
    else:
        name, state = "given as a state", found
    if not state.is_completed():
        why = f": {state.message}" if state.message and state.is_failed() else "."
        raise UpstreamTaskError(f"It needs the result of task run {name!r}, which is {state.name}{why}")
    return state.data


def _without_our_frames(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the user's code, not in ours."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        tb = tb.tb_next
    return error.with_traceback(tb) if tb is not None else error


_OURS = ("flowbook.", "flowbook_magics.", "asyncio.")
