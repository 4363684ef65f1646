"""Stored results: found again by later runs, loaded when they are asked for, read and written by name.

What a task's options say about results becomes a storage, which the engine asks for the key of a run, for a stored
result, and to store one. A result that cannot be stored or read is a warning, never a failed run.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from flowbook import engine
from flowbook.errors import MissingResult, UsageError
from flowbook.serializers import Serializer, serializer_for

if TYPE_CHECKING:
    from flowbook.store.results import ResultRecord

__all__ = ["CacheStatistics", "MissingResult", "ResultPersistor", "ResultStore", "StoredResult", "cache_statistics"]


class ResultStore:
    """Stored results by key, in a folder or in the home folder. In a folder, the key is the name of a file.

    `result_storage` is the folder. Values are written by `serializer`, and read by the one that wrote them.
    """

    def __init__(
        self,
        result_storage: str | Path | None = None,
        serializer: Serializer | type[Serializer] | str | None = None,
    ) -> None:
        self.folder = _folder(result_storage)
        self.serializer = serializer_for(serializer)

    def read(self, key: str) -> Any:
        """The value stored under `key`. Raises MissingResult if there is none, or it was changed."""
        found = self.record(self.hashed(key))
        if found is None:
            where = self.folder or engine.engine().settings.home
            raise MissingResult(f"There is no stored result {key!r} in {where}: none was written, or it has expired.")
        return self.load(found)

    def write(self, key: str, value: Any) -> None:
        """Store `value` under `key`, replacing what was there; it is durable when this returns.

        Raises UsageError for a key that is no name of a file, and what the serializer raises for values unfit for it.
        """
        self.put(self.hashed(key), value, name=key if self.folder is not None else None)
        engine.engine().journal.flush()

    def exists(self, key: str) -> bool:
        """Whether something is stored under `key` that has not expired."""
        found = self.record(self.hashed(key))
        return found is not None and (found.path is None or found.path.is_file())

    def hashed(self, key: str) -> str:
        """What the result `key` of this store is recorded under: 64 hexadecimal digits."""
        return hashlib.sha256(f"{self.folder or ''}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()

    def record(self, hashed: str) -> ResultRecord | None:
        """What is recorded; None if there is nothing, or it has expired."""
        from flowbook.store.results import find

        opened = engine.engine()
        found = find(opened.database, opened.journal, opened.settings.home, hashed)
        if found is not None and found.expires is not None and found.expires <= opened.recorder.clock.time():
            return None
        return found

    def load(self, record: ResultRecord) -> Any:
        """The value of a record, or of the one that has replaced it since. Raises MissingResult."""
        from flowbook.store.results import load

        try:
            return load(record, self._reader(record))
        except MissingResult:
            newer = self.record(record.key)
            if newer is None or newer == record:
                raise
            return load(newer, self._reader(newer))

    def put(
        self,
        hashed: str,
        value: Any,
        *,
        name: str | None = None,
        seconds: float | None = None,
        task_key: str | None = None,
        expires_after: float | None = None,
        flow_run_id: str | None = None,
    ) -> ResultRecord:
        """Store a value, in a file of that name if there is one; it is durable with the next event that is.

        With `flow_run_id` it goes with that flow run.
        """
        from flowbook.core.storage_names import safe_name
        from flowbook.store.results import Place, write

        opened = engine.engine()
        created = opened.recorder.clock.time()
        place = Place(key=hashed, folder=self.folder, name=None if name is None else safe_name(name))
        with _lock_of((place.folder, place.name)):
            record = write(
                opened.settings.home,
                place,
                value,
                self.serializer,
                created=created,
                seconds=seconds,
                task_key=task_key,
                expires=None if expires_after is None else created + expires_after,
                flow_run_id=flow_run_id,
            )
            opened.journal.append_result(record)
        return record

    def _reader(self, record: ResultRecord) -> Serializer:
        if record.serializer == self.serializer.name:
            return self.serializer
        try:
            return serializer_for(record.serializer)
        except UsageError as error:
            raise MissingResult(
                f"{record.title} was written by the serializer {record.serializer!r}, and cannot be read: {error}"
            ) from None


ResultPersistor = ResultStore
"""The name of `ResultStore` in older tutorials."""


@dataclass(frozen=True, slots=True)
class StoredResult:
    """Stands for a result that is stored and not kept in memory."""

    record: ResultRecord
    store: ResultStore
    is_stored_result: ClassVar[bool] = True

    def get(self) -> Any:
        """The value, read anew each time. Raises MissingResult."""
        return self.store.load(self.record)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheStatistics:
    """How often the results of one task were reused, how often they had to be made, and the seconds saved by that."""

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


def _folder(chosen: object) -> Path | None:
    if chosen is None:
        return None
    if not isinstance(chosen, str | Path) or not str(chosen) or "://" in str(chosen):
        raise UsageError(
            f"result_storage is {chosen!r}; give a folder, as a text or a Path, or None for the home folder."
        )
    return Path(chosen).expanduser().absolute()


class _Lock:
    """A lock that can be referred to weakly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_locks: WeakValueDictionary[tuple[Path | None, str | None], _Lock] = WeakValueDictionary()


def _lock_of(file: tuple[Path | None, str | None]) -> _Lock:
    """One lock per file that has a name: what is recorded last must be what was written last."""
    return _locks.setdefault(file, _Lock()) if file[1] is not None else _Lock()
