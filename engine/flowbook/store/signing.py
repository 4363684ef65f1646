"""The signing key of the home folder, and the signatures made with it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from flowbook.errors import StoreError
from flowbook.store.files import sync_folder

_LENGTH = 32


def signature(home: Path, title: str) -> hmac.HMAC:
    """An HMAC-SHA256 that says what is signed, to be fed with the content. Raises StoreError."""
    return hmac.new(_key(home), f"{title}\0".encode(), hashlib.sha256)


def is_right(signed: hmac.HMAC, found: bytes) -> bool:
    """Whether `found` is the signature of what was signed."""
    return hmac.compare_digest(signed.digest(), found)


def _key(home: Path) -> bytes:
    """The key of the home folder, made on first use."""
    path = home / "key"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        _make(path)
        key = path.read_bytes()
    if len(key) != _LENGTH:
        raise StoreError(
            f"The signing key {path} is damaged. Remove it: a new one is made, and results stored so far are lost."
        )
    return key


def _make(path: Path) -> None:
    """Make a key, unless another process has; whoever sees the file sees all of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".key.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_LENGTH))
            file.flush()
            os.fsync(file.fileno())
        _name(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _name(temporary: Path, path: Path) -> None:
    """Give the file its name unless that is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links: the first of two processes may lose its key, not half of it
        if not path.exists():
            temporary.replace(path)
