"""One run being executed: the mutable companion of a life, which performs the effects that need no driver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
)
from flowbook.core.records import Run
from flowbook.core.states import (
    State,
    broken_off,
    check_transition,
)
from flowbook.core.storage import Found
from flowbook.errors import IllegalTransition
from flowbook.run.current import current
from flowbook.run.logs import logger_of
from flowbook.run.outcomes import settled
from flowbook.run.recorder import Recorder
from flowbook.run.timeouts import call_within
from flowbook.run.work import Hook, Work

if TYPE_CHECKING:
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


def _without_our_frames(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the user's code, not in ours."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        tb = tb.tb_next
    return error.with_traceback(tb) if tb is not None else error


_OURS = ("flowbook.", "flowbook_magics.", "asyncio.")
