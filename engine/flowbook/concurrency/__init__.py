"""Concurrency limits and rate limits in your own code: how much happens at once, and how often.

``flowbook concurrency-limit create external-api 5`` makes a limit with five slots, once. Then, in as many processes as
there are::

    from flowbook.concurrency.sync import concurrency, rate_limit

    with concurrency("external-api"):     # at most five are inside at once
        ...
    rate_limit("external-api")            # waits for its turn, if the limit was created with a slot decay

:mod:`flowbook.concurrency.asyncio` has the same for coroutines. A task with a tag of that name is limited as well. A
limit that was created elsewhere is noticed within three seconds, one created by the same process at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from shlex import quote

from flowbook.engine import current_plan, engine
from flowbook.errors import ConcurrencySlotAcquisitionError, UsageError
from flowbook.run.current import current
from flowbook.run.slots import Request

_SHORTEST_LEASE = 1.0  # seconds
_log = logging.getLogger("flowbook.concurrency")
_unlimited: set[str] = set()  # names that nothing limits, which was said


def request_slots(
    names: str | Sequence[str],
    occupy: int,
    timeout_seconds: float | None,
    *,
    strict: bool,
    lease_duration: float = 300.0,
    rate: bool = False,
) -> Request | None:
    """Slots for the calling run, asked for; None if nothing limits it, or it is only drawn. See `concurrency`."""
    asked = [names] if isinstance(names, str) else list(names)
    if isinstance(occupy, bool) or not isinstance(occupy, int) or occupy < 1:
        raise UsageError(f"occupy is {occupy!r}; give the number of slots, a whole number from 1 up.")
    if lease_duration < _SHORTEST_LEASE:
        raise UsageError(f"lease_duration is {lease_duration!r}; give at least {_SHORTEST_LEASE:g} second.")
    if current_plan() is not None:
        return None
    if strict:
        for name in engine().slots.missing(asked):
            raise ConcurrencySlotAcquisitionError(_missing(name))
    else:
        warn_of_missing(asked)
    run = current.get()
    return engine().slots.request(
        asked,
        occupy,
        run.id if run is not None else None,
        rate=rate,
        duration=lease_duration,
        timeout=timeout_seconds,
    )


def warn_of_missing(names: Sequence[str]) -> None:
    """Say of the limits among `names` that do not exist that they limit nothing; once of each."""
    if not _unlimited.issuperset(names):
        for name in engine().slots.missing(names):
            if name not in _unlimited:
                _log.warning("%s. Until then nothing is limited by it.", _missing(name))
                _unlimited.add(name)


def _missing(name: str) -> str:
    return f"There is no concurrency limit {name!r}. Make it with: flowbook concurrency-limit create {quote(name)} 5"
