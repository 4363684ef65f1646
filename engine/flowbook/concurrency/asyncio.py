"""Concurrency limits and rate limits for coroutines. See :mod:`flowbook.concurrency`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from flowbook.concurrency import request_slots
from flowbook.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from flowbook.run.blocking import waiting
from flowbook.run.slots import Request

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency", "rate_limit"]


@asynccontextmanager
async def concurrency(
    names: str | Sequence[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    lease_duration: float = 300.0,
    strict: bool = False,
) -> AsyncIterator[None]:
    """:func:`flowbook.concurrency.sync.concurrency` for ``async with``: waits without holding the event loop."""
    request = request_slots(names, occupy, timeout_seconds, lease_duration=lease_duration, strict=strict)
    if request is None:
        yield
        return
    try:
        await _wait(request)
        yield
    finally:
        request.cancel()


async def rate_limit(
    names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False
) -> None:
    """:func:`flowbook.concurrency.sync.rate_limit` for coroutines: waits without holding the event loop."""
    request = request_slots(names, occupy, timeout_seconds, strict=strict, rate=True)
    if request is None:
        return
    try:
        await _wait(request)
    except BaseException:
        request.cancel()
        raise


async def _wait(request: Request) -> None:
    told = asyncio.wrap_future(request)
    with waiting(request.done):
        while not told.done():
            await asyncio.wait([told], timeout=request.time_left(time.monotonic()))
    told.result()
