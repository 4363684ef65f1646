"""When a recurrence rule fires.

A rule of DAILY or coarser chooses days of the calendar and times of the wall clock (RFC 5545 §3.3.5 and
§3.3.10). A finer one counts elapsed time from DTSTART, and its BYxxx parts look at what the clock of the zone
shows then. No search is open-ended: each gives up after SEARCH_YEARS, or after a number of steps, without a
fire.
"""

from __future__ import annotations

import calendar
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, product, takewhile
from zoneinfo import ZoneInfo

from flowbook.core.rrule import RecurrenceRule, parse_rrule
from flowbook.core.schedule_errors import InvalidSchedule
from flowbook.core.wallclock import (
    LAST_YEAR,
    SEARCH_YEARS,
    earliest_wall,
    first_pass,
    instants,
    load_zone,
    readings,
)

DEFAULT_START = datetime(2020, 1, 1)  # noqa: DTZ001
"""DTSTART of a rule without one (midnight in the schedule's zone): fixed, so that two deploys fire alike."""

_IDLE_STEPS = 40_000  # more than the days of SEARCH_YEARS, and well below a second
_COUNTED_YEARS = 400  # a COUNT that lasts longer is no limit in practice
_UNIT = {"HOURLY": timedelta(hours=1), "MINUTELY": timedelta(minutes=1), "SECONDLY": timedelta(seconds=1)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recurrence:
    """A rule in a zone. `start` and `last_wall` are naive wall times, `end` an instant; COUNT is already in
    them."""

    rule: RecurrenceRule
    zone: ZoneInfo
    start: datetime
    last_wall: datetime | None = None
    end: datetime | None = None

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants (UTC) strictly after the aware time `after`, ascending."""
        if self.rule.is_elapsed:
            found: Iterable[datetime] = _without_idling(self._elapsed(after))
        else:
            walls = self._walls(max(self.start, earliest_wall(after, self.zone)))
            if self.last_wall is not None:
                last_wall = self.last_wall
                walls = takewhile(lambda wall: wall <= last_wall, walls)
            found = instants(walls, self.zone, first_pass)
        for instant in found:
            if self.end is not None and instant > self.end:
                return
            if instant > after:
                yield instant

    def _walls(self, begin: datetime) -> Iterator[datetime]:
        """The naive occurrences from `begin` on, ascending."""
        times = _times(self.rule)
        seen = begin.year
        for period in _periods(self.rule, self.start.date(), begin.date()):
            if period[0].year > min(LAST_YEAR, seen + SEARCH_YEARS):
                return
            days = [day for day in period if _matches_day(self.rule, day)]
            for wall in _choose(self.rule, days, times, begin):
                seen = wall.year
                yield wall

    def _elapsed(self, after: datetime) -> Iterator[datetime | None]:
        """The occurrences after `after` (roughly), ascending, and a None for each step that finds nothing."""
        step = self.rule.interval * _UNIT[self.rule.freq]
        origin, _ = readings(self.start, self.zone)
        # One step early: BYMINUTE and BYSECOND reach beyond the instant that names their hour or minute.
        instant = origin + max(0, (after - origin) // step - 1) * step
        latest = origin - timedelta(seconds=1)
        while instant.year <= LAST_YEAR and self.rule.is_plain:
            yield instant
            instant += step
        while instant.year <= LAST_YEAR:
            local = instant.astimezone(self.zone)
            later = _next_candidate(self.rule, local)
            if later is None:
                fresh = [found for found in self._expand(instant, local) if found > latest]
                yield from fresh or (None,)
                latest = fresh[-1] if fresh else latest
                instant += step
            else:
                yield None
                target = max(instant + step, min(readings(later, self.zone)))
                instant += -((instant - target) // step) * step

    def _expand(self, instant: datetime, local: datetime) -> list[datetime]:
        """The occurrences of the hour, minute or second that `instant` (`local` on the clock) stands for."""
        rule = self.rule
        minutes = sorted(rule.by_minute) if rule.by_minute and rule.freq == "HOURLY" else [local.minute]
        seconds = sorted(rule.by_second) if rule.by_second and rule.freq != "SECONDLY" else [local.second]
        hour = instant - timedelta(minutes=local.minute, seconds=local.second)
        size = len(minutes) * len(seconds)
        places = _picked(rule.by_position, size) if rule.by_position else range(size)
        times = [(minutes[place // len(seconds)], seconds[place % len(seconds)]) for place in places]
        found = [hour + timedelta(minutes=minute, seconds=second) for minute, second in times]
        # The clock may have been changed within the hour; what it shows then decides.
        return [one for one in found if _shows(rule, one.astimezone(self.zone))]


@lru_cache(maxsize=512)
def recurrence(text: str, zone_name: str) -> Recurrence:
    """The rule `text` in the zone, which fires at least once; InvalidSchedule(field="rrule") otherwise."""
    rule, zone = parse_rrule(text), load_zone(zone_name)
    start = rule.start or DEFAULT_START
    if start.tzinfo is not None:
        start = start.astimezone(zone).replace(tzinfo=None)
    found = _bounded(Recurrence(rule=_with_defaults(rule, start), zone=zone, start=start))
    before = readings(start, zone)[0] - timedelta(seconds=1)
    if next(found.fires(before), None) is None:
        raise InvalidSchedule("rrule", f"rrule {text[:80]!r} never fires; check its BY… parts, DTSTART and UNTIL.")
    return found


def _bounded(found: Recurrence) -> Recurrence:
    """`found` with its UNTIL or COUNT turned into a last wall time or instant, so that a search can start
    anywhere."""
    until, count = found.rule.until, found.rule.count
    if until is not None:
        if until.tzinfo is not None:
            return replace(found, end=until)
        return (
            replace(found, end=readings(until, found.zone)[0])
            if found.rule.is_elapsed
            else replace(found, last_wall=until)
        )
    if count is None:
        return found
    if found.rule.is_elapsed:
        return replace(found, end=_last_counted_instant(found, count))
    horizon = found.start.year + _COUNTED_YEARS
    walls = takewhile(lambda wall: wall.year < horizon, found._walls(found.start))
    return replace(found, last_wall=next(islice(walls, count - 1, None), None))


def _last_counted_instant(found: Recurrence, count: int) -> datetime | None:
    counted, last = 0, None
    origin = readings(found.start, found.zone)[0]
    for steps, instant in enumerate(found._elapsed(origin)):
        if instant is not None:
            counted, last = counted + 1, instant
        if counted == count:
            return last
        if steps >= _IDLE_STEPS and not found.rule.is_plain:
            raise InvalidSchedule("rrule", f"rrule has COUNT={count}, too many to count through; write UNTIL instead.")
    return None


def _without_idling(found: Iterator[datetime | None]) -> Iterator[datetime]:
    idle = 0
    for instant in found:
        if instant is not None:
            idle = 0
            yield instant
        elif (idle := idle + 1) > _IDLE_STEPS:
            return


def _with_defaults(rule: RecurrenceRule, start: datetime) -> RecurrenceRule:
    """RFC 5545 §3.3.10: what the rule leaves open is taken from DTSTART."""
    if not rule.is_elapsed:
        rule = replace(
            rule,
            by_hour=rule.by_hour or frozenset({start.hour}),
            by_minute=rule.by_minute or frozenset({start.minute}),
            by_second=rule.by_second or frozenset({start.second}),
        )
    if rule.by_week or rule.by_year_day or rule.by_month_day or rule.by_day:
        return rule
    if rule.freq == "YEARLY":
        month = rule.by_month or frozenset({start.month})
        return replace(rule, by_month=month, by_month_day=frozenset({start.day}))
    if rule.freq == "MONTHLY":
        return replace(rule, by_month_day=frozenset({start.day}))
    if rule.freq == "WEEKLY":
        return replace(rule, by_day=frozenset({(0, start.weekday())}))
    return rule


# Days of the calendar


def _periods(rule: RecurrenceRule, start: date, begin: date) -> Iterator[list[date]]:
    """The days of each year, month, week or day of the rule, from the period that holds `begin` on."""
    first, wanted = _ordinal(rule, start), _ordinal(rule, begin)
    number = first + max(0, (wanted - first) // rule.interval) * rule.interval
    while days := _days_of_period(rule, number):
        yield days
        number += rule.interval


def _ordinal(rule: RecurrenceRule, day: date) -> int:
    """The number of the period that holds `day`: years, months, weeks or days since the year 0."""
    if rule.freq == "YEARLY":
        return day.year
    if rule.freq == "MONTHLY":
        return day.year * 12 + day.month - 1
    if rule.freq == "WEEKLY":
        return (day.toordinal() - 1 - rule.week_start) // 7  # 0001-01-01 (ordinal 1) is a Monday
    return day.toordinal()


def _days_of_period(rule: RecurrenceRule, number: int) -> list[date]:
    """The days of period `number`; none beyond LAST_YEAR."""
    if rule.freq == "YEARLY":
        months = [(number, month) for month in range(1, 13) if not rule.by_month or month in rule.by_month]
    elif rule.freq == "MONTHLY":
        months = [(number // 12, number % 12 + 1)]
    else:
        first, length = (number * 7 + 1 + rule.week_start, 7) if rule.freq == "WEEKLY" else (number, 1)
        if first >= date(LAST_YEAR, 12, 1).toordinal():
            return []
        return [date.fromordinal(ordinal) for ordinal in range(first, first + length) if ordinal > 0]
    if months[0][0] > LAST_YEAR:
        return []
    return [date(year, month, day) for year, month in months for day in range(1, _month_length(year, month) + 1)]


def _matches_day(rule: RecurrenceRule, day: date) -> bool:
    if rule.by_month and day.month not in rule.by_month:
        return False
    if rule.by_month_day and not _counted(rule.by_month_day, day.day, _month_length(day.year, day.month)):
        return False
    if rule.by_year_day and not _counted(rule.by_year_day, _day_of_year(day), _year_length(day.year)):
        return False
    if rule.by_week and not _counted(rule.by_week, *_week_number(day, rule.week_start)):
        return False
    return not rule.by_day or _matches_weekday(rule, day)


def _matches_weekday(rule: RecurrenceRule, day: date) -> bool:
    weekday = day.weekday()
    if (0, weekday) in rule.by_day:
        return True
    if rule.freq == "YEARLY" and not rule.by_month:  # 1MO is the first Monday of the year, else that of the month
        position, length = _day_of_year(day), _year_length(day.year)
    else:
        position, length = day.day, _month_length(day.year, day.month)
    from_start, from_end = (position + 6) // 7, -((length - position) // 7 + 1)
    return (from_start, weekday) in rule.by_day or (from_end, weekday) in rule.by_day


def _counted(numbers: frozenset[int], position: int, length: int) -> bool:
    """Whether `numbers` holds `position` (from 1), counted from the start or, if negative, from the end."""
    return position in numbers or position - length - 1 in numbers


def _week_number(day: date, week_start: int) -> tuple[int, int]:
    """The number of the week of `day`, and how many its year has; week 1 is the first with four days in the
    year."""
    monday_like = day.toordinal() - (day.weekday() - week_start) % 7
    year = date.fromordinal(monday_like + 3).year  # the year that has most of the week
    first, following = _first_week(year, week_start), _first_week(year + 1, week_start)
    return (monday_like - first) // 7 + 1, (following - first) // 7


@lru_cache(maxsize=1024)
def _first_week(year: int, week_start: int) -> int:
    fourth = date(year, 1, 4)
    return fourth.toordinal() - (fourth.weekday() - week_start) % 7


@lru_cache(maxsize=4096)
def _month_length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _year_length(year: int) -> int:
    return 365 + calendar.isleap(year)


def _day_of_year(day: date) -> int:
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1


# Times of the day


def _times(rule: RecurrenceRule) -> list[time]:
    return [time(*parts) for parts in product(sorted(rule.by_hour), sorted(rule.by_minute), sorted(rule.by_second))]


def _choose(rule: RecurrenceRule, days: list[date], times: list[time], begin: datetime) -> Iterator[datetime]:
    """The occurrences of one period from `begin` on: all of its days and times, or those that BYSETPOS picks."""
    if rule.by_position:
        # The set itself is never built: a year by the second has 31 million members.
        places = [divmod(index, len(times)) for index in _picked(rule.by_position, len(days) * len(times))]
        walls = (datetime.combine(days[day], times[at]) for day, at in places)
    else:
        left = [day for day in days if day >= begin.date()]
        walls = (datetime.combine(day, at) for day in left for at in times)
    return (wall for wall in walls if wall >= begin)


@lru_cache(maxsize=512)
def _picked(positions: frozenset[int], size: int) -> tuple[int, ...]:
    """The indices, ascending, of BYSETPOS in a set of `size`: 1 is the first, -1 the last."""
    indices = {position - 1 if position > 0 else size + position for position in positions}
    return tuple(sorted(index for index in indices if 0 <= index < size))


def _next_candidate(rule: RecurrenceRule, local: datetime) -> datetime | None:
    """None if a finer-than-daily rule may fire at the clock time `local`, else the time to look at next.

    The answer is naive; it never lies beyond the next occurrence.
    """
    midnight = datetime.combine(local.date(), time())
    if rule.by_month and local.month not in rule.by_month:
        return midnight.replace(day=1) + timedelta(days=_month_length(local.year, local.month))
    if not _matches_day(rule, local.date()):
        return midnight + timedelta(days=1)
    if rule.by_hour and local.hour not in rule.by_hour:
        return midnight + timedelta(hours=_following(rule.by_hour, local.hour, 24))
    hour = midnight + timedelta(hours=local.hour)
    if rule.by_minute and local.minute not in rule.by_minute and rule.freq != "HOURLY":
        return hour + timedelta(minutes=_following(rule.by_minute, local.minute, 60))
    if rule.by_second and local.second not in rule.by_second and rule.freq == "SECONDLY":
        return hour + timedelta(minutes=local.minute, seconds=_following(rule.by_second, local.second, 60))
    return None


def _shows(rule: RecurrenceRule, local: datetime) -> bool:
    return (
        (not rule.by_hour or local.hour in rule.by_hour)
        and (not rule.by_minute or local.minute in rule.by_minute)
        and (not rule.by_second or local.second in rule.by_second)
        and _matches_day(rule, local.date())
    )


def _following(values: frozenset[int], value: int, otherwise: int) -> int:
    ordered = sorted(values)
    place = bisect_right(ordered, value)
    return ordered[place] if place < len(ordered) else otherwise
