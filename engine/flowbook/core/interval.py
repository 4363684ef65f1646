"""Fires at a fixed distance from an anchor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flowbook.core.wallclock import LAST_YEAR, earliest_wall, first_pass, instants

_A_DAY = timedelta(hours=24)


def interval_fires(interval: timedelta, anchor: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants (UTC) strictly after `after` at anchor + k·interval, for any whole k, ascending.

    Below 24 hours the interval is elapsed time. From 24 hours up it is counted on the wall clock of `zone`,
    so that "every day at nine" stays at nine; a fire in a gap is shifted (RFC 5545 §3.3.5), the ones after it
    are not.
    """
    if interval < _A_DAY:
        yield from _elapsed(interval, anchor.astimezone(UTC), after)
        return
    start = anchor.astimezone(zone).replace(tzinfo=None)
    for instant in instants(_walls(interval, start, earliest_wall(after, zone)), zone, first_pass):
        if instant > after:
            yield instant


def _elapsed(interval: timedelta, anchor: datetime, after: datetime) -> Iterator[datetime]:
    instant = anchor + ((after - anchor) // interval + 1) * interval
    while instant.year <= LAST_YEAR:
        yield instant
        instant += interval


def _walls(interval: timedelta, anchor: datetime, begin: datetime) -> Iterator[datetime]:
    wall = anchor - ((anchor - begin) // interval) * interval
    while wall.year <= LAST_YEAR:
        yield wall
        wall += interval
