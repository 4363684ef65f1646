"""Cron lines: their grammar, the wall-clock times they match, the instants at which they fire.

The grammar is that of Debian's crontab(5): five fields, lists, ranges, steps, names of months and days,
`@daily` and its kin; plus six fields (seconds first) and the Quartz forms `L`, `15W`, `fri#2` and `5L`.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from flowbook.core.schedule_errors import InvalidSchedule
from flowbook.core.wallclock import LAST_YEAR, SEARCH_YEARS, earliest_wall, every_pass, instants, made_up

MAX_LENGTH = 256

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}

_ITEM = re.compile(r"(?:\*|(?P<first>[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)
_DRAWN = re.compile(r"[hr](\(.*\))?(/.*)?", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"([0-9]+)w", re.ASCII)
_NTH_WEEKDAY = re.compile(r"([0-9a-z]+)#([1-5])", re.ASCII)
_LAST_WEEKDAY = re.compile(r"l([0-7])|([0-7]|sun|mon|tue|wed|thu|fri|sat)l", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)


_SECOND = _Field(name="second", low=0, high=59)
_MINUTE = _Field(name="minute", low=0, high=59)
_HOUR = _Field(name="hour", low=0, high=23)
_DAY = _Field(name="day-of-month", low=1, high=31)
_MONTH = _Field(name="month", low=1, high=12, names=_MONTHS)
_WEEKDAY = _Field(name="day-of-week", low=0, high=7, names=_WEEKDAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class CronLine:
    """A parsed cron line. Weekdays run from 0 (Sunday) to 6; `nth` has (weekday, 1…5 or -1 for the last)."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    days: frozenset[int]
    last_day: bool
    nearest: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    any_day: bool
    any_weekday: bool
    day_or: bool
    real_time: bool

    def walls(self, start: datetime) -> Iterator[datetime]:
        """The naive wall times that match, from `start` (whole seconds, inclusive) on, ascending."""
        for year, month, day in self._dates(start):
            hour0 = minute0 = second0 = 0
            if (year, month, day) == (start.year, start.month, start.day):
                hour0, minute0, second0 = start.hour, start.minute, start.second
            for hour in self.hours[bisect_left(self.hours, hour0) :]:
                in_first_hour = hour == hour0
                skipped = bisect_left(self.minutes, minute0) if in_first_hour else 0
                for minute in self.minutes[skipped:]:
                    in_first_minute = in_first_hour and minute == minute0
                    skipped_seconds = bisect_left(self.seconds, second0) if in_first_minute else 0
                    for second in self.seconds[skipped_seconds:]:
                        yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001

    def _dates(self, start: datetime) -> Iterator[tuple[int, int, int]]:
        year, month, day0 = start.year, start.month, start.day
        silent_months = 0
        while silent_months < 12 * SEARCH_YEARS and year <= LAST_YEAR:
            silent_months += 1
            if month in self.months:
                for day in _days(self, year, month):
                    if day >= day0:
                        silent_months = 0
                        yield year, month, day
            year, month, day0 = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)

    def is_weekday(self, weekday: int, day: int, length: int) -> bool:
        """Whether the field of weekdays matches a day of a month that has `length` days."""
        return (
            weekday in self.weekdays
            or (weekday, (day + 6) // 7) in self.nth
            or (day > length - 7 and (weekday, -1) in self.nth)
        )

    def joined(self, day_matches: bool, weekday_matches: bool) -> bool:
        """Whether both fields of days match together, as cron(8) says."""
        if self.any_weekday:
            return self.any_day or day_matches
        if self.any_day:
            return weekday_matches
        return (day_matches or weekday_matches) if self.day_or else (day_matches and weekday_matches)


@lru_cache(maxsize=4096)  # schedules that fire together look at the same month
def _days(line: CronLine, year: int, month: int) -> list[int]:
    """The days of a month on which `line` fires."""
    monday_based, length = calendar.monthrange(year, month)
    nearest = {_nearest_weekday(monday_based, length, day) for day in line.nearest}
    first = (monday_based + 1) % 7
    return [
        day
        for day in range(1, length + 1)
        if line.joined(
            day in line.days or day in nearest or (line.last_day and day == length),
            line.is_weekday((first + day - 1) % 7, day, length),
        )
    ]


def cron_fires(line: CronLine, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants (UTC) strictly after the aware time `after` at which `line` fires in `zone`, ascending.

    Around changes of the clocks, Debian's rule (cron(8)): a line whose minute or hour starts with `*`, or
    with seconds, follows real time; any other fires once for a skipped time, and on the first pass of a
    repeated one.
    """
    policy = every_pass if line.real_time else made_up
    for instant in instants(line.walls(earliest_wall(after, zone)), zone, policy):
        if instant > after:
            yield instant


@lru_cache(maxsize=512)
def parse_cron(text: str, day_or: bool = True) -> CronLine:
    """Parse and check a cron line; InvalidSchedule(field="cron") names the field at fault.

    Day-of-month and day-of-week are joined by OR (by AND with `day_or=False`) unless one of them is exactly
    `*`.
    """
    if len(text) > MAX_LENGTH:
        raise _invalid(text, f"has {len(text)} characters, at most {MAX_LENGTH} are allowed")
    fields = _split(text)
    seconds, (minute, hour, day, month, weekday) = fields[:-5], fields[-5:]
    # In the order of the line, so that the first mistake is the one named.
    at_seconds = _sorted(_parse(text, _SECOND, seconds[0])) if seconds else (0,)
    minutes, hours = _sorted(_parse(text, _MINUTE, minute)), _sorted(_parse(text, _HOUR, hour))
    days, last_day, nearest = _parse_days(text, day)
    months = _parse(text, _MONTH, month)
    weekdays, nth = _parse_weekdays(text, weekday)
    line = CronLine(
        seconds=at_seconds,
        minutes=minutes,
        hours=hours,
        months=months,
        days=days,
        last_day=last_day,
        nearest=nearest,
        weekdays=weekdays,
        nth=nth,
        any_day=day in ("*", "?"),
        any_weekday=weekday in ("*", "?"),
        day_or=day_or,
        real_time=bool(seconds) or minute.startswith("*") or hour.startswith("*"),
    )
    if next(line.walls(datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001
        raise _invalid(text, "never fires, because no month has such a day; check the day and month fields")
    return line


def _split(text: str) -> list[str]:
    line = " ".join(re.findall(r"\S+", text.lower(), re.ASCII))
    if line.startswith("@"):
        if line not in _ALIASES:
            raise _invalid(text, f"is not a known nickname; use one of {', '.join(_ALIASES)} or five fields")
        line = _ALIASES[line]
    fields = line.split(" ") if line else []
    if len(fields) not in (5, 6):
        raise _invalid(
            text,
            f"has {len(fields)} fields, not five: minute hour day-of-month month day-of-week "
            "(or six, with seconds first)",
        )
    return fields


def _parse_days(text: str, items: str) -> tuple[frozenset[int], bool, frozenset[int]]:
    plain, last_day, nearest = [], False, set()
    for item in ["*"] if items == "?" else items.split(","):
        if item == "l":
            last_day = True
        elif match := _NEAREST_WEEKDAY.fullmatch(item):
            nearest.add(_number(text, _DAY, match[1]))
        else:
            plain.append(item)
    days = _parse(text, _DAY, ",".join(plain)) if plain else frozenset()
    return days, last_day, frozenset(nearest)


def _parse_weekdays(text: str, items: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    plain, nth = [], set()
    for item in ["*"] if items == "?" else items.split(","):
        if match := _NTH_WEEKDAY.fullmatch(item):
            nth.add((_number(text, _WEEKDAY, match[1]) % 7, int(match[2])))
        elif match := _LAST_WEEKDAY.fullmatch(item):
            nth.add((_number(text, _WEEKDAY, match[1] or match[2]) % 7, -1))
        else:
            plain.append(item)
    weekdays = _parse(text, _WEEKDAY, ",".join(plain)) if plain else frozenset()
    return frozenset(number % 7 for number in weekdays), frozenset(nth)


def _parse(text: str, part: _Field, items: str) -> frozenset[int]:
    values: set[int] = set()
    for item in items.split(","):
        match = _ITEM.fullmatch(item)
        if _DRAWN.fullmatch(item):
            raise _invalid(text, f"draws its {part.name} ({item.upper()}), which is not supported; write a number")
        if match is None:
            raise _invalid(text, f"has {item!r} as {part.name}; {_expected(part)}")
        values.update(_range(text, part, item, match))
    return frozenset(values)


def _range(text: str, part: _Field, item: str, match: re.Match[str]) -> range:
    step = int(match["step"] or 1)
    if step == 0:
        raise _invalid(text, f"has a step of 0 in its {part.name} field; the step must be at least 1")
    # Sunday is both 0 and 7: `*` and an open range must not count it twice, or `*/7` would mean two days.
    top = 6 if part is _WEEKDAY else part.high
    if match["first"] is None:
        return range(part.low, top + 1, step)
    first = _number(text, part, match["first"])
    if match["last"] is None:
        return range(first, (max(first, top) if match["step"] else first) + 1, step)
    last = _number(text, part, match["last"])
    if match["last"] == "sun":
        last = 7  # so that fri-sun reads as 5-7
    if first > last:
        raise _invalid(
            text,
            f"has a {part.name} range that runs backwards ({item}); write {first}-{top},{part.low}-{last} instead",
        )
    return range(first, last + 1, step)


def _number(text: str, part: _Field, token: str) -> int:
    number = part.names.get(token, int(token) if token.isdecimal() and token.isascii() else None)
    if number is None:
        raise _invalid(text, f"has {token!r} as {part.name}; {_expected(part)}")
    if not part.low <= number <= part.high:
        raise _invalid(text, f"has {number} as {part.name}; {_expected(part)}")
    return number


def _expected(part: _Field) -> str:
    names = f" or {next(iter(part.names))}…{list(part.names)[-1]}" if part.names else ""
    return f"use {part.low}-{part.high}{names}, with * , - and /"


def _nearest_weekday(monday_based: int, length: int, day: int) -> int:
    """The Monday to Friday nearest to `day` within its month, whose first day is `monday_based`."""
    day = min(day, length)
    weekday = (monday_based + day - 1) % 7
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


def _sorted(values: frozenset[int]) -> tuple[int, ...]:
    return tuple(sorted(values))


def _invalid(text: str, problem: str) -> InvalidSchedule:
    shown = text if len(text) <= 60 else text[:60] + "…"
    return InvalidSchedule("cron", f"cron {shown!r} {problem}.")
