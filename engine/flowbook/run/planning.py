"""Drawing a flow without running it: its function is called, and the tasks that it calls are only taken down.

The function runs inside of a `Plan`, a flow run whose events are kept by nobody else. Each task run that begins there
ends at once, with a placeholder for its result, so that the graph is found by the same code as that of a real run.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowbook.core.events import Event
from flowbook.core.jsonable import to_json_value
from flowbook.core.states import State, completed
from flowbook.errors import UsageError
from flowbook.run.current import current
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.future import Future
from flowbook.run.ids import new_id
from flowbook.run.pauses import Pauses
from flowbook.run.placeholder import Placeholder, sources_of
from flowbook.run.producers import Producers
from flowbook.run.recorder import Recorder
from flowbook.run.task_execution import TaskExecution
from flowbook.run.work import Work

if TYPE_CHECKING:
    from flowbook.core.view import RunView
    from flowbook.run.asked import Asked


class _Notes:
    """The events of a plan."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.append = self.events.append

    def flush(self) -> None:
        """There is nothing to wait for."""


class _NotedProducers(Producers):
    """The index of a plan, which knows placeholders by what they stand for."""

    def of(self, value: Any) -> str | None:
        return next(sources_of(value), None) if isinstance(value, Placeholder) else super().of(value)

    def of_parts(self, value: Any) -> Iterator[str]:
        yield from sources_of(value)
        if not isinstance(value, Placeholder):
            yield from super().of_parts(value)


class _NothingRuns:
    """The runner of a plan."""

    def submit(self, run: TaskExecution, after: Sequence[Future[Any]]) -> None:
        assert isinstance(run.flow, Plan)
        run.flow.take_down(run)

    def close(self, error: BaseException | None = None) -> None:
        """There is nothing to wait for."""


class _NoPauses(Pauses):
    """The pauses of a plan: nobody is asked anything."""

    def begin(self, asked: Asked | None, timeout: float | None, key: str | None) -> None:
        """There is no pause."""

    def answer_to(self, key: str | None) -> Placeholder:
        return Placeholder((), "pause_flow_run()", self._run.name)


class Plan(FlowExecution):
    """A flow run in which no task and no other flow is executed."""

    __slots__ = ("_notes",)

    def __init__(self, work: Work, parameters: Mapping[str, Any]) -> None:
        self._notes = _Notes()
        super().__init__(new_id(), work.name, work, parameters, Recorder(self._notes), runner=_NothingRuns())
        self.siblings.discard(self)
        self.producers = _NotedProducers()
        self.pauses = _NoPauses(self)

    def draw(self) -> RunView:
        """Call the function; returns the graph of what it would run. Raises UsageError if that depends on a result."""
        named = {"name": self.name, "flow": self.work.name, "parameters": to_json_value(self.kwargs)}
        self.recorder.emit("flow-run", self.id, None, named)
        try:
            contextvars.copy_context().run(self._follow)
        except UsageError:
            raise
        except Exception as error:
            if not self.unfinished:  # no task stood before it
                raise
            raise UsageError(
                f"Flow {self.name!r} cannot be drawn without running it: {type(error).__name__}: {error}. If it comes "
                "of a task's result, for which there is only a placeholder here, give that task a value to be drawn "
                "with: @task(viz_return_value=...)."
            ) from error
        from flowbook.core.view import reduce_run

        return reduce_run(self.id, self._notes.events)

    def take_down(self, run: TaskExecution) -> State:
        """The state in which a task run ends that is not executed."""
        value = run.work.stand_in
        if value is None:
            value = Placeholder([run.id], f"task {run.work.name!r}", self.name)
        else:
            self.producers.register(value, run.id, run.upstream)
        state = completed(value)
        run.future._finish(state)
        return state

    def take_down_flow(self, work: Work, upstream: Sequence[str]) -> State:
        """The state in which a run of another flow ends that is not executed."""
        run_id = new_id()
        node = {"name": self.task_run_name(work.name), "key": work.key, "flow": True, "upstream": list(upstream)}
        self.recorder.emit("task-run", self.id, run_id, node)
        return completed(Placeholder([run_id], f"flow {work.name!r}", self.name))

    def _follow(self) -> None:
        current.set(self)
        result = self.invoke()
        if self.work.is_async:
            from flowbook.run.coroutines import await_it, run_coroutine

            run_coroutine(await_it, _exhausted(result) if inspect.isasyncgen(result) else result)
        elif inspect.isgenerator(result):
            for _ in result:
                pass


def handed_out(value: Any, *, is_async: bool, is_generator: bool) -> Any:
    """`value` as a call of such a function gives it: as it is, awaitable, or item by item."""
    if is_generator:
        return _items_async(value) if is_async else _items(value)
    return _awaited(value) if is_async else value


async def _awaited(value: Any) -> Any:
    return value


def _items(value: Any) -> Iterator[Any]:
    yield from value


async def _items_async(value: Any) -> AsyncIterator[Any]:
    for item in value:
        yield item


async def _exhausted(values: AsyncIterator[Any]) -> None:
    async for _ in values:
        pass
