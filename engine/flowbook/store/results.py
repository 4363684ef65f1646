"""Stored results: small ones in the table ``result``, large ones in files beside it; all signed, and verified first."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from flowbook.errors import MissingResult
from flowbook.store.result_writer import ResultWriter
from flowbook.store.signing import is_right, signature

if TYPE_CHECKING:
    from flowbook.store.database import Database
    from flowbook.store.journal import Journal

_SMALL = 8192  # bytes of a result that needs no file
_CHUNK = 1 << 20  # bytes read at a time

COLUMNS = (
    "key",
    "content",
    "file",
    "size",
    "signature",
    "serializer",
    "task_key",
    "seconds",
    "created",
    "expires",
    "flow_run_id",
)
_QUERY = f"SELECT {', '.join(COLUMNS)} FROM result WHERE key = "


class Format(Protocol):
    """What the store needs of a serializer, see :mod:`flowbook.serializers`."""

    @property
    def name(self) -> str:
        """What is recorded with each result."""

    @property
    def suffix(self) -> str:
        """The end of the names of its files."""

    def dump(self, value: Any, file: Any) -> None:
        """Write a value to a file."""

    def load(self, file: Any) -> Any:
        """Read it back."""

    def loads(self, data: bytes) -> Any:
        """Read it back from bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRecord:
    """Where a result is, and what is known of it. Times are in seconds since the epoch."""

    key: str
    """64 hexadecimal digits."""
    content: bytes | None
    """All of it, if it is small."""
    file: str | None
    """Else the path of its file: below the home folder, or absolute."""
    size: int
    signature: bytes
    serializer: str
    task_key: str | None
    seconds: float | None
    """How long it took to make."""
    created: float
    expires: float | None
    flow_run_id: str | None
    """That of the only flow run which can use it."""
    home: Path

    @property
    def path(self) -> Path | None:
        """The file, if there is one."""
        return None if self.file is None else self.home / self.file

    @property
    def title(self) -> str:
        """``The stored result /home/…``, as it stands in messages."""
        return f"The stored result {self.path or self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a result is to be put: in the home folder, or in a `folder`; in a file of a certain `name`, or in any."""

    key: str
    folder: Path | None = None
    name: str | None = None


def find(database: Database, journal: Journal, home: Path, key: str) -> ResultRecord | None:
    """The record of the result under `key`, also of one that is not committed yet; None if there is none."""
    pending = journal.pending_results.get(key)
    if pending is not None:
        return pending
    mark = "?" if database.url.get_backend_name() == "sqlite" else "%s"
    with database.read() as connection:  # in the words of the driver: each cached call asks, and SQLAlchemy's cost more
        row = connection.exec_driver_sql(_QUERY + mark, (key,)).first()
    return None if row is None else ResultRecord(**dict(zip(COLUMNS, row, strict=True)), home=home)


def write(home: Path, place: Place, value: Any, format: Format, *, created: float, **known: Any) -> ResultRecord:
    """Serialize and sign `value`; a large one is in its file then. The record is for the journal to commit.

    `known` are `task_key`, `seconds`, `expires` and `flow_run_id`, where they are. Raises what the serializer raises.
    """
    small = _SMALL if place.folder is None and place.name is None else None
    name = place.name or f"{place.key[:2]}/{place.key}-{secrets.token_hex(4)}{format.suffix}"
    path = (place.folder or home / "results") / name
    with ResultWriter(signature(home, _title(place.key, format.name)), path, small) as writer:
        format.dump(value, writer)
    return ResultRecord(
        key=place.key,
        content=writer.content,
        file=None if writer.content is not None else str(path.relative_to(home) if home in path.parents else path),
        size=writer.size,
        signature=writer.signature.digest(),
        serializer=format.name,
        created=created,
        home=home,
        **{"task_key": None, "seconds": None, "expires": None, "flow_run_id": None, **known},
    )


def delete_of_run(database: Database, home: Path, flow_run_id: str, *, but: str) -> None:
    """Delete the results that only this flow run can use, with their files; `but` is the key of one that stays."""
    from sqlalchemy import and_, delete, select

    from flowbook.store.schema import result

    mine = and_(result.c.flow_run_id == flow_run_id, result.c.key != but)
    with database.read() as connection:
        if connection.execute(select(result.c.key).where(mine).limit(1)).first() is None:
            return
    with database.write() as connection:
        files = list(connection.scalars(select(result.c.file).where(mine, result.c.file.is_not(None))))
        connection.execute(delete(result).where(mine))
    for file in files:
        (home / file).unlink(missing_ok=True)


def load(record: ResultRecord, format: Format) -> Any:
    """The value of a stored result. Raises MissingResult if it is gone, was changed, or cannot be read any more."""
    try:
        if record.content is not None:
            _verify_content(record, record.content)
            return format.loads(record.content)
        with _verified_file(record) as file:
            return format.load(file)
    except MissingResult:
        raise
    except Exception as error:
        raise MissingResult(f"{record.title} cannot be read: {type(error).__name__}: {error}.") from error


def verify(record: ResultRecord) -> None:
    """Raise MissingResult if a stored result is gone or was changed."""
    if record.content is not None:
        _verify_content(record, record.content)
    else:
        with _verified_file(record):
            pass


def _verify_content(record: ResultRecord, content: bytes) -> None:
    signed = signature(record.home, _title(record.key, record.serializer))
    signed.update(content)
    if not is_right(signed, record.signature):
        raise _changed(record)


@contextmanager
def _verified_file(record: ResultRecord) -> Iterator[BinaryIO]:
    """The file of a result, open at its beginning, once its signature was found right."""
    signed = signature(record.home, _title(record.key, record.serializer))
    try:
        file = open(record.path or "", "rb")  # noqa: SIM115, PTH123 - closed below
    except OSError as error:
        raise MissingResult(f"{record.title} cannot be read: {error.strerror}.") from None
    with file:
        while chunk := file.read(_CHUNK):
            signed.update(chunk)
        if not is_right(signed, record.signature):
            raise _changed(record)
        file.seek(0)
        yield file


def _changed(record: ResultRecord) -> MissingResult:
    return MissingResult(
        f"{record.title} was changed since it was written, or was written by another FLOWBOOK_HOME, "
        "so it is not loaded."
    )


def _title(key: str, serializer: str) -> str:
    """What is signed besides the content: one result cannot be passed off as another."""
    return f"result {key} {serializer}"
