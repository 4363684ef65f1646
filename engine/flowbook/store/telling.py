"""What errors of SQLite mean to a user."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flowbook.errors import StoreError
from flowbook.store.failures import reason_of
from flowbook.store.locked import PATIENCE, is_locked
from flowbook.store.urls import shown

if TYPE_CHECKING:
    from sqlalchemy import URL

_DAMAGED = (
    "Nothing was overwritten. `flowbook doctor` checks the file; put a backup in its place (`flowbook backup --help`), "
    "or move it away to begin anew."
)
_NOT_WRITABLE = (
    "Check that its folder is writable, or set FLOWBOOK_HOME to a folder you can write to; `flowbook doctor` says more."
)
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: "Free some space on its disk; `flowbook doctor` says how much there is.",
    sqlite3.SQLITE_IOERR: "Check that its disk is not full, and works; `flowbook doctor` says more.",
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
}


def told(url: URL, error: BaseException) -> StoreError | None:
    """A sentence for an error that is one of the whole SQLite database; None for any other."""
    if is_locked(error):
        return StoreError(
            f"The database {shown(url)} cannot be written: another program has held its lock for {PATIENCE:g} seconds. "
            "Close the program that has it open, and try again."
        )
    code: int = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    advice = _ADVICE.get(code & 0xFF)
    if advice is None:
        return None
    return StoreError(f"The database {shown(url)} cannot be used: {reason_of(error)}. {advice}")
