"""Wall-clock times and the instants at which a zone's clocks show them.

Recurrences are written in wall-clock time, runs happen at instants. A clock that goes forward skips some wall
times, one that goes back shows some twice; what a schedule does about either is its *policy*: a function of
the two readings of a wall time (PEP 495: `fold=0` and `fold=1`), both in UTC. The readings are equal at
ordinary times; `early < late` where the time is repeated, and `early > late` where it is skipped.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flowbook.core.schedule_errors import InvalidSchedule

Policy = Callable[[datetime, datetime, ZoneInfo], tuple[datetime, ...]]

LAST_YEAR = 9990
"""Searches stop here, short of `datetime.max`, so that no conversion between zones can overflow."""

SEARCH_YEARS = 100
"""A recurrence without a fire for this long counts as ended. The rarest sensible one (29 February on a given
weekday, across a year such as 2100) is silent for 40 years."""

_LONGEST_SHIFT = timedelta(hours=26)  # more than any zone's clocks ever moved at once (a whole day, at the date line)
_LONGEST_MADE_UP_GAP = timedelta(hours=3)


def load_zone(name: str) -> ZoneInfo:
    """The IANA time zone `name`; InvalidSchedule(field="timezone") with the nearest one when unknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a relative path; a folder such as "Europe"
        nearest = _nearest_zone(name)
    hint = f"did you mean {nearest}?" if nearest else "use an IANA name such as Europe/Zurich or UTC."
    shown = name if len(name) <= 40 else name[:40] + "…"
    raise InvalidSchedule("timezone", f"timezone {shown!r} is not a known time zone; {hint}")


def _nearest_zone(name: str) -> str | None:
    import difflib
    import zoneinfo

    wanted = name.strip().replace(" ", "_").lower()
    if not 3 <= len(wanted) <= 40:  # comparing is quadratic in the length
        return None
    known = {zone.lower(): zone for zone in sorted(zoneinfo.available_timezones(), reverse=True)}
    by_city = {zone.rpartition("/")[2]: zone for zone in known if zone.partition("/")[0] not in ("posix", "right")}
    for exact in (wanted, by_city.get(wanted)):
        if exact in known:
            return known[exact]
    if len(wanted) < 5:  # CEST is not a misspelt EST
        return None
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.7)
    return known[close[0]] if close else None


def first_pass(early: datetime, late: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """RFC 5545 §3.3.5: a repeated time is the first one, a skipped time keeps the offset in force before the
    gap."""
    return (early,)


def every_pass(early: datetime, late: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Real time: every instant at which the clock shows the time; none when it is skipped."""
    if early == late:
        return (early,)
    return (early, late) if early < late else ()


def made_up(early: datetime, late: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Debian's cron(8): a repeated time counts once, a skipped one at the first minute after the gap.

    Gaps of three hours or more are corrections of the clock, for which nothing is made up.
    """
    if early <= late:
        return (early,)
    if early - late >= _LONGEST_MADE_UP_GAP:
        return ()
    return (_first_minute_after_gap(late, early, zone),)


def _first_minute_after_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    # The offset changes in (before, after]; zoneinfo does not list its changes, so bisect to the second.
    old = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    change = before + timedelta(seconds=high)
    return change + timedelta(seconds=-change.astimezone(zone).second % 60)


def readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The two readings (`early`, `late`) in UTC of a naive wall time."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return early, late


def earliest_wall(after: datetime, zone: ZoneInfo) -> datetime:
    """A naive wall time (whole second) before which no wall time can stand for an instant later than `after`.

    It is the clock's time, except around a change of the offset: there the smaller offset decides, because
    second passes and shifted times come from wall times that the clock has left behind.
    """
    nearby = (after - _LONGEST_SHIFT, after, after + _LONGEST_SHIFT)
    offset = min(instant.astimezone(zone).utcoffset() or timedelta() for instant in nearby)
    return (after.astimezone(UTC) + offset).replace(tzinfo=None, microsecond=0)


def instants(walls: Iterable[datetime], zone: ZoneInfo, policy: Policy) -> Iterator[datetime]:
    """The instants (UTC) of ascending naive wall times under `policy`: ascending, each one once.

    Wall times out of the order of their instants (a second pass, a time shifted by a gap) wait in a heap
    until no later wall time can come before them.
    """
    waiting: list[datetime] = []
    last = None
    for wall in walls:
        early, late = readings(wall, zone)
        for instant in policy(early, late, zone):
            heapq.heappush(waiting, instant)
        while waiting and waiting[0] <= min(early, late):
            instant = heapq.heappop(waiting)
            if instant != last:
                yield instant
            last = instant
    while waiting:
        instant = heapq.heappop(waiting)
        if instant != last:
            yield instant
        last = instant
