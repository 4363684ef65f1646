"""The grammar of recurrence rules: RFC 5545 §3.3.10 (RRULE) and §3.8.2.4 (DTSTART)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from flowbook.core.schedule_errors import InvalidSchedule

MAX_LENGTH = 2048
MAX_COUNT = 100_000

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_DATE_TIME = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?", re.ASCII)
_DTSTART = re.compile(r"DTSTART(?:;TZID=([^:;]+)|;VALUE=DATE(?:-TIME)?)*:(\S+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrenceRule:
    """A parsed RRULE. Weekdays count from 0 (Monday); `by_day` holds (ordinal or 0, weekday).

    `until` and `start` are naive (wall clock of the schedule's zone) unless written with Z, then aware in
    UTC; `zone_name` is the TZID of DTSTART. An absent BYxxx is an empty set.
    """

    freq: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    week_start: int = 0
    by_month: frozenset[int] = frozenset()
    by_week: frozenset[int] = frozenset()
    by_year_day: frozenset[int] = frozenset()
    by_month_day: frozenset[int] = frozenset()
    by_day: frozenset[tuple[int, int]] = frozenset()
    by_hour: frozenset[int] = frozenset()
    by_minute: frozenset[int] = frozenset()
    by_second: frozenset[int] = frozenset()
    by_position: frozenset[int] = frozenset()
    start: datetime | None = None
    zone_name: str | None = None

    @property
    def is_elapsed(self) -> bool:
        """Whether the rule counts elapsed time (finer than DAILY) rather than days of the calendar."""
        return self.freq in ("HOURLY", "MINUTELY", "SECONDLY")

    @property
    def is_plain(self) -> bool:
        """Whether the rule is a FREQ and INTERVAL only, besides where it starts and ends."""
        choices = (self.by_month, self.by_week, self.by_year_day, self.by_month_day, self.by_day)
        return not any((*choices, self.by_hour, self.by_minute, self.by_second, self.by_position))


@lru_cache(maxsize=512)
def parse_rrule(text: str) -> RecurrenceRule:
    """Parse `text`: a rule, with or without `RRULE:`, after an optional DTSTART line.

    Raises InvalidSchedule(field="rrule"), also for what RFC 5545 forbids to combine.
    """
    if len(text) > MAX_LENGTH:
        raise _invalid(text, f"has {len(text)} characters, at most {MAX_LENGTH} are allowed")
    start, zone_name, body = None, None, ""
    for line in text.split():
        if match := _DTSTART.fullmatch(line):
            if start is not None:
                raise _invalid(text, "has two DTSTART lines; keep one")
            start, zone_name = _date_time(text, "DTSTART", match[2].upper()), match[1]
        elif body:
            raise _invalid(text, f"has more than one rule ({line[:40]!r}); write one DTSTART and one RRULE")
        else:
            body = line.upper().removeprefix("RRULE:")
    if start is not None and start.tzinfo is not None and zone_name is not None:
        raise _invalid(text, "has a DTSTART with both TZID and Z; drop the Z")
    parts = _parts(text, body)
    values = {_PARTS[name][0]: _PARTS[name][1](text, name, value) for name, value in parts.items()}
    _check_combination(text, parts)
    return RecurrenceRule(start=start, zone_name=zone_name, **values)  # type: ignore[arg-type]


def _parts(text: str, body: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in body.rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or name not in _PARTS:
            raise _invalid(text, f"has an unknown part {part[:40]!r}; a rule reads like FREQ=WEEKLY;BYDAY=MO,TH")
        if name in parts:
            raise _invalid(text, f"has {name} twice; keep one")
        parts[name] = value
    if "FREQ" not in parts:
        raise _invalid(text, f"has no FREQ; start with FREQ= and one of {', '.join(FREQUENCIES)}")
    return parts


def _check_combination(text: str, parts: dict[str, str]) -> None:
    freq = parts["FREQ"]
    forbidden = {
        "BYWEEKNO": freq != "YEARLY",
        "BYYEARDAY": freq in ("DAILY", "WEEKLY", "MONTHLY"),
        "BYMONTHDAY": freq == "WEEKLY",
    }
    for name, refused in forbidden.items():
        if refused and name in parts:
            raise _invalid(text, f"combines {name} with FREQ={freq}, which RFC 5545 does not allow; use another FREQ")
    numbered = any(character.isdecimal() for character in parts.get("BYDAY", ""))
    if numbered and (freq not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        raise _invalid(text, "has a numbered BYDAY such as 1MO, which needs FREQ=MONTHLY or YEARLY without BYWEEKNO")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _invalid(text, "has both COUNT and UNTIL; keep one")
    others = [name for name in parts if name.startswith("BY") and name != "BYSETPOS"]
    if "BYSETPOS" in parts and not others:
        raise _invalid(text, "has BYSETPOS without another BY… part to choose from; add one, such as BYDAY")


def _frequency(text: str, name: str, value: str) -> str:
    if value not in FREQUENCIES:
        raise _invalid(text, f"has {name}={value[:40]}; use one of {', '.join(FREQUENCIES)}")
    return value


def _positive(limit: int) -> Callable[[str, str, str], int]:
    def parse(text: str, name: str, value: str) -> int:
        number = _integer(text, name, value)
        if not 1 <= number <= limit:
            raise _invalid(text, f"has {name}={number}; it must be a whole number from 1 to {limit}")
        return number

    return parse


def _numbers(low: int, high: int) -> Callable[[str, str, str], frozenset[int]]:
    """Numbers from `low` to `high`; where `low` is negative, they count from the end and 0 means nothing."""

    def parse(text: str, name: str, value: str) -> frozenset[int]:
        numbers = frozenset(_integer(text, name, item) for item in value.split(","))
        for number in numbers:
            if not low <= number <= high or (low < 0 and number == 0):
                allowed = f"1 to {high} or -{high} to -1" if low < 0 else f"{low} to {high}"
                raise _invalid(text, f"has {name}={number}; use {allowed}")
        return numbers

    return parse


def _days(text: str, name: str, value: str) -> frozenset[tuple[int, int]]:
    days = set()
    for item in value.split(","):
        match = _BYDAY.fullmatch(item)
        ordinal = int(match[1] or 0) if match else 0
        if match is None or abs(ordinal) > 53 or (match[1] and ordinal == 0):
            raise _invalid(text, f"has {name}={item[:40]}; use MO TU WE TH FR SA SU, with a number such as 1MO or -1FR")
        days.add((ordinal, _WEEKDAYS.index(match[2])))
    return frozenset(days)


def _week_start(text: str, name: str, value: str) -> int:
    if value not in _WEEKDAYS:
        raise _invalid(text, f"has {name}={value[:40]}; use one of {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS.index(value)


def _date_time(text: str, name: str, value: str) -> datetime:
    try:
        if not _DATE_TIME.fullmatch(value):
            raise ValueError(value)
        moment = datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S" if "T" in value else "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        raise _invalid(text, f"has {name} {value[:40]!r}; write it as 20250131T090000 or 20250131T090000Z") from None
    return moment.replace(tzinfo=UTC) if value.endswith("Z") else moment


def _integer(text: str, name: str, value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value, re.ASCII):
        raise _invalid(text, f"has {name}={value[:40]}; it must be a whole number")
    return int(value)


_PARTS: dict[str, tuple[str, Callable[[str, str, str], object]]] = {
    "FREQ": ("freq", _frequency),
    "INTERVAL": ("interval", _positive(10_000_000)),
    "COUNT": ("count", _positive(MAX_COUNT)),
    "UNTIL": ("until", _date_time),
    "WKST": ("week_start", _week_start),
    "BYMONTH": ("by_month", _numbers(1, 12)),
    "BYWEEKNO": ("by_week", _numbers(-53, 53)),
    "BYYEARDAY": ("by_year_day", _numbers(-366, 366)),
    "BYMONTHDAY": ("by_month_day", _numbers(-31, 31)),
    "BYDAY": ("by_day", _days),
    "BYHOUR": ("by_hour", _numbers(0, 23)),
    "BYMINUTE": ("by_minute", _numbers(0, 59)),
    "BYSECOND": ("by_second", _numbers(0, 59)),
    "BYSETPOS": ("by_position", _numbers(-366, 366)),
}


def _invalid(text: str, problem: str) -> InvalidSchedule:
    shown = text if len(text) <= 80 else text[:80] + "…"
    return InvalidSchedule("rrule", f"rrule {shown!r} {problem}.")
