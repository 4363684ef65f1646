"""Results that are kept: found again by later runs, read by other programs, loaded when they are asked for.

What a task's options say about results becomes one `Storage`, which the engine asks for the key of a run, for a stored
result, and to store one. A result that cannot be stored or read is a warning, never a failed run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowbook import engine
from flowbook.cache_policies import DEFAULT, NO_CACHE, CacheKeyFunction, CachePolicy, TaskRunContext
from flowbook.core.storage import Found, Kept
from flowbook.errors import FlowbookError, MissingResult, UsageError
from flowbook.serializers import Serializer, serializer_named

if TYPE_CHECKING:
    from flowbook.run.execution import Execution, Storage
    from flowbook.store.results import Header

__all__ = [
    "CacheStatistics",
    "KeyedStorage",
    "MissingResult",
    "ResultPersistor",
    "ResultStore",
    "StoredResult",
    "cache_statistics",
    "storage_for",
]

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
    result_serializer: Serializer | str | None = None,
    result_storage: ResultStore | Path | str | None = None,
    result_storage_key: str | None = None,
    cache_result_in_memory: bool = True,
) -> Storage | None:
    """How the results of `task` are kept by these options; None if they are not. Raises UsageError."""
    policy = CachePolicy.from_cache_key_fn(cache_key_fn) if cache_key_fn is not None else cache_policy
    if policy is not None and not isinstance(policy, CachePolicy):
        raise UsageError(f"cache_policy of task {task.name!r} is {policy!r}; give a policy such as INPUTS.")
    seconds = cache_expiration.total_seconds() if isinstance(cache_expiration, timedelta) else cache_expiration
    if seconds is not None and seconds < 0:
        raise UsageError(f"cache_expiration of task {task.name!r} is {cache_expiration!r}; it must be 0 or more.")
    serializer = serializer_named(result_serializer)
    if persist_result is False or (policy is NO_CACHE and not persist_result):
        return None
    if policy is None and not (persist_result or result_storage_key or result_storage or result_serializer):
        return None
    store = result_storage if isinstance(result_storage, ResultStore) else ResultStore(result_storage)
    return _TaskStorage(
        reads=not refresh_cache,
        fn=fn,
        task=task,
        policy=DEFAULT if policy is None else policy,
        expires_after=seconds,
        serializer=serializer,
        store=store,
        name=result_storage_key,
        in_memory=cache_result_in_memory,
    )


class ResultStore:
    """Stored results in a folder, or with none in the home folder. Keys are any strings."""

    def __init__(self, folder: Path | str | None = None, *, serializer: Serializer | str | None = None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        self.serializer = serializer_named(serializer)

    def read(self, key: str) -> Any:
        """The value stored under `key`. Raises MissingResult if there is none, or it was changed."""
        found = self.find(key)
        if found is None:
            where = self.file(key) or engine.engine().settings.home
            raise MissingResult(f"There is no stored result {key!r} ({where}); it was deleted, or it has expired.")
        return found[1]

    def write(self, key: str, value: Any) -> None:
        """Store `value` under `key`, replacing what was there."""
        self.keep(key, value, self.serializer)

    def exists(self, key: str) -> bool:
        """Whether something is stored under `key` that has not expired."""
        file = self.file(key)
        return file.is_file() if file is not None else engine.engine().results.exists(_hashed(key))

    def find(self, key: str, serializer: Serializer | None = None) -> tuple[Header, Any] | None:
        """What is known of a stored result, and its value; None if there is none, or it has expired."""
        results = engine.engine().results
        load = _Loader(serializer or self.serializer)
        file = self.file(key)
        if file is None:
            return results.load(_hashed(key), load)
        return results.load_file(file, load) if file.is_file() else None

    def keep(self, key: str, value: Any, serializer: Serializer, **known: Any) -> None:
        """Store `value` with what else is known of it, see `flowbook.store.results.Header`."""
        from flowbook.store.results import Header

        opened = engine.engine()
        header = Header(key=_hashed(key), serializer=serializer.name, created=opened.recorder.clock.time(), **known)
        file = self.file(key)
        if file is None:
            opened.results.save(header, lambda stream: serializer.dump(value, stream))
        else:
            opened.results.save_file(file, header, lambda stream: serializer.dump(value, stream))

    def file(self, key: str) -> Path | None:
        """The file of a result in a folder. Raises UsageError for a key that leads out of it."""
        if self.folder is None:
            return None
        folder = self.folder.absolute()
        file = (folder / key).absolute()
        if ".." in Path(key).parts or folder not in file.parents:
            raise UsageError(f"The result key {key!r} leads out of the folder {folder}.")
        return file


ResultPersistor = ResultStore


@dataclass(frozen=True, slots=True)
class StoredResult:
    """Stands for a result that is not kept in memory."""

    key: str
    store: ResultStore
    serializer: Serializer
    is_stored_result: ClassVar[bool] = True

    def get(self) -> Any:
        """The value, read anew. Raises MissingResult."""
        found = self.store.find(self.key, self.serializer)
        return self.store.read(self.key) if found is None else found[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheStatistics:
    """How often the results of one task were reused."""

    task: str
    hits: int
    misses: int
    seconds_saved: float


def cache_statistics() -> list[CacheStatistics]:
    """How often the results of which task were reused, the most time saved first."""
    from sqlalchemy import desc, select

    from flowbook.store.schema import cache_use

    opened = engine.engine()
    opened.journal.flush()
    query = select(cache_use).order_by(desc(cache_use.c.seconds_saved), cache_use.c.task_key)
    with opened.database.read() as connection:
        return [
            CacheStatistics(task=row.task_key, hits=row.hits, misses=row.misses, seconds_saved=row.seconds_saved)
            for row in connection.execute(query)
        ]


@dataclass(frozen=True, slots=True)
class KeyedStorage:
    """The results of work whose key a function makes of its positional and keyword arguments."""

    key_of: Callable[[Sequence[Any], Mapping[str, Any]], str | None]
    reads: bool = True

    def key(self, run: Execution) -> str | None:
        """See `flowbook.run.execution.Storage`."""
        return self.key_of(run.args, run.kwargs)

    def look_up(self, key: str) -> Found | None:
        """See `flowbook.run.execution.Storage`."""
        return _found(ResultStore(), key, serializer_named(None))

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """See `flowbook.run.execution.Storage`."""
        kept = _kept(ResultStore(), key, value, serializer_named(None), seconds=seconds, task_key=run.work.key)
        return Kept(value, _miss(run.work.key) if kept else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class _TaskStorage:
    """The results of a task or flow, as its options say."""

    reads: bool
    fn: Callable[..., Any]
    task: Any
    policy: CachePolicy
    expires_after: float | None
    serializer: Serializer
    store: ResultStore
    name: str | None
    in_memory: bool

    def key(self, run: Any) -> str | None:
        """See `flowbook.run.execution.Storage`."""
        told = run.told()
        if run.flow is run:  # a flow run: each stores its own
            return f"{run.work.key} {run.id}"
        if self.name is not None:
            return self._named(run, told)
        inputs = dict(told.parameters)
        owner = getattr(self.fn, "__self__", None)
        if owner is not None:
            inputs["self"] = owner
        flow_run = run.flow.told() if run.flow is not None else None
        context = TaskRunContext(task=self.task, task_run=told, flow_run=flow_run, parameters=inputs)
        try:
            key = self.policy.compute_key(context, inputs, dict(flow_run.parameters) if flow_run else {})
        except UsageError:
            raise
        except Exception as error:
            _log.warning("%s is not cached: %s.", run.title, error)
            return None
        if key is None or self.policy.shared:
            return key
        return f"{run.work.key} {key}"

    def look_up(self, key: str) -> Found | None:
        """See `flowbook.run.execution.Storage`."""
        return _found(self.store, key, self.serializer)

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """See `flowbook.run.execution.Storage`."""
        expires = None if self.expires_after is None else run.recorder.clock.time() + self.expires_after
        known = {"seconds": seconds, "expires": expires, "task_key": run.work.key}
        if not _kept(self.store, key, value, self.serializer, **known):
            return Kept(value)
        return Kept(value if self.in_memory else StoredResult(key, self.store, self.serializer), _miss(run.work.key))

    def _named(self, run: Any, told: Any) -> str:
        flow_run = run.flow.told() if run.flow is not None else None
        template = str(self.name)
        try:
            return template.format(parameters=told.parameters, task_run=told, flow_run=flow_run)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise UsageError(
                f"result_storage_key of task {self.task.name!r} is {template!r}, which cannot be filled in: {error!r}. "
                "It may name {parameters[...]}, {task_run.name} and {flow_run.name}."
            ) from None


def _found(store: ResultStore, key: str, serializer: Serializer) -> Found | None:
    try:
        found = store.find(key, serializer)
    except (FlowbookError, OSError) as error:
        _log.warning("%s The task runs again.", error)
        return None
    except Exception as error:  # whatever reading a pickle may run into: a class that has gone, say
        _log.warning("A stored result cannot be read (%s: %s). The task runs again.", type(error).__name__, error)
        return None
    if found is None:
        return None
    header, value = found
    return Found(value, {"cache": [header.task_key or "", header.seconds or 0.0]})


def _kept(store: ResultStore, key: str, value: Any, serializer: Serializer, **known: Any) -> bool:
    try:
        store.keep(key, value, serializer, **known)
    except Exception as error:
        _log.warning("The result cannot be kept for later runs: %s", error)
        return False
    return True


def _miss(task_key: str) -> dict[str, Any]:
    return {"cache": [task_key, None]}


@dataclass(frozen=True, slots=True)
class _Loader:
    """Reads a result by the task's serializer, or by the one that it says it was written with."""

    serializer: Serializer

    def __call__(self, header: Header, stream: Any) -> Any:
        mine = self.serializer if self.serializer.name == header.serializer else serializer_named(header.serializer)
        return mine.load(stream)


def _hashed(key: str) -> str:
    from hashlib import blake2b

    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
