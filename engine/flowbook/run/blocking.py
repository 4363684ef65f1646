"""Telling a thread pool that one of its threads is about to wait for something else that the pool must run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class MakesUp(Protocol):
    """A pool that starts another thread while one of its own is blocked."""

    def blocked(self) -> None: ...

    def unblocked(self) -> None: ...


_here = threading.local()


def belongs_to(pool: MakesUp) -> None:
    """This thread is one of `pool`'s."""
    _here.pool = pool


@contextmanager
def may_block() -> Iterator[None]:
    """While inside, this thread does not count against its pool's size: a bounded pool cannot deadlock on itself."""
    pool: MakesUp | None = getattr(_here, "pool", None)
    if pool is None:
        yield
        return
    pool.blocked()
    try:
        yield
    finally:
        pool.unblocked()
