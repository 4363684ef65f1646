"""A flow run being executed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from flowbook.core.events import state_to_json
from flowbook.core.protocol import Call, Life, Raised, Returned, flow_life
from flowbook.core.records import FlowRun
from flowbook.core.states import State, broken_off, cancelled
from flowbook.errors import IllegalTransition
from flowbook.run.execution import Execution, flowless
from flowbook.run.logs import say
from flowbook.run.pauses import Pauses
from flowbook.run.producers import Producers
from flowbook.run.recorder import Recorder
from flowbook.run.timeouts import OutOfTime, StopThread
from flowbook.run.work import Slots, Work

if TYPE_CHECKING:
    from flowbook.run.generators import Course
    from flowbook.run.runner import Runner
    from flowbook.run.task_execution import TaskExecution
    from flowbook.run.turns import Turns


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A flow run that was recorded before it began, and that this process has claimed under `fence`.

    `parent_id` is that of the flow run in whose graph it is shown. Unless it `begins_anew`, it is never executed
    again, so that its tasks need not leave their results for that.
    """

    fence: int
    parent_id: str | None = None
    tags: frozenset[str] = frozenset()
    begins_anew: bool = True

    @property
    def is_retried(self) -> bool:
        """Whether another process has had it before, which may have left results."""
        return self.fence > 1


class FlowExecution(Execution):
    """A flow run. It owns the runner of its tasks and the index of who produced what."""

    __slots__ = (
        "ending",
        "is_retried",
        "limits",
        "names",
        "parent",
        "pauses",
        "producers",
        "recovery",
        "runner",
        "shown_in",
        "turns",
        "unfinished",
        "upstream",
    )
    kind = "Flow run"
    logger = "flowbook.flow_runs"

    def __init__(
        self,
        id: str,
        name: str,
        work: Work,
        kwargs: Mapping[str, Any],
        recorder: Recorder,
        *,
        runner: Runner,
        parent: FlowExecution | None = None,
        tags: frozenset[str] = frozenset(),
        limits: Slots | None = None,
    ) -> None:
        super().__init__(id, name, work, (), kwargs, recorder, parent.unfinished if parent else flowless, tags)
        self.limits = limits  # of its task runs by their task's name
        self.runner = runner
        self.parent = parent
        self.producers = Producers()
        self.names: dict[str, Iterator[int]] = {}
        self.unfinished: set[Execution] = set()
        self.upstream: Sequence[str] = ()
        self.pauses = Pauses(self)
        self.turns: Turns | None = None  # those of a generator function
        self.shown_in = parent.id if parent else None  # the flow run in whose graph it is a node
        self.recovery: str | None = None  # under what its tasks leave their results for a retry, if they do
        self.is_retried = False
        # Told of each of its task runs at its end, before the arguments are let go. It must be quick and not raise.
        self.ending: Callable[[TaskExecution, State], None] | None = None
        self.siblings.add(self)

    def life(self) -> Life:
        return flow_life(self.work.rules)

    @property
    def flow(self) -> FlowExecution:
        """The flow run that this is."""
        return self

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters by name."""
        return self.kwargs

    def told(self) -> FlowRun:
        return FlowRun(
            id=self.id,
            name=self.name,
            flow_name=self.work.name,
            parent_flow_run_id=self.parent.id if self.parent else None,
            tags=self.tags,
            state=self.state,
            parameters=self.kwargs,
            run_count=self.state.attempt if self.state else 0,
            started=self.began,
        )

    def check_goes_on(self) -> None:
        """Interrupt the calling code if the run was cancelled and has ended without it."""
        if self.stopped_by is not None and self.has_ended():
            raise self.stopped_by

    def task_run_name(self, name: str) -> str:
        """`name` for the first task run of that name in this flow run, then ``name-1``, ``name-2``…"""
        n = next(self.names.setdefault(name, count()))
        return f"{name}-{n}" if n else name

    def enter(self, state: State) -> State:
        self._check(state)
        goes_on = self.state is not None and self.state.is_paused() and state.is_running()
        if state.is_final():
            state = self._as_asked(state)
            self._end_unfinished(state)
        plain = state_to_json(state)
        state = state.at(self.recorder.emit("state", self.id, None, plain))
        self.state = state
        if state.is_running():
            self.began = self.began or state.time
        if self.shown_in is not None:
            # In the graph of its parent a sub-flow is a node like any task run, under its own id.
            self.recorder.emit("state", self.shown_in, self.id, plain)
        if self.parent is not None and state.is_completed():
            self.produced(state.data)
        if state.is_final():
            say(self, "Finished in state %s", state)
            if self.turns is not None:
                self.turns.over()
        if not goes_on:  # it is the same attempt
            self._run_hooks(state)
        return state

    def _as_asked(self, state: State) -> State:
        """A run that ends because somebody asked for that says so, and is no interrupt to whoever called the flow."""
        if self.stopped_by is None or not state.is_cancelled() or isinstance(state.data, KeyboardInterrupt):
            return state
        return replace(state, message=str(self.stopped_by()), data=None)

    @property
    def around(self) -> FlowExecution | None:
        return self.parent

    def record_log(self, data: Mapping[str, Any]) -> None:
        self.recorder.emit("log", self.id, None, data)

    def _end_unfinished(self, state: State) -> None:
        """End what is left as the flow run ends: what nobody awaited; all of it, if the flow run was stopped."""
        stopped = state.is_cancelled() or state.is_crashed()
        for run in list(self.unfinished):
            if stopped or run.state is None or run.state.is_pending() or run.iteration is not None:
                run.end_as(cancelled("Not run to its end: the flow run ended before it."))

    def break_off(self, error: BaseException) -> None:
        if self.stopped_by is not None and isinstance(error, IllegalTransition):
            return  # another thread has given it up, and records that
        self._close_runner(Raised(error))
        super().break_off(error)

    def give_up(self, error: BaseException) -> None:
        """End the run in place of its own thread, which does not come to it."""
        self._close_runner(Raised(error))
        self.end_as(broken_off(error))

    def call(self, effect: Call) -> Returned | Raised:
        return self.conclude(super().call(effect))

    async def acall(self, effect: Call) -> Returned | Raised:
        return await self.aconclude(await super().acall(effect))

    def taking(self, advance: Callable[[Any], bool]) -> Callable[[Any], bool]:
        return advance if self.turns is None else partial(self.turns.take, advance)

    def ataking(self, advance: Callable[[Any], Awaitable[bool]]) -> Callable[[Any], Awaitable[bool]]:
        return advance if self.turns is None else partial(self.turns.atake, advance)

    def conclude(self, outcome: Returned | Raised) -> Returned | Raised:
        outcome = self._close_runner(outcome)
        for iteration in self._suspended():
            iteration.leave()
        return outcome

    async def aconclude(self, outcome: Returned | Raised) -> Returned | Raised:
        import asyncio

        try:
            # Waiting for submitted tasks must not stop the loop that other coroutines of the user run on.
            outcome = await asyncio.to_thread(self._close_runner, outcome)
        except asyncio.CancelledError as error:
            outcome = await asyncio.to_thread(self._close_runner, Raised(error))
        for iteration in self._suspended():
            await iteration.aleave()
        return outcome

    def _suspended(self) -> list[Course]:
        """The generators that nobody took to their end."""
        return [run.iteration for run in self.unfinished.copy() if run.iteration is not None]

    def _close_runner(self, outcome: Returned | Raised) -> Returned | Raised:
        """The outcome of the call, once everything that it submitted has ended as well."""
        while True:
            if self.stopped_by is not None and isinstance(outcome, Raised) and not isinstance(outcome, OutOfTime):
                outcome = Raised(self.stopped_by())  # however a coroutine was cancelled
            try:
                if isinstance(outcome, OutOfTime):
                    self.runner.close(StopThread())
                else:
                    self.runner.close(outcome.error if isinstance(outcome, Raised) else None)
                return outcome
            except BaseException as error:
                outcome = Raised(error)
