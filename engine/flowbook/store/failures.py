"""What the errors of a database driver mean."""

from __future__ import annotations

#: PostgreSQL shuts down, has crashed or starts; deadlock and serialization failure, where others' locks were in play.
_PASSING = ("57P01", "57P02", "57P03", "40P01", "40001")


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed a moment later: the database is locked, or its server was lost or restarts."""
    if getattr(error, "connection_invalidated", False):
        return True
    return getattr(_of_driver(error), "sqlstate", None) in _PASSING or "locked" in reason_of(error)


def reason_of(error: BaseException) -> str:
    """What the driver says, in one line and without a full stop; without the statement and its values."""
    lines = str(_of_driver(error)).strip().splitlines()  # PostgreSQL quotes the statement in the second line
    return lines[0].rstrip(".") if lines else type(error).__name__


def _of_driver(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error
