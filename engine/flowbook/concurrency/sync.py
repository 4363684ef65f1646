"""Concurrency limits and rate limits for code that is no coroutine. See :mod:`flowbook.concurrency`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flowbook.concurrency import request_slots
from flowbook.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from flowbook.run.blocking import may_block, release
from flowbook.run.slots import Request

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency", "rate_limit"]


@contextmanager
def concurrency(
    names: str | Sequence[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    lease_duration: float = 300.0,
    strict: bool = False,
) -> Iterator[None]:
    """Hold `occupy` slots of each of the limits `names` while inside; wait for them, first come, first served.

    They are taken all at once or not at all, so that two who need the same limits cannot keep each other waiting. Names
    without a limit, and limits that are not active, limit nothing; a limit with 0 slots lets nobody in.

    The slots are free again when the block ends, and when the process does, however it ends: at once for processes of
    the same machine, within `lease_duration` seconds for those of others.

    Raises AcquireConcurrencySlotTimeoutError, a TimeoutError, when there are none within `timeout_seconds` (None: no
    end); ConcurrencySlotAcquisitionError if a limit has fewer slots than are asked for, and with `strict` if there is
    no limit of that name.
    """
    request = request_slots(names, occupy, timeout_seconds, lease_duration=lease_duration, strict=strict)
    if request is None:
        yield
        return
    try:
        _wait(request)
        yield
    finally:
        request.cancel()


def rate_limit(
    names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False
) -> None:
    """Return when `occupy` slots of each of the limits `names` are there, and use them up.

    They come back one by one, as many per second as the limit's slot decay says. Raises what `concurrency` raises, and
    ConcurrencySlotAcquisitionError if a limit has no slot decay.
    """
    request = request_slots(names, occupy, timeout_seconds, strict=strict, rate=True)
    if request is None:
        return
    try:
        _wait(request)
    except BaseException:
        request.cancel()
        raise


def _wait(request: Request) -> None:
    """Block this thread, but not its pool, until the slots are there. An interrupt ends the wait."""
    told = threading.Lock()
    told.acquire()
    request.add_done_callback(lambda _: release(told))
    with may_block(lambda: release(told), request.done):
        while not request.done():
            left = request.time_left(time.monotonic())
            told.acquire(timeout=-1 if left is None else min(left, threading.TIMEOUT_MAX))
    request.result()
