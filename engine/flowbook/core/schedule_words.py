"""Schedules in words, for the usual ones; anything else is shown as it was written."""

from __future__ import annotations

import re
from datetime import timedelta

from flowbook.core.cron import CronLine
from flowbook.core.recurrence import Recurrence

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_LONGEST_LIST = 4


def cron_words(text: str, line: CronLine) -> str:
    """Such as "Weekdays at 07:00" or "Every 15 minutes"; "cron 5 4 29 2 *" for what has no short name."""
    if line.seconds == (0,) and len(line.months) == 12:
        days = _days(line)
        if days == "Every day" and (words := _through_the_day(line)):
            return words
        times = [f"{hour:02}:{minute:02}" for hour in line.hours for minute in line.minutes][: _LONGEST_LIST + 1]
        if days and len(times) <= _LONGEST_LIST:
            return f"{days} at {_joined(times)}"
    return f"cron {' '.join(text.split())}"


def _through_the_day(line: CronLine) -> str | None:
    if len(line.hours) == 24:
        if (step := _step(line.minutes, 60)) is not None:
            return _every(step, "minute") if step < 60 else "Every hour"
        if len(line.minutes) == 1:
            return f"Every hour at {line.minutes[0]} past"
    step = _step(line.hours, 24)
    return _every(step, "hour") if line.minutes == (0,) and step is not None and step < 24 else None


def _step(values: tuple[int, ...], size: int) -> int | None:
    """The even step that gives `values` from 0 on and divides `size`, if there is one."""
    step = values[1] if len(values) > 1 else size
    return step if size % step == 0 and values == tuple(range(0, size, step)) else None


def _days(line: CronLine) -> str | None:
    if line.any_day and line.any_weekday:
        return "Every day"
    if line.any_day and not line.nth:
        if line.weekdays == {1, 2, 3, 4, 5}:
            return "Weekdays"
        if line.weekdays == {0, 6}:
            return "Weekends"
        if len(line.weekdays) == 7:
            return "Every day"
        monday_first = sorted(line.weekdays, key=lambda weekday: (weekday - 1) % 7)
        return _joined([f"{_WEEKDAYS[weekday]}s" for weekday in monday_first])
    if line.any_weekday and not line.nearest:
        if line.last_day and not line.days:
            return "On the last day of every month"
        if len(line.days) == 1 and not line.last_day:
            return f"On day {min(line.days)} of every month"
    return None


def interval_words(interval: timedelta) -> str:
    """Such as "Every 4 hours" or "Every 1 hour 30 minutes"."""
    minutes, seconds = divmod(int(interval.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    sizes = {"day": days, "hour": hours, "minute": minutes, "second": seconds}
    counts = [(count, unit) for unit, count in sizes.items() if count]
    if interval.microseconds:
        return f"Every {interval.total_seconds():g} seconds"
    if len(counts) == 1:
        return _every(*counts[0])
    return "Every " + " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in counts)


def rrule_words(text: str, found: Recurrence) -> str:
    """Such as "Every day at 09:00" or "Every 20 minutes"; "rrule FREQ=…" for what has no short name."""
    rule_text = text.split()[-1].upper().removeprefix("RRULE:")
    freq, interval = found.rule.freq, found.rule.interval
    plain = re.fullmatch(rf"FREQ={freq}(;INTERVAL={interval})?", rule_text)
    if plain and freq in ("HOURLY", "MINUTELY", "SECONDLY"):
        return _every(interval, {"HOURLY": "hour", "MINUTELY": "minute", "SECONDLY": "second"}[freq])
    if plain and freq == "DAILY":
        return f"{_every(interval, 'day')} at {found.start:%H:%M}"
    return f"rrule {rule_text}"


def _every(count: int, unit: str) -> str:
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
