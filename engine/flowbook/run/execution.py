"""One run being executed: the mutable companion of a life, which performs the effects that need no driver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbook.core.events import state_to_json
from flowbook.core.parameters import arguments_by_name
from flowbook.core.protocol import (
    Call,
    Effect,
    Enter,
    Life,
    LookUp,
    MayRetry,
    Raised,
    Returned,
    Save,
    Settle,
    TakeSlots,
    task_life,
)
from flowbook.core.records import Run, TaskRun
from flowbook.core.states import (
    PENDING,
    State,
    broken_off,
    check_transition,
    failed,
    not_ready,
)
from flowbook.core.storage import Found
from flowbook.errors import CancelRequested, IllegalTransition, UpstreamTaskError, UsageError
from flowbook.run.current import current
from flowbook.run.future import Future, replace_futures
from flowbook.run.later import Later
from flowbook.run.logs import logger_of, say
from flowbook.run.outcomes import result_of, run_name, settled
from flowbook.run.recorder import Recorder
from flowbook.run.timeouts import call_within
from flowbook.run.work import Caller, Hook, Slots, Work

if TYPE_CHECKING:
    from concurrent.futures import Future as Promise

    from flowbook.run.flow_execution import FlowExecution
    from flowbook.run.generators import Course


class Execution:
    """What task runs and flow runs have in common."""

    __slots__ = (
        "__weakref__",
        "args",
        "began",
        "id",
        "iteration",
        "kwargs",
        "log_prints",
        "name",
        "recorder",
        "siblings",
        "state",
        "stopped_by",
        "storage",
        "storage_key",
        "tags",
        "work",
    )
    kind = "run"
    logger = "flowbook"
    upstream: Sequence[str]
    """The ids of the runs whose results it takes."""

    def __init__(
        self,
        id: str,
        name: str,
        work: Work,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        recorder: Recorder,
        siblings: set[Execution],
        tags: frozenset[str] = frozenset(),
    ) -> None:
        self.id = id
        self.name = name
        self.work = work
        self.args = args
        self.kwargs = kwargs
        self.recorder = recorder
        self.state: State | None = None
        self.tags = work.tags | tags if tags else work.tags
        self.began: float | None = None  # when the first attempt did
        self.storage = work.storage
        self.storage_key: str | None = None
        self.stopped_by: type[BaseException] | None = None  # the interrupt, once there was one
        self.iteration: Course | None = None  # while it is driven by whoever takes its values
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

    def told(self) -> Run:
        """What code of the user is told of this run."""
        raise NotImplementedError  # pragma: no cover

    @property
    def around(self) -> FlowExecution | None:
        """The flow run in whose graph this run is a node."""
        raise NotImplementedError  # pragma: no cover

    def produced(self, value: Any) -> None:
        """`value` comes from this run: whatever takes it follows this run in the graph."""
        if self.around is not None:
            self.around.producers.register(value, self.id, self.upstream)

    def prepare(self) -> State | None:
        """Get ready what the call needs; returns the state in which the run ends if it cannot begin."""
        return None

    def conclude(self, outcome: Returned | Raised) -> Returned | Raised:
        """What follows from the call, once everything that it has begun has ended as well."""
        return outcome

    def taking(self, advance: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """How the values of a generator function are taken: by `advance`, which a run may watch over."""
        return advance

    def ataking(self, advance: Callable[[Any], Awaitable[bool]]) -> Callable[[Any], Awaitable[bool]]:
        """`taking`, on a running event loop."""
        return advance

    async def aconclude(self, outcome: Returned | Raised) -> Returned | Raised:
        """`conclude`, on a running event loop."""
        return outcome

    def seconds(self) -> float:
        """How long the run took or has taken, from its first attempt to its latest state; 0 if it never began."""
        if self.began is None or self.state is None or self.state.time is None:
            return 0.0
        return self.state.time - self.began

    def has_ended(self) -> bool:
        """Whether the run is in a final state."""
        return self.state is not None and self.state.is_final()

    def end_as(self, state: State) -> None:
        """Record that the run ended in `state`, which was not for its life to say; nothing if it has ended."""
        with suppress(IllegalTransition):
            self.enter(state)

    def break_off(self, error: BaseException) -> None:
        """Its driver was broken into by `error`, between two effects; the run must not stay unfinished."""
        if not self.has_ended():
            self.siblings.add(self)
            self.end_as(broken_off(error))

    def perform(self, effect: Effect) -> Any:
        """Perform an effect that takes no time of its own."""
        if type(effect) is Enter:
            return self.enter(effect.state)
        if type(effect) is Settle:
            return settled(effect.value)
        if type(effect) is LookUp:
            return self._look_up()
        if type(effect) is Save:
            return self._save(effect.state)
        if type(effect) is MayRetry:
            return self._may_retry(effect.state)
        raise TypeError(f"{self.title} was asked to perform {effect!r}.")  # pragma: no cover

    def call(self, effect: Call) -> Returned | Raised:
        """Call the function in this thread (a coroutine function on an event loop of its own)."""
        return self.within(effect.timeout, self.invoke)

    def within(self, seconds: float | None, function: Callable[[], Any]) -> Returned | Raised:
        """The outcome of `function`, which is code of this run: called in its name, and given up after `seconds`."""
        token = current.set(self)
        try:
            if self.work.is_async:
                from flowbook.run.coroutines import await_within, run_coroutine

                return run_coroutine(await_within, seconds, function, self.title)
            return Returned(function()) if seconds is None else call_within(seconds, function, self.title)
        except BaseException as error:
            if self.stopped_by is not None and isinstance(error, Exception):
                return Raised(self.stopped_by())  # however the code answered the interrupt
            return Raised(_without_our_frames(error))
        finally:
            current.reset(token)

    async def acall(self, effect: Call) -> Returned | Raised:
        """Call the function from a running event loop, awaiting a coroutine function."""
        return await self.awithin(effect.timeout, self.invoke) if self.work.is_async else self.call(effect)

    async def awithin(self, seconds: float | None, function: Callable[[], Awaitable[Any]]) -> Returned | Raised:
        """`within` on a running event loop, for a function whose result is awaited."""
        from flowbook.run.coroutines import await_within

        token = current.set(self)
        try:
            return await await_within(seconds, function, self.title)
        except BaseException as error:
            if self.stopped_by is not None and isinstance(error, Exception):
                return Raised(self.stopped_by())
            return Raised(_without_our_frames(error))
        finally:
            current.reset(token)

    def invoke(self) -> Any:
        """Call the function with the arguments of the run."""
        return self.work.fn(*self.args, **self.kwargs)

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

    def _look_up(self) -> Found | None:
        storage = self.storage
        if storage is None:
            return None
        self.storage_key = storage.key(self) or ""  # before the call, which may change its arguments
        return storage.look_up(self.storage_key) if self.storage_key and storage.reads else None

    def _save(self, state: State) -> State:
        storage = self.storage
        if storage is None:
            return state
        key = storage.key(self) if self.storage_key is None else self.storage_key
        if not key:
            return state
        now = self.recorder.clock.time()
        kept = storage.save(key, state.data, now - (self.began or now), self)
        return replace(state, data=kept.data, details=kept.details)

    def _may_retry(self, state: State) -> bool:
        try:
            return self.work.retry_if is None or bool(self._told_to(self.work.retry_if, state))
        except Exception:
            logger_of(self).exception("The retry condition of %s failed, so it is not retried.", self.title)
            return False

    def _run_hooks(self, state: State) -> None:
        """Tell the user's hooks of a state that was entered. One that fails is a line in the log."""
        for hook in self.work.hooks.get(state.type, ()):
            try:
                self._told_to(hook, state)
            except Exception:
                name = getattr(hook, "__name__", repr(hook))
                logger_of(self).exception("The hook %r for state %s failed.", name, state.name)

    def _told_to(self, hook: Hook, state: State) -> Any:
        token = current.set(self)
        try:
            answer = hook(self.work.subject, self.told(), state)
            if hasattr(answer, "__await__"):
                from flowbook.run.coroutines import await_it, run_coroutine

                return run_coroutine(await_it, answer)
            return answer
        finally:
            current.reset(token)


flowless: set[Execution] = set()
"""The unfinished runs that belong to no flow run."""


class TaskExecution(Execution):
    """A task run. `flow` is the flow run it belongs to, None for a task called by itself."""

    __slots__ = ("awaits", "call_key", "caller", "flow", "future", "held", "limits", "upstream", "wait_for")
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
        wait_for: tuple[Any, ...] = (),
        awaits: tuple[Future[Any], ...] = (),
        map_index: int | None = None,
        tags: frozenset[str] = frozenset(),
        limits: tuple[tuple[Slots, tuple[str, ...]], ...] = (),
        process: str | None = None,
    ) -> None:
        super().__init__(id, name, work, args, kwargs, recorder, flow.unfinished if flow else flowless, tags)
        self.flow = flow
        self.upstream = upstream
        self.wait_for = wait_for
        self.awaits = awaits  # the futures among the arguments and in `wait_for`
        self.limits = limits
        self.held: list[tuple[Slots, Any]] = []
        self.caller: Caller | None = None
        self.call_key = f"{flow.recovery or flow.id}/{name}" if flow else id  # the same when its flow run is begun anew
        self.future: Future[Any] = Future(id, name)
        if work.log_prints is None and flow is not None:
            self.log_prints = flow.log_prints
        if flow is not None and flow.recovery is not None and work.storage is None and work.recovery is not None:
            self.storage = work.recovery(flow.is_retried)
        data: dict[str, Any] = {"name": name, "key": work.key}
        if upstream:
            data["upstream"] = upstream
        if work.cell:
            data["cell"] = work.cell
        if map_index is not None:
            data["index"] = map_index
        if self.tags:
            data["tags"] = sorted(self.tags)
        if process:
            data["process"] = process
        self.state = PENDING
        self.siblings.add(self)
        recorder.emit("task-run", flow.id if flow else None, id, data)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The arguments by name, defaults included."""
        return arguments_by_name(self.work.fn, self.args, self.kwargs)

    def life(self) -> Life:
        rules = self.work.rules
        if self.storage is not self.work.storage:
            rules = replace(rules, kept=True)
        return task_life(rules, limits=len(self.limits))

    def told(self) -> TaskRun:
        return TaskRun(
            id=self.id,
            name=self.name,
            task_key=self.work.key,
            flow_run_id=self.flow.id if self.flow else None,
            tags=self.tags,
            state=self.state,
            parameters=self.parameters,
            run_count=self.state.attempt if self.state else 0,
            started=self.began,
        )

    def enter(self, state: State) -> State:
        self._check(state)
        flow_id = self.flow.id if self.flow else None
        state = state.at(self.recorder.emit("state", flow_id, self.id, state_to_json(state)))
        self.state = state
        if state.is_running():
            self.began = self.began or state.time
        elif self.held:
            self.give_back()
        if state.is_final():
            self._end(state)
            return state
        self.future._enter(state)
        if state.name == "AwaitingRetry":
            say(self, "%s", state.message, always=self.flow is None)  # nothing else shows it
        self._run_hooks(state)
        return state

    def _end(self, state: State) -> None:
        """Tell everybody of the final state: whoever waits for the run knows of it last."""
        try:
            if state.is_completed():
                self.produced(state.data)
                if self.work.completing is not None:
                    self.work.completing(self, state)
            say(self, "Finished in state %s", state)
            self._run_hooks(state)
        finally:
            self.args, self.kwargs, self.wait_for = (), {}, ()  # not kept alive by a run that has ended
            self.future._finish(state)

    @property
    def around(self) -> FlowExecution | None:
        return self.flow

    def record_log(self, data: Mapping[str, Any]) -> None:
        self.recorder.emit("log", self.flow.id if self.flow else None, self.id, data)

    def call(self, effect: Call) -> Returned | Raised:
        return self.caller.call(self, effect) if self.caller is not None else super().call(effect)

    def perform(self, effect: Effect) -> Any:
        if type(effect) is TakeSlots:
            return self._take_slots(*self.limits[effect.limit])
        return super().perform(effect)

    def prepare(self) -> State | None:
        """Get the arguments and the name of the run ready, waiting for futures among the arguments.

        Returns the state in which the run ends if it cannot begin: an input did not complete, its name cannot be made.
        """
        try:
            replace_futures(self.wait_for, result_of)
            if self.work.gather is not None:
                self.kwargs = {**self.work.gather(), **self.kwargs}
            self.args = tuple(replace_futures(value, result_of) for value in self.args)
            self.kwargs = {name: replace_futures(value, result_of) for name, value in self.kwargs.items()}
            if self.work.run_name is not None:
                self._take_name(self.work.run_name)
        except UpstreamTaskError as error:
            return not_ready(str(error))
        except UsageError as error:
            return failed(error)
        return None

    def give_back(self) -> None:
        """Let others have the slots that this run holds."""
        while self.held:
            slots, held = self.held.pop()
            slots.give_back(held)

    def _take_slots(self, slots: Slots, names: tuple[str, ...]) -> Later | None:
        promise = slots.request(names, run_id=self.id)
        return None if promise is None else Later(promise, lambda kept: self._took(slots, kept))

    def _took(self, slots: Slots, promise: Promise[Any]) -> Raised | None:
        from concurrent.futures import CancelledError

        try:
            self.held.append((slots, promise.result()))
        except CancelledError:
            return Raised((self.stopped_by or CancelRequested)())
        except BaseException as error:
            return Raised(error)
        if self.state is not None and self.state.is_final():  # it was cancelled meanwhile
            self.give_back()
        return None

    def _take_name(self, template: str | Callable[..., str]) -> None:
        token = current.set(self)
        try:
            self.name = run_name(template, self.parameters, f"task_run_name of task {self.work.name!r}")
        finally:
            current.reset(token)
        self.future.name = self.name
        self.recorder.emit("name", self.flow.id if self.flow else None, self.id, {"name": self.name})


def _without_our_frames(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the user's code, not in ours."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        tb = tb.tb_next
    return error.with_traceback(tb) if tb is not None else error


_OURS = ("flowbook.", "flowbook_magics.", "asyncio.")
