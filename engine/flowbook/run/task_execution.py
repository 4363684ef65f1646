"""A task run being executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbook.core.events import state_to_json
from flowbook.core.parameters import arguments_by_name
from flowbook.core.protocol import Call, Effect, Life, Raised, Returned, TakeSlots, task_life
from flowbook.core.records import TaskRun
from flowbook.core.states import PENDING, State, failed, not_ready
from flowbook.errors import CancelRequested, ConcurrencySlotAcquisitionError, UpstreamTaskError, UsageError
from flowbook.run.current import current
from flowbook.run.execution import Execution, flowless
from flowbook.run.future import Future, replace_futures
from flowbook.run.later import Later
from flowbook.run.logs import logger_of, say
from flowbook.run.outcomes import result_of, run_name
from flowbook.run.recorder import Recorder
from flowbook.run.work import Caller, Slots, Work

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future as Promise

    from flowbook.run.flow_execution import FlowExecution


class TaskExecution(Execution):
    """A task run. `flow` is the flow run it belongs to, None for a task called by itself."""

    __slots__ = ("at_end", "awaits", "call_key", "caller", "flow", "future", "held", "limits", "upstream", "wait_for")
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
        mapped_by: str | None = None,
        tags: frozenset[str] = frozenset(),
        limits: tuple[tuple[Slots, tuple[str, ...], int], ...] = (),
        process: str | None = None,
    ) -> None:
        super().__init__(id, name, work, args, kwargs, recorder, flow.unfinished if flow else flowless, tags)
        self.flow = flow
        self.upstream = upstream
        self.wait_for = wait_for
        self.awaits = awaits  # the futures among the arguments and in `wait_for`
        self.limits = limits
        self.at_end: Callable[[State], None] | None = None  # called before whoever waits for the run knows of its end
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
        if mapped_by is not None:
            data["mapped_by"] = mapped_by
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
            elif state.is_failed() and self.work.failing is not None:
                self.work.failing(self, state)
            if self.flow is not None and self.flow.ending is not None:
                self.flow.ending(self, state)
            state = self._taken_over(state)
            say(self, "Finished in state %s", state)
            self._run_hooks(state)
        finally:
            self.args, self.kwargs, self.wait_for = (), {}, ()  # not kept alive by a run that has ended
            self.future._finish(state)

    def _taken_over(self, state: State) -> State:
        """The state, for whoever waits for the run; a failure if what it made did not get to where it belongs."""
        if self.at_end is not None:
            try:
                self.at_end(state)
            except Exception as error:
                logger_of(self).exception("What it made could not be taken over.")
                return failed(error)
        return state

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

    def _take_slots(self, slots: Slots, names: tuple[str, ...], occupy: int) -> Later | Raised | None:
        try:
            promise = slots.request(names, occupy, run_id=self.id)
        except ConcurrencySlotAcquisitionError as error:  # there are never as many
            return Raised(error)
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
