"""Flows: functions that call tasks, and whose runs are recorded as one thing with a graph."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from flowbook import engine
from flowbook.core.backoff import RetryDelay, check_attempts, delays_for
from flowbook.core.deploy_options import DeployOptions, PoolOptions, ServeOptions, takes
from flowbook.core.jsonable import plain_name
from flowbook.core.methods import wrap_method
from flowbook.core.parameters import as_call, bind, coerce
from flowbook.core.protocol import Rules
from flowbook.core.states import State
from flowbook.errors import UsageError, refuse_unknown
from flowbook.run import inline
from flowbook.run.decorated import Decorated
from flowbook.run.flow_execution import FlowExecution
from flowbook.run.hooks import check_hooks, hooks_by_state
from flowbook.run.outcomes import answer, run_name
from flowbook.run.planning import handed_out
from flowbook.run.work import Hook, Slots, Storage, Work
from flowbook.task_runners import TaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from flowbook.deployments import Deployment
    from flowbook.visualize import PlannedGraph

__all__ = ["Flow", "FlowOptions", "flow", "load_flow_from_entrypoint"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowOptions:
    """The options of a flow, as ``@flow`` takes them. Delays and timeouts are in seconds."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    flow_run_name: str | Callable[..., str] | None = None
    retries: int = 0
    retry_delay_seconds: RetryDelay = 0.0
    timeout_seconds: float | None = None
    task_runner: TaskRunner = field(default_factory=ThreadPoolTaskRunner)
    validate_parameters: bool = True
    log_prints: bool = False
    persist_result: bool | None = None
    result_storage: Any = None
    result_serializer: Any = None
    cache_result_in_memory: bool = True
    concurrency_limit: Mapping[str, int] = field(default_factory=dict)
    on_running: tuple[Hook, ...] = ()
    on_completion: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_cancellation: tuple[Hook, ...] = ()
    on_crashed: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        check_attempts(self.retries, self.retry_delay_seconds, self.timeout_seconds)
        for option in _HOOKS:
            check_hooks("@flow", option, getattr(self, option))
        if not hasattr(self.task_runner, "start"):
            raise UsageError(f"task_runner is {self.task_runner!r}; give an instance such as ThreadPoolTaskRunner().")


class Flow(Decorated, Generic[P, R]):
    """A function whose calls are flow runs. Made by the decorator `flow`.

    A flow of a generator function gives a generator when it is called, and its run goes on as the values are taken.
    """

    fn: Callable[P, R]
    options: FlowOptions

    def __init__(self, fn: Callable[P, R], options: FlowOptions | None = None) -> None:
        super().__init__(fn, options or FlowOptions(), "@flow")
        fn = self._function
        self.name = plain_name(self.options.name or getattr(fn, "__name__", "flow").replace("_", "-"))
        self.description = self.options.description or inspect.getdoc(fn)
        self.version = self.options.version
        self.task_runner = self.options.task_runner
        self.work = self._work()

    def _work(self) -> Work:
        options = self.options
        storage = self._storage()
        return Work(
            name=self.name,
            fn=self._call_by_name,
            rules=Rules(
                delays=delays_for(options.retries, options.retry_delay_seconds),
                timeout=options.timeout_seconds,
                kept=storage is not None,
                uniform=SystemRandom().random,
            ),
            is_async=self.isasync,
            log_prints=options.log_prints,
            storage=storage,
            key=f"{getattr(self.fn, '__module__', '')}.{getattr(self.fn, '__qualname__', self.name)}",
            hooks=hooks_by_state(
                RUNNING=options.on_running,
                COMPLETED=options.on_completion,
                FAILED=options.on_failure,
                CANCELLED=options.on_cancellation,
                CRASHED=options.on_crashed,
            ),
            subject=self,
        )

    def _storage(self) -> Storage | None:
        options = self.options
        if not options.persist_result:
            return None
        from flowbook.result_storage import storage_for

        return storage_for(
            self._function,
            task=self,
            persist_result=True,
            result_storage=options.result_storage,
            result_serializer=options.result_serializer,
            cache_result_in_memory=options.cache_result_in_memory,
        )

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow and return its result (an awaitable, for ``async def``); raises what ends it.

        ``return_state=True`` returns the final state instead, whatever it is; ``wait_for=[...]`` names futures to wait
        for before it begins. Returns only after the final state is committed. Raises ParameterError before anything
        runs if the parameters do not fit.
        """
        given: dict[str, Any] = dict(kwargs)
        wants_state = bool(given.pop("return_state", False))
        engine.await_all(given.pop("wait_for", None) or ())
        parameters = bind(self.fn, f"flow {self.name!r}", args, given)
        plan = engine.current_plan()
        if plan is not None:
            drawn = answer(plan.take_down_flow(self.work, engine.resolve_parameters(parameters)[1]), wants_state)
            return handed_out(drawn, is_async=self.isasync, is_generator=self.isgenerator)  # type: ignore[no-any-return]
        if self.isgenerator:
            values: Any = self._iterate(lambda: self.begin(parameters), wants_state)
            return values  # type: ignore[no-any-return]
        if self.isasync:
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
        claimed: engine.Claimed | None = None,
        name: str | None = None,
        trigger: str = "call",
    ) -> FlowExecution:
        """A run with these parameters by name, validated.

        Its id may be chosen beforehand; a `claimed` run is in the store already, and this process has it.
        """
        parameters, upstream = engine.resolve_parameters(parameters)
        if self.options.validate_parameters:
            parameters = coerce(self.fn, f"flow {self.name!r}", parameters)
        return engine.new_flow_run(
            self.work,
            parameters,
            inline.started(self.options.task_runner.start),
            name=self._run_name(parameters) or name,
            flow_run_id=flow_run_id,
            claimed=claimed,
            trigger=trigger,
            upstream=upstream,
            limits=self._limits(),
        )

    def finish(self, run: FlowExecution, *, return_state: bool = False) -> Any:
        """Execute a run that has begun; returns its result, or its final state. What it yields is dropped."""
        if self.isasync:
            return self._finish_async(run, return_state)
        if self.isgenerator:
            return _exhaust(self._iterate(lambda: run, return_state))
        return answer(engine.run_flow(run), return_state)

    async def _finish_async(self, run: FlowExecution, return_state: bool) -> Any:
        if not self.isgenerator:
            return answer(await engine.run_flow_async(run), return_state)
        async for _ in self._iterate(lambda: run, return_state=False):
            pass
        return run.state if return_state else None

    def _iterate(self, begin: Callable[[], FlowExecution], return_state: bool) -> Any:
        """Nothing is recorded before somebody asks for a value."""
        if return_state and self.isasync:
            raise UsageError(f"Flow {self.name!r} is an async generator, which has no way to return its state.")

        begun: list[FlowExecution] = []

        def announced() -> FlowExecution:
            begun.append(begin())
            engine.begin_flow(begun[0], in_turns=True)
            return begun[0]

        def answered(state: State) -> Any:
            return answer(engine.committed(begun[0], state), return_state)

        return engine.values_of(announced, answered, is_async=self.isasync)

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters by name as a run would get them, coerced to their type hints. Raises ParameterError."""
        title = f"flow {self.name!r}"
        return coerce(self.fn, title, bind(self.fn, title, (), parameters))

    def visualize(self, /, *args: P.args, **kwargs: P.kwargs) -> PlannedGraph:
        """The graph of what a run with these parameters would run. No task runs, and nothing is recorded.

        A notebook shows it as a picture; in a script it is printed. The function of the flow itself is executed, with
        placeholders for the results of its tasks: a loop over one is gone through once. Where the flow depends on the
        result of a task, that needs a value to be drawn with, ``@task(viz_return_value=...)``; else UsageError is
        raised.
        """
        from flowbook.visualize import PlannedGraph

        title = f"flow {self.name!r}"
        parameters = bind(self.fn, title, args, kwargs)
        if self.options.validate_parameters:
            parameters = coerce(self.fn, title, parameters)
        graph = PlannedGraph(engine.draw_flow(self.work, parameters))
        if not hasattr(sys, "ps1"):  # an interactive session shows what is returned
            sys.stdout.write(f"{graph}\n")
        return graph

    @classmethod
    def from_source(cls, source: str | os.PathLike[str], entrypoint: str | None = None) -> Flow[..., Any]:
        """The flow that `entrypoint` (``path/to/file.py:flow_name`` or ``module:flow_name``) names in a local folder.

        If `source` is a Python file, `entrypoint` is the name of a flow in it, and may be left out if there is only
        one. The code around it is executed. Raises UsageError if there is no such file, module or flow, if loading it
        fails, and if the source is not local.
        """
        from flowbook.entrypoints import load_from_source

        return load_from_source(source, entrypoint, cls)

    @takes(PoolOptions)
    def to_deployment(self, name: str | None = None, **options: Unpack[PoolOptions]) -> Deployment:
        """This flow as a deployment, for `flowbook.serve` or `flowbook.deploy`. Options: those of `deploy`."""
        return _deployments().build(self, name, options, f"to_deployment() of flow {self.name!r}")  # type: ignore[no-any-return]

    @takes(ServeOptions, limit=8, pause_on_shutdown=True, print_starting_message=True)
    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Make this flow a deployment, and execute its runs from this process until it is stopped (Ctrl-C, SIGTERM).

        Options: ``cron``, ``interval``, ``rrule``, ``schedule`` or ``schedules``, with ``timezone``, ``catchup``
        (``one``, ``all``, ``skip``) and ``jitter`` (seconds); ``parameters``, ``description``, ``tags``, ``version``,
        ``paused``, ``concurrency_limit`` or ``overlap``; ``limit`` (runs at a time, 8), ``pause_on_shutdown`` (True),
        ``print_starting_message`` (True). Raises UsageError for one that does not exist or does not fit.
        """
        _deployments().serve_one(self, name, options)

    @takes(DeployOptions, print_next_steps=True)
    def deploy(self, name: str, work_pool_name: str | None = None, **options: Unpack[DeployOptions]) -> str:
        """Make this flow a deployment whose runs the workers of ``work_pool_name`` execute; returns its id.

        Options: those of `serve` about schedules and runs, ``work_queue_name``, ``job_variables`` (``env``,
        ``working_dir``, ``memory_mb``, ``environment``), ``lock`` (False: whether a full lock of this environment is
        kept with it), ``print_next_steps`` (True). What it runs is kept as it is now. Raises UsageError for an option
        that does not exist or does not fit, NotFound if there is no such pool.
        """
        return _deployments().deploy_one(self, name, {"work_pool_name": work_pool_name, **options})  # type: ignore[no-any-return]

    def with_options(self, **changes: Any) -> Flow[P, R]:
        """The same function as a flow with some options changed."""
        changed: Flow[P, R] = Flow(wrap_method(self._function, self.binding), _options(changes, self.options))
        return changed._taken_from(self.receiver) if self.receiver else changed

    def _call_by_name(self, /, **parameters: Any) -> Any:
        args, kwargs = as_call(self.fn, parameters)
        return self.fn(*args, **kwargs)

    def _run_name(self, parameters: Mapping[str, Any]) -> str | None:
        template = self.options.flow_run_name
        return run_name(template, parameters, f"flow_run_name of flow {self.name!r}") if template is not None else None

    def _limits(self) -> Slots | None:
        if not self.options.concurrency_limit:
            return None
        from flowbook.run.slots import slots_of

        return slots_of(self.options.concurrency_limit)

    def on_running(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(flow, flow_run, state)`` called as a run of this flow begins an attempt."""
        return self._add("on_running", hook)

    def on_completion(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(flow, flow_run, state)`` called when a run of this flow has completed."""
        return self._add("on_completion", hook)

    def on_failure(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(flow, flow_run, state)`` called when a run of this flow has failed for good."""
        return self._add("on_failure", hook)

    def on_cancellation(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(flow, flow_run, state)`` called when a run of this flow was cancelled."""
        return self._add("on_cancellation", hook)

    def on_crashed(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(flow, flow_run, state)`` called when a run of this flow has crashed.

        Its process has to live for that: nobody calls hooks for a process that was killed.
        """
        return self._add("on_crashed", hook)

    def _taken_from(self, receiver: tuple[Any, ...]) -> Self:
        """As any method; the instance or class is no parameter of the flow's runs."""
        bound = super()._taken_from(receiver)
        bound.work = replace(self.work, fn=bound._call_by_name, subject=bound)
        return bound

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"


class _FlowDecorator:
    """Makes a flow of a function: ``@flow`` or ``@flow(name="nightly", retries=1)``.

    Options: see `FlowOptions`. Raises UsageError for an option that does not exist or does not fit.
    """

    @overload
    def __call__(self, fn: Callable[P, R], /) -> Flow[P, R]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        flow_run_name: str | Callable[..., str] | None = None,
        retries: int = 0,
        retry_delay_seconds: RetryDelay = 0.0,
        timeout_seconds: float | None = None,
        task_runner: TaskRunner | None = None,
        validate_parameters: bool = True,
        log_prints: bool = False,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_serializer: Any = None,
        cache_result_in_memory: bool = True,
        concurrency_limit: Mapping[str, int] | None = None,
        on_running: Iterable[Hook] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
    ) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
    def __call__(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a flow of `fn`, or with these options a decorator that does."""
        chosen = _options(options)
        return Flow(fn, chosen) if fn is not None else lambda decorated: Flow(decorated, chosen)

    @staticmethod
    def from_source(source: str | os.PathLike[str], entrypoint: str | None = None) -> Flow[..., Any]:
        """`Flow.from_source`."""
        return Flow.from_source(source, entrypoint)

    def __repr__(self) -> str:
        return "<flowbook.flow>"


flow = _FlowDecorator()


def load_flow_from_entrypoint(entrypoint: str) -> Flow[..., Any]:
    """The flow that ``path/to/file.py:flow_name``, ``package.module:flow_name`` or ``package.module.flow_name`` names.

    The name of a function (``Class.method`` as well) or of a flow; it may be left out where there is only one. The code
    around it is executed. Raises UsageError if there is no such file, module or flow, and if loading it fails.
    """
    from flowbook.entrypoints import load_from_entrypoint

    return load_from_entrypoint(entrypoint, Flow)


_HOOKS = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")


def _options(given: Mapping[str, Any], base: FlowOptions | None = None) -> FlowOptions:
    refuse_unknown("@flow", given, FlowOptions.__slots__)
    changes = dict(given)
    runner = changes.pop("task_runner", None)
    if runner is not None:
        changes["task_runner"] = runner() if isinstance(runner, type) else runner
    if "concurrency_limit" in changes:
        changes["concurrency_limit"] = dict(changes["concurrency_limit"] or {})
    for option in _HOOKS:
        if option in changes:
            changes[option] = tuple(changes[option] or ())
    return replace(base or FlowOptions(), **changes)


def _deployments() -> Any:
    """The module that knows workers and schedules, which a flow that is only called never needs."""
    return import_module("flowbook.deployments")


def _exhaust(values: Generator[Any, Any, R]) -> R:
    """What a generator returns, when all that it yields was taken."""
    while True:
        try:
            next(values)
        except StopIteration as end:
            result: R = end.value
            return result
