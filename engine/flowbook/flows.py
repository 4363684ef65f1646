"""Flows: functions that call tasks, and whose runs are recorded as one thing with a graph."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

from flowbook import engine
from flowbook.core.backoff import RetryDelay, check_attempts, delays_for
from flowbook.core.parameters import as_call, bind, coerce
from flowbook.core.protocol import Rules
from flowbook.core.states import State
from flowbook.errors import UsageError, refuse_unknown
from flowbook.run.execution import Work
from flowbook.run.flow_execution import FlowExecution
from flowbook.task_runners import TaskRunner, ThreadPoolTaskRunner

__all__ = ["Flow", "FlowOptions", "flow"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowOptions:
    """The options of a flow, as ``@flow`` takes them. Delays and timeouts are in seconds."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    flow_run_name: str | Callable[[], str] | None = None
    retries: int = 0
    retry_delay_seconds: RetryDelay = 0.0
    timeout_seconds: float | None = None
    task_runner: TaskRunner = field(default_factory=ThreadPoolTaskRunner)
    validate_parameters: bool = True
    log_prints: bool = False

    def __post_init__(self) -> None:
        check_attempts(self.retries, self.retry_delay_seconds, self.timeout_seconds)
        if not hasattr(self.task_runner, "start"):
            raise UsageError(f"task_runner is {self.task_runner!r}; give an instance such as ThreadPoolTaskRunner().")


class Flow(Generic[P, R]):
    """A function whose calls are flow runs. Made by the decorator `flow`."""

    def __init__(self, fn: Callable[P, R], options: FlowOptions | None = None) -> None:
        if not callable(fn):
            raise UsageError(f"@flow needs a function, not {fn!r}.")
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.options = options or FlowOptions()
        self.name = self.options.name or getattr(fn, "__name__", "flow").replace("_", "-")
        self.work = Work(
            name=self.name,
            fn=self._call_by_name,
            rules=Rules(
                delays=delays_for(self.options.retries, self.options.retry_delay_seconds),
                timeout=self.options.timeout_seconds,
                uniform=random.random,
            ),
            is_async=inspect.iscoroutinefunction(fn),
            log_prints=self.options.log_prints,
            key=f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', self.name)}",
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow and return its result (an awaitable, for ``async def``); raises what ends it.

        ``return_state=True`` returns the final state instead, whatever it is. Returns only after the final state is
        committed. Raises ParameterError before anything runs if the parameters do not fit.
        """
        given = dict(kwargs)
        wants_state = bool(given.pop("return_state", False))
        parameters = bind(self.fn, f"flow {self.name!r}", args, given)
        if self.work.is_async:
            awaited: Any = self._call_async(parameters, wants_state)
            return awaited  # type: ignore[no-any-return]
        result: R = self.finish(self.begin(parameters), return_state=wants_state)
        return result

    async def _call_async(self, parameters: Mapping[str, Any], return_state: bool) -> Any:
        """Nothing is recorded before somebody awaits it."""
        return await self.finish(self.begin(parameters), return_state=return_state)

    def begin(
        self,
        parameters: Mapping[str, Any],
        *,
        flow_run_id: str | None = None,
        recorded: bool = False,
        trigger: str = "call",
    ) -> FlowExecution:
        """A run with these parameters by name, validated.

        Its id may be chosen beforehand; a `recorded` run is in the store already, and this process takes it over.
        """
        parameters, upstream = engine.resolve_parameters(parameters)
        if self.options.validate_parameters:
            parameters = coerce(self.fn, f"flow {self.name!r}", parameters)
        return engine.new_flow_run(
            self.work,
            parameters,
            self.options.task_runner.start(),
            name=self._run_name(parameters),
            flow_run_id=flow_run_id,
            recorded=recorded,
            trigger=trigger,
            upstream=upstream,
        )

    def finish(self, run: FlowExecution, *, return_state: bool = False) -> Any:
        """Execute a run that has begun; returns its result, or its final state."""
        if self.work.is_async:
            return _finish_async(run, return_state)
        state = engine.run_flow(run)
        return state if return_state and not _is_interrupt(state) else state.result()

    def with_options(self, **changes: Any) -> Flow[P, R]:
        """The same function as a flow with some options changed."""
        return Flow(self.fn, _options(changes, self.options))

    def _call_by_name(self, **parameters: Any) -> Any:
        args, kwargs = as_call(self.fn, parameters)
        return self.fn(*args, **kwargs)

    def _run_name(self, parameters: Mapping[str, Any]) -> str | None:
        template = self.options.flow_run_name
        if template is None:
            return None
        if callable(template):
            return template()
        try:
            return template.format(**parameters)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise UsageError(
                f"flow_run_name {template!r} of flow {self.name!r} cannot be filled in: {error!r}. "
                f"It may name {', '.join(map(repr, parameters)) or 'no parameter'}."
            ) from None

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A flow in a class body is a method: the instance is its first argument."""
        return self if instance is None else Flow(self.fn.__get__(instance, owner), self.options)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    flow_run_name: str | Callable[[], str] | None = None,
    retries: int = 0,
    retry_delay_seconds: RetryDelay = 0.0,
    timeout_seconds: float | None = None,
    task_runner: TaskRunner | None = None,
    validate_parameters: bool = True,
    log_prints: bool = False,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a flow of a function: ``@flow`` or ``@flow(name="nightly", retries=1)``.

    Options: see `FlowOptions`. Raises UsageError for an option that does not exist or does not fit.
    """
    chosen = _options(options)
    return Flow(fn, chosen) if fn is not None else lambda decorated: Flow(decorated, chosen)


def _options(given: Mapping[str, Any], base: FlowOptions | None = None) -> FlowOptions:
    refuse_unknown("@flow", given, FlowOptions.__slots__)
    changes = dict(given)
    runner = changes.pop("task_runner", None)
    if runner is not None:
        changes["task_runner"] = runner() if isinstance(runner, type) else runner
    return replace(base or FlowOptions(), **changes)


async def _finish_async(run: FlowExecution, return_state: bool) -> Any:
    state = await engine.run_flow_async(run)
    return state if return_state and not _is_interrupt(state) else state.result()


def _is_interrupt(state: State) -> bool:
    """Whether the run ended by something that must not be swallowed, such as Ctrl-C."""
    return isinstance(state.data, BaseException) and not isinstance(state.data, Exception)
