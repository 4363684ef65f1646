"""How the results of a task or flow are kept: what its options mean, in the shape that the engine asks for.

A storage key is what a result is recorded under, 64 hexadecimal digits, and, after a colon, the name of its file where
the user chose one.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.cache_policies import DEFAULT, NO_CACHE, CacheKeyFunction, CachePolicy, TaskRunContext, check_key
from flowbook.core.storage import Found, Kept
from flowbook.core.storage_names import check_template, storage_name
from flowbook.errors import UsageError, did_you_mean
from flowbook.results import ResultStore, StoredResult
from flowbook.serializers import Serializer

if TYPE_CHECKING:
    from flowbook.run.execution import Execution
    from flowbook.run.work import Storage

_log = logging.getLogger("flowbook.results")


def storage_for(
    fn: Callable[..., Any],
    *,
    task: Any,
    cache_policy: CachePolicy | None = None,
    cache_key_fn: CacheKeyFunction | None = None,
    cache_expiration: timedelta | float | None = None,
    refresh_cache: bool = False,
    persist_result: bool | None = None,
    result_serializer: Serializer | type[Serializer] | str | None = None,
    result_storage: str | Path | None = None,
    result_storage_key: str | None = None,
    cache_result_in_memory: bool = True,
) -> Storage | None:
    """How the results of `task`, a task or flow of the function `fn`, are kept by these options; None if they are not.

    A policy, a storage, a serializer and ``cache_result_in_memory=False`` mean that results are kept; with
    ``persist_result=False`` they are not kept in any case. Raises UsageError for an option that cannot be meant.
    """
    title = f"{type(task).__name__.lower()} {task.name!r}"
    policy = _policy(title, cache_policy, cache_key_fn)
    expires_after = _seconds(title, cache_expiration)
    store = ResultStore(result_storage, result_serializer)
    signature = _signature(fn)
    names = None if signature is None or _takes_any(signature) else tuple(signature.parameters)
    template = None if result_storage_key is None else check_template(result_storage_key, title, names)
    _check_left_out(title, policy, names)
    chosen = [policy not in (None, NO_CACHE), result_storage, result_serializer, template, not cache_result_in_memory]
    if persist_result is False or (persist_result is None and not any(chosen)):
        return None
    return TaskStorage(
        store=store,
        task=task,
        policy=policy if policy is not None else NO_CACHE if template is not None else DEFAULT,
        signature=signature,
        template=template,
        reads=not refresh_cache and policy != NO_CACHE,
        expires_after=expires_after,
        always=persist_result is True or not cache_result_in_memory,
        in_memory=cache_result_in_memory,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStorage:
    """The results of a task or flow, as its options say."""

    store: ResultStore
    task: Any
    policy: CachePolicy
    signature: inspect.Signature | None
    template: str | None
    reads: bool
    expires_after: float | None
    always: bool
    """Whether also the result of a run that is not cached is kept."""
    in_memory: bool
    _warned: set[str] = field(default_factory=set)

    def key(self, run: Any) -> str | None:
        """What the result of `run` is stored under; None if it is not, and a line in the log says why."""
        if run.flow is run:
            return self.store.hashed(run.id)
        try:
            inputs = self._inputs(run)
            cache_key = self._cache_key(run, inputs)
            if self.template is not None:
                name = storage_name(
                    self.template,
                    flow_run=None if run.flow is None else run.flow.told(),
                    task_run=run.told(),
                    parameters=inputs,
                )
                return f"{self.store.hashed(name if self.policy == NO_CACHE else cache_key or run.id)}:{name}"
        except UsageError as error:
            self._warn(f"{error} The result of {_said(run)} is not kept.")
            return None
        if cache_key is None:
            return self.store.hashed(run.id) if self.always else None
        return self.store.hashed(cache_key)

    def look_up(self, key: str) -> Found | None:
        """The stored result; None if there is none that can be used."""
        return _look_up(self.store, key, in_memory=self.in_memory)

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """Store a result that took so many seconds to make."""
        kept = _save(self.store, key, value, seconds, run, expires_after=self.expires_after, in_memory=self.in_memory)
        is_cached = self.policy != NO_CACHE or self.reads
        return kept if is_cached and not key.startswith(self.store.hashed(run.id)) else Kept(kept.data)

    def _inputs(self, run: Any) -> dict[str, Any]:
        """The arguments by name, defaults included, so that ``f(1)`` and ``f(x=1)`` are the same call."""
        if self.signature is None:
            return {"arguments": run.args, **run.kwargs}
        try:
            bound = self.signature.bind(*run.args, **run.kwargs)
        except TypeError:  # the call itself is going to say so
            return {"arguments": run.args, **run.kwargs}
        bound.apply_defaults()
        inputs = dict(bound.arguments)
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                inputs = {**inputs.pop(name), **inputs}
        return inputs

    def _cache_key(self, run: Any, inputs: dict[str, Any]) -> str | None:
        if self.policy == NO_CACHE:
            return None
        from flowbook.core.fingerprints import Incomparable

        context = TaskRunContext(self.task, inputs, run)
        try:
            parameters = {} if run.flow is None else dict(run.flow.kwargs)
            key = self.policy.compute_key(context, inputs, parameters)
            return None if key is None else check_key(key, repr(self.policy))
        except Incomparable as error:
            self._warn(f"Runs of task {self.task.name!r} are not cached: {error}.")
        except Exception as error:
            self._warn(f"{_said(run)} is not cached, for its cache key cannot be made: {type(error).__name__}: {error}")
        return None

    def _warn(self, message: str) -> None:
        """Say so once; the mapped runs of a task would all say the same."""
        if message not in self._warned:
            self._warned.add(message)
            _log.warning("%s", message)


@dataclass(frozen=True, slots=True)
class KeyedStorage:
    """The results of work whose key a function makes of its positional and keyword arguments."""

    key_of: Callable[[Sequence[Any], Mapping[str, Any]], str | None]
    store: ResultStore = field(default_factory=ResultStore)
    reads: bool = True
    expires_after: float | None = None
    """Seconds after which a result does not count any more."""

    def key(self, run: Execution) -> str | None:
        """What the result of `run` is stored under; None, and a line in the log, if an argument cannot be compared."""
        from flowbook.core.fingerprints import Incomparable

        try:
            key = self.key_of(run.args, run.kwargs)
        except Incomparable as error:
            _log.warning("%s is not cached: %s.", _said(run), error)
            return None
        return None if key is None else self.store.hashed(key)

    def look_up(self, key: str) -> Found | None:
        """The stored result; None if there is none that can be used."""
        return _look_up(self.store, key)

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """Store a result that took so many seconds to make."""
        return _save(self.store, key, value, seconds, run, expires_after=self.expires_after)


def _look_up(store: ResultStore, key: str, *, in_memory: bool = True) -> Found | None:
    try:
        record = store.record(key.partition(":")[0])
        if record is None:
            return None
        details = {"saved": round(record.seconds or 0.0, 3)}
        if in_memory:
            return Found(store.load(record), details)
        from flowbook.store.results import verify

        verify(record)
        return Found(StoredResult(record, store), details)
    except Exception as error:
        _log.warning("%s The task runs again.", error)
        return None


def _save(
    store: ResultStore,
    key: str,
    value: Any,
    seconds: float,
    run: Execution,
    *,
    expires_after: float | None = None,
    in_memory: bool = True,
) -> Kept:
    hashed, _, name = key.partition(":")
    try:
        record = store.put(
            hashed, value, name=name or None, seconds=seconds, task_key=run.work.key, expires_after=expires_after
        )
    except Exception as error:
        _log.warning("The result of %s cannot be kept: %s: %s", _said(run), type(error).__name__, error)
        return Kept(value)
    return Kept(value if in_memory else StoredResult(record, store), {"missed": True})


def _said(run: Any) -> str:
    title: str = run.title
    return title[0].lower() + title[1:]


def _policy(title: str, policy: object, cache_key_fn: object) -> CachePolicy | None:
    if cache_key_fn is not None:
        if not callable(cache_key_fn):
            raise UsageError(f"cache_key_fn of {title} is {cache_key_fn!r}; give a function of (context, parameters).")
        if policy is not None:
            _log.warning("Of %s both cache_key_fn and cache_policy are given; cache_key_fn counts.", title)
        return CachePolicy.from_cache_key_fn(cache_key_fn)
    if policy is not None and not isinstance(policy, CachePolicy):
        raise UsageError(f"cache_policy of {title} is {policy!r}; give one of flowbook.cache_policies, such as INPUTS.")
    return policy


def _seconds(title: str, expiration: object) -> float | None:
    seconds = expiration.total_seconds() if isinstance(expiration, timedelta) else expiration
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(
            f"cache_expiration of {title} is {expiration!r}; give a timedelta, or seconds, of more than 0."
        )
    return float(seconds)


def _signature(fn: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):  # of some builtins
        return None


def _takes_any(signature: inspect.Signature) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())


def _check_left_out(title: str, policy: CachePolicy | None, names: tuple[str, ...] | None) -> None:
    if policy is None or names is None:
        return
    for name in sorted(policy.left_out()):
        if name not in names:
            raise UsageError(
                f"cache_policy of {title} leaves out the argument {name!r}, which it does not have."
                f"{did_you_mean(name, names)}"
            )
