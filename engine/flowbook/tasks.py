"""Tasks: functions whose calls are recorded, retried, cached and run side by side."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from flowbook import engine
from flowbook.cache_policies import CacheKeyFunction, CachePolicy, task_input_hash
from flowbook.core.annotations import allow_failure, quote, unmapped
from flowbook.core.backoff import RetryDelay, check_attempts, delays_for, exponential_backoff
from flowbook.core.jsonable import plain_name
from flowbook.core.methods import wrap_method
from flowbook.core.protocol import Rules
from flowbook.core.states import State
from flowbook.errors import UsageError, refuse_unknown
from flowbook.run.collected import collected
from flowbook.run.decorated import Decorated
from flowbook.run.execution import Execution
from flowbook.run.future import Future, FutureList
from flowbook.run.hooks import check_hooks, hooks_by_state, tags_of
from flowbook.run.outcomes import answer
from flowbook.run.placeholder import Placeholder
from flowbook.run.work import Hook, Storage, Work

if TYPE_CHECKING:
    from flowbook.run.task_execution import TaskExecution

__all__ = ["Task", "TaskOptions", "exponential_backoff", "task", "task_input_hash"]

TransactionHook = Callable[[Any], Any]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of a task, as ``@task`` takes them. Delays, timeouts and expirations are in seconds."""

    name: str | None = None
    description: str | None = None
    tags: frozenset[str] = frozenset()
    version: str | None = None
    task_run_name: str | Callable[..., str] | None = None
    retries: int = 0
    retry_delay_seconds: RetryDelay = 0.0
    retry_jitter_factor: float | None = None
    retry_condition_fn: Hook | None = None
    timeout_seconds: float | None = None
    log_prints: bool | None = None
    cache_policy: CachePolicy | None = None
    cache_key_fn: CacheKeyFunction | None = None
    cache_expiration: timedelta | float | None = None
    refresh_cache: bool = False
    persist_result: bool | None = None
    result_serializer: Any = None
    result_storage: Any = None
    result_storage_key: str | None = None
    cache_result_in_memory: bool = True
    on_running: tuple[Hook, ...] = ()
    on_completion: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_commit: tuple[TransactionHook, ...] = ()
    on_rollback: tuple[TransactionHook, ...] = ()
    viz_return_value: Any = None

    def __post_init__(self) -> None:
        check_attempts(self.retries, self.retry_delay_seconds, self.timeout_seconds)
        for option in _HOOKS:
            check_hooks("@task", option, getattr(self, option))

    def rules(self, *, kept: bool) -> Rules:
        """What the run protocol needs of the options."""
        return Rules(
            delays=delays_for(self.retries, self.retry_delay_seconds),
            jitter=self.retry_jitter_factor,
            conditional=self.retry_condition_fn is not None,
            timeout=self.timeout_seconds,
            kept=kept,
            uniform=SystemRandom().random,
        )

    def may_be_recovered(self) -> bool:
        """Whether a result may be taken for the same call when the flow run is begun anew."""
        from flowbook.cache_policies import NO_CACHE

        return self.persist_result is not False and self.cache_policy != NO_CACHE and not self.refresh_cache


class Task(Decorated, Generic[P, R]):
    """A function whose calls are task runs. Made by the decorator `task`.

    Call it for its result, ``.submit()`` it for a future, ``.map()`` it over lists. The task of a generator function
    gives a generator when it is called, and its run goes on as the values are taken; its future gives the list of them.
    Only such a list is cached.
    """

    fn: Callable[P, R]
    options: TaskOptions

    def __init__(self, fn: Callable[P, R], options: TaskOptions | None = None) -> None:
        super().__init__(fn, options or TaskOptions(), "@task")
        fn = self._function
        self.name = plain_name(str(self.options.name or getattr(fn, "__name__", type(fn).__name__)))
        self.description = self.options.description or inspect.getdoc(fn)
        self.tags = set(self.options.tags)
        self.version = self.options.version
        self.task_key = f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', self.name)}"
        self.work = self._work()

    def _work(self) -> Work:
        options = self.options
        storage = self._storage()
        return Work(
            name=self.name,
            fn=collected(self._function),
            rules=options.rules(kept=storage is not None),
            is_async=self.isasync,
            log_prints=options.log_prints,
            storage=storage,
            recovery=self._recovery if options.may_be_recovered() and not self.isgenerator else None,
            failing=_keep_failed if options.may_be_recovered() else None,
            key=self.task_key,
            tags=options.tags,
            hooks=hooks_by_state(
                RUNNING=options.on_running, COMPLETED=options.on_completion, FAILED=options.on_failure
            ),
            retry_if=options.retry_condition_fn,
            run_name=options.task_run_name,
            subject=self,
            stand_in=options.viz_return_value,
            completing=self._stage if options.on_commit or options.on_rollback else None,
        )

    def _storage(self) -> Storage | None:
        chosen = {name: getattr(self.options, name) for name in _STORING}
        if all(value == _STORING[name] for name, value in chosen.items()):
            return None
        from flowbook.result_storage import storage_for

        return storage_for(self._function, task=self, **chosen)

    def _recovery(self, reads: bool) -> Storage:
        from flowbook.core.fingerprints import code_fingerprint
        from flowbook.recovery import RecoveryStorage

        return RecoveryStorage(lambda: code_fingerprint(self.fn).hex(), reads)

    def _stage(self, run: Execution, state: State) -> None:
        from flowbook.transactions import stage

        stage(self.options.on_commit, self.options.on_rollback)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task and return its result (an awaitable, for ``async def``); raises what the function raises.

        With ``return_state=True`` it returns the final state instead, whatever it is; ``wait_for=[...]`` names futures
        to wait for besides those among the arguments.
        """
        given: dict[str, Any] = dict(kwargs)
        call = _Call(bool(given.pop("return_state", False)), tuple(given.pop("wait_for", None) or ()))
        result: R = self._run(args, given, call)  # for ``async def`` R is the coroutine's type
        return result

    def submit(
        self, /, *args: Any, wait_for: Iterable[Any] | None = None, return_state: bool = False, **kwargs: Any
    ) -> Any:
        """Have the task run as soon as its inputs are there; returns its `Future` at once.

        Arguments may be, or contain, futures of other tasks. `wait_for` names futures to wait for besides. With
        ``return_state=True`` it waits and returns the final state instead.
        """
        args = (*self.receiver, *args)
        future = engine.submit_task(engine.new_task_run(self.work, args, kwargs, wait_for=tuple(wait_for or ())))
        return _final_state(future) if return_state else future

    def map(
        self, /, *args: Any, wait_for: Iterable[Any] | None = None, return_state: bool = False, **kwargs: Any
    ) -> Any:
        """Submit the task once for each item of its list arguments; returns a `FutureList` in their order.

        Arguments that are no lists (strings and dicts included), and those wrapped in ``unmapped``, are the same for
        all. Raises UsageError if the lists differ in length or there is none.
        """
        awaited = tuple(wait_for or ())
        args = (*(unmapped(one) for one in self.receiver), *args)
        mapped_from = engine.producers_of(value for value in (*args, *kwargs.values()) if _is_mapped(value))
        futures: FutureList[R] = FutureList()
        for index, (item_args, item_kwargs) in enumerate(_items(self.name, args, kwargs)):
            run = engine.new_task_run(
                self.work, item_args, item_kwargs, wait_for=awaited, map_index=index, mapped_from=mapped_from
            )
            futures.append(engine.submit_task(run))
        return [_final_state(future) for future in futures] if return_state else futures

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have the task run in the background of this process, as a run of its own outside of the current flow run.

        Returns its future at once. The process waits for it before it exits.
        """
        run = engine.new_task_run(self.work, (*self.receiver, *args), kwargs, outside=True)
        return engine.submit_task(run)

    def with_options(self, **changes: Any) -> Task[P, R]:
        """The same function as a task with some options changed."""
        changed: Task[P, R] = Task(wrap_method(self._function, self.binding), _options(changes, self.options))
        return changed._taken_from(self.receiver) if self.receiver else changed

    def on_running(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(task, task_run, state)`` called as a run of this task begins an attempt."""
        return self._add("on_running", hook)

    def on_completion(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(task, task_run, state)`` called when a run of this task has completed."""
        return self._add("on_completion", hook)

    def on_failure(self, hook: Hook) -> Hook:
        """Decorator: have ``hook(task, task_run, state)`` called when a run of this task has failed for good."""
        return self._add("on_failure", hook)

    def on_commit(self, hook: TransactionHook) -> TransactionHook:
        """Decorator: have ``hook(transaction)`` called when the transaction that a run completed in is committed."""
        return self._add("on_commit", hook)

    def on_rollback(self, hook: TransactionHook) -> TransactionHook:
        """Decorator: have ``hook(transaction)`` called when the transaction that a run completed in is rolled back."""
        return self._add("on_rollback", hook)

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: _Call) -> Any:
        args = (*self.receiver, *args)
        if self.isgenerator:
            return self._iterate(args, kwargs, call)
        if self.isasync:
            return self._run_async(args, kwargs, call)
        run = engine.new_task_run(self.work, args, kwargs, wait_for=call.wait_for)
        return call.answer(engine.run_task(run))

    async def _run_async(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: _Call) -> Any:
        """Nothing is recorded before somebody awaits it."""
        run = engine.new_task_run(self.work, args, kwargs, wait_for=call.wait_for)
        return call.answer(await engine.run_task_async(run))

    def _iterate(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: _Call) -> Any:
        """Nothing is recorded before somebody asks for a value."""
        if call.return_state and self.isasync:
            raise UsageError(f"Task {self.name!r} is an async generator, which has no way to return its state.")
        # What was handed on cannot be stored, so the storage is for the lists of values of submitted runs.
        rules = replace(self.work.rules, kept=False)
        work = replace(self.work, fn=self._function, is_async=False, rules=rules, storage=None)
        begin = functools.partial(engine.new_task_run, work, args, kwargs, wait_for=call.wait_for)
        return engine.values_of(begin, call.answer, is_async=self.isasync)

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"


@dataclass(frozen=True, slots=True)
class _Call:
    """How a task was called, besides its arguments."""

    return_state: bool
    wait_for: tuple[Any, ...]

    def answer(self, state: State) -> Any:
        """What the caller is given when the run has ended."""
        return answer(state, self.return_state)


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
    version: str | None = None,
    task_run_name: str | Callable[..., str] | None = None,
    retries: int = 0,
    retry_delay_seconds: RetryDelay = 0.0,
    retry_jitter_factor: float | None = None,
    retry_condition_fn: Hook | None = None,
    timeout_seconds: float | None = None,
    log_prints: bool | None = None,
    cache_policy: CachePolicy | None = None,
    cache_key_fn: CacheKeyFunction | None = None,
    cache_expiration: timedelta | float | None = None,
    refresh_cache: bool = False,
    persist_result: bool | None = None,
    result_serializer: Any = None,
    result_storage: Any = None,
    result_storage_key: str | None = None,
    cache_result_in_memory: bool = True,
    on_running: Iterable[Hook] | None = None,
    on_completion: Iterable[Hook] | None = None,
    on_failure: Iterable[Hook] | None = None,
    on_commit: Iterable[TransactionHook] | None = None,
    on_rollback: Iterable[TransactionHook] | None = None,
    viz_return_value: Any = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: ``@task`` or ``@task(retries=3, retry_delay_seconds=10)``.

    Options: see `TaskOptions`. Raises UsageError for an option that does not exist or does not fit.
    """
    chosen = _options(options)
    return Task(fn, chosen) if fn is not None else lambda decorated: Task(decorated, chosen)


_HOOKS = ("on_running", "on_completion", "on_failure", "on_commit", "on_rollback")
_STORING = {
    "cache_policy": None,
    "cache_key_fn": None,
    "cache_expiration": None,
    "refresh_cache": False,
    "persist_result": None,
    "result_serializer": None,
    "result_storage": None,
    "result_storage_key": None,
    "cache_result_in_memory": True,
}
"""The options that have to do with keeping results, as they are when nothing is kept."""


def _options(given: Mapping[str, Any], base: TaskOptions | None = None) -> TaskOptions:
    refuse_unknown("@task", given, TaskOptions.__slots__)
    changes = dict(given)
    if "tags" in changes:
        changes["tags"] = tags_of(changes["tags"])
    for option in _HOOKS:
        if option in changes:
            changes[option] = tuple(changes[option] or ())
    return replace(base or TaskOptions(), **changes)


def _keep_failed(run: TaskExecution, state: State) -> None:
    from flowbook.post_mortem import keep

    keep(run, state)


def _final_state(future: Future[Any]) -> State:
    future.wait()
    return future.state


def _items(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterable[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call that a ``.map`` means."""
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs)
    lists = {key: _as_list(value) for key, value in given.items() if _is_mapped(value)}
    longest = max(map(len, lists.values()), default=0)
    for key, values in lists.items():
        if len(values) == 1 and isinstance(values[0], Placeholder):  # it stands for as many as there are
            lists[key] = [*values] * longest
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
    if isinstance(value, allow_failure):
        return _is_mapped(value.value)
    if isinstance(value, unmapped | quote | str | bytes | Mapping):
        return False
    return isinstance(value, Future | Placeholder) or (hasattr(value, "__iter__") and not hasattr(value, "columns"))


def _as_list(value: Any) -> Sequence[Any]:
    """The items of a mapped argument; those of a future are known when it has ended."""
    if isinstance(value, allow_failure):
        return [allow_failure(item) for item in _as_list(value.value)]
    found = value.result() if isinstance(value, Future) else value
    return found if isinstance(found, Sequence) else list(found)
