"""Result files: pickled, signed with a key of the home folder, written so that a crash leaves a whole file or none."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.protocol import Returned
from flowbook.errors import MissingResult

if TYPE_CHECKING:
    from flowbook.store.database import Database

_SIGNATURE = 32  # bytes of HMAC-SHA256 before the pickle


def save(database: Database, home: Path, key: str, value: Any) -> None:
    """Keep `value` under the cache key `key`, replacing what was there."""
    import cloudpickle
    from sqlalchemy import delete, insert

    from flowbook.store.schema import result

    pickled = cloudpickle.dumps(value)
    path = home / "results" / key[:2] / f"{key}.pkl"
    write_file(path, _sign(home, pickled) + pickled)
    row = {"key": key, "file": str(path.relative_to(home)), "size": len(pickled), "created": time.time()}
    with database.write() as connection:
        connection.execute(delete(result).where(result.c.key == key))
        connection.execute(insert(result).values(**row))


def load(database: Database, home: Path, key: str) -> Returned | None:
    """The value kept under `key`; None if there is none. Raises MissingResult if its file is gone or was changed."""
    from sqlalchemy import select

    from flowbook.store.schema import result

    with database.read() as connection:
        file = connection.scalar(select(result.c.file).where(result.c.key == key))
    if file is None:
        return None
    path = home / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingResult(f"The stored result {path} cannot be read: {error.strerror}.") from None
    signature, pickled = content[:_SIGNATURE], content[_SIGNATURE:]
    if not hmac.compare_digest(signature, _sign(home, pickled)):
        raise MissingResult(f"The stored result {path} was changed since it was written, so it is not loaded.")
    import pickle

    return Returned(pickle.loads(pickled))  # noqa: S301 - signed by us, verified above


def write_file(path: Path, content: bytes) -> None:
    """Write a file for its owner only, durably: to a temporary file, fsynced, renamed, and the folder fsynced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _sign(home: Path, content: bytes) -> bytes:
    return hmac.new(_key(home), content, hashlib.sha256).digest()


def _key(home: Path) -> bytes:
    """The signing key of the home folder, made on first use."""
    path = home / "key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_bytes(32)
        file.write(key)
    return key
