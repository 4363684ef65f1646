"""Tasks: functions whose calls are recorded, retried, cached and run side by side."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

from flowbook import engine
from flowbook.cache_policies import NO_CACHE, CachePolicy
from flowbook.core.backoff import RetryDelay, check_attempts, delays_for, exponential_backoff
from flowbook.core.protocol import Rules
from flowbook.core.states import State
from flowbook.errors import UsageError, refuse_unknown
from flowbook.run.execution import Work
from flowbook.run.future import Future, FutureList

__all__ = ["Task", "TaskOptions", "exponential_backoff", "task"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of a task, as ``@task`` takes them. Delays and timeouts are in seconds."""

    name: str | None = None
    description: str | None = None
    tags: frozenset[str] = frozenset()
    version: str | None = None
    retries: int = 0
    retry_delay_seconds: RetryDelay = 0.0
    retry_jitter_factor: float | None = None
    timeout_seconds: float | None = None
    log_prints: bool | None = None
    cache_policy: CachePolicy = field(default=NO_CACHE)

    def __post_init__(self) -> None:
        check_attempts(self.retries, self.retry_delay_seconds, self.timeout_seconds)

    def rules(self) -> Rules:
        """What the run protocol needs of the options."""
        return Rules(
            delays=delays_for(self.retries, self.retry_delay_seconds),
            jitter=self.retry_jitter_factor,
            timeout=self.timeout_seconds,
            cached=self.cache_policy is not NO_CACHE,
            uniform=random.random,
        )


class Task(Generic[P, R]):
    """A function whose calls are task runs. Made by the decorator `task`.

    Call it for its result, ``.submit()`` it for a future, ``.map()`` it over lists.
    """

    def __init__(self, fn: Callable[P, R], options: TaskOptions | None = None) -> None:
        if not callable(fn):
            raise UsageError(f"@task needs a function, not {fn!r}.")
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.options = options or TaskOptions()
        self.name = str(self.options.name or getattr(fn, "__name__", type(fn).__name__))
        self.task_key = f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', self.name)}"
        self.work = Work(
            name=self.name,
            fn=fn,
            rules=self.options.rules(),
            is_async=inspect.iscoroutinefunction(fn),
            log_prints=self.options.log_prints,
            key=self.task_key,
            **_caching(fn, self.options.cache_policy),
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task and return its result (an awaitable, for ``async def``); raises what the function raises."""
        result: R = self._run(args, kwargs)  # for ``async def`` R is the coroutine's type
        return result

    def submit(
        self, *args: Any, wait_for: Iterable[Any] | None = None, return_state: bool = False, **kwargs: Any
    ) -> Any:
        """Have the task run as soon as its inputs are there; returns its `Future` at once.

        Arguments may be, or contain, futures of other tasks. `wait_for` names futures to wait for besides. With
        ``return_state=True`` it waits and returns the final state instead.
        """
        future = engine.submit_task(engine.new_task_run(self.work, args, kwargs, wait_for=tuple(wait_for or ())))
        return _final_state(future) if return_state else future

    def map(self, *args: Any, wait_for: Iterable[Any] | None = None, return_state: bool = False, **kwargs: Any) -> Any:
        """Submit the task once for each item of its list arguments; returns a `FutureList` in their order.

        Arguments that are no lists (strings and dicts included), and those wrapped in ``unmapped``, are the same for
        all. Raises UsageError if the lists differ in length or there is none.
        """
        awaited = tuple(wait_for or ())
        mapped_from = engine.producers_of(value for value in (*args, *kwargs.values()) if _is_mapped(value))
        futures: FutureList[R] = FutureList()
        for index, (item_args, item_kwargs) in enumerate(_items(self.name, args, kwargs)):
            run = engine.new_task_run(
                self.work, item_args, item_kwargs, wait_for=awaited, map_index=index, mapped_from=mapped_from
            )
            futures.append(engine.submit_task(run))
        return [_final_state(future) for future in futures] if return_state else futures

    def with_options(self, **changes: Any) -> Task[P, R]:
        """The same function as a task with some options changed."""
        return Task(self.fn, _options(changes, self.options))

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self.work.is_async:
            return self._run_async(args, kwargs)
        return engine.run_task(engine.new_task_run(self.work, args, kwargs)).result()

    async def _run_async(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Nothing is recorded before somebody awaits it."""
        return (await engine.run_task_async(engine.new_task_run(self.work, args, kwargs))).result()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A task in a class body is a method: the instance is its first argument."""
        return self if instance is None else Task(self.fn.__get__(instance, owner), self.options)

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
    version: str | None = None,
    retries: int = 0,
    retry_delay_seconds: RetryDelay = 0.0,
    retry_jitter_factor: float | None = None,
    timeout_seconds: float | None = None,
    log_prints: bool | None = None,
    cache_policy: CachePolicy | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: ``@task`` or ``@task(retries=3, retry_delay_seconds=10)``.

    Options: see `TaskOptions`. Raises UsageError for an option that does not exist or does not fit.
    """
    chosen = _options(options)
    return Task(fn, chosen) if fn is not None else lambda decorated: Task(decorated, chosen)


def _options(given: Mapping[str, Any], base: TaskOptions | None = None) -> TaskOptions:
    refuse_unknown("@task", given, TaskOptions.__slots__)
    changes = dict(given)
    if "tags" in changes:
        changes["tags"] = frozenset(changes["tags"] or ())
    if changes.get("cache_policy", ...) is None:
        changes["cache_policy"] = NO_CACHE
    return replace(base or TaskOptions(), **changes)


def _caching(fn: Callable[..., Any], policy: CachePolicy) -> dict[str, Any]:
    """The parts of a task's work that serve caching."""
    if policy is NO_CACHE:
        return {}
    from flowbook.results import result_cache

    return {"cache": result_cache, "cache_key": functools.partial(policy.key, fn)}


def _final_state(future: Future[Any]) -> State:
    future.wait()
    return future.state


@dataclass(frozen=True, slots=True)
class unmapped(Generic[R]):
    """Marks an argument of ``.map`` that is the same for every item."""

    value: R


def _items(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterable[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call that a ``.map`` means."""
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs)
    lists = {key: _as_list(value) for key, value in given.items() if _is_mapped(value)}
    lengths = {len(values) for values in lists.values()}
    if len(lengths) != 1:
        said = ", ".join(f"{key}: {len(values)}" for key, values in lists.items()) or "no list at all"
        raise UsageError(
            f"{name}.map needs lists of one length, but was given {said}. Wrap what is the same for all in unmapped()."
        )
    for index in range(lengths.pop()):
        call = {
            key: lists[key][index] if key in lists else value.value if isinstance(value, unmapped) else value
            for key, value in given.items()
        }
        yield tuple(call[n] for n in range(len(args))), {key: call[key] for key in kwargs}


def _is_mapped(value: Any) -> bool:
    if isinstance(value, unmapped | str | bytes | Mapping):
        return False
    return isinstance(value, Future) or (hasattr(value, "__iter__") and not hasattr(value, "columns"))


def _as_list(value: Any) -> Sequence[Any]:
    """The items of a mapped argument; those of a future are known when it has ended."""
    found = value.result() if isinstance(value, Future) else value
    return found if isinstance(found, Sequence) else list(found)
