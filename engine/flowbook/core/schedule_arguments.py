"""The arguments of schedules, checked one by one; each raises InvalidSchedule with its own name as field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from flowbook.core.recurrence import DEFAULT_START
from flowbook.core.schedule_errors import InvalidSchedule
from flowbook.core.wallclock import LAST_YEAR
from flowbook.errors import did_you_mean

_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(days=36525)  # a century


def zone_name(zone: str | tzinfo | None) -> str:
    """The IANA name of `zone`; empty for None and for a fixed offset other than UTC, which has no name."""
    if isinstance(zone, ZoneInfo):
        return zone.key or ""
    if zone is UTC:
        return "UTC"
    if zone is None or isinstance(zone, tzinfo):
        return ""
    if not isinstance(zone, str):
        raise InvalidSchedule("timezone", f"timezone must be a name such as Europe/Zurich, not {zone!r:.60}.")
    return zone


def interval_length(interval: timedelta | float) -> timedelta:
    """`interval`, a timedelta or a number of seconds, as a timedelta."""
    if isinstance(interval, int | float) and not isinstance(interval, bool):
        in_range = 0 <= interval <= _LONGEST.total_seconds()  # nan is not, nor what a timedelta cannot hold
        interval = timedelta(seconds=interval) if in_range else timedelta()
    if not isinstance(interval, timedelta):
        raise InvalidSchedule("interval", f"interval must be a timedelta or a number of seconds, not {interval!r:.60}.")
    if not _SHORTEST <= interval <= _LONGEST:
        raise InvalidSchedule("interval", "interval must be at least one second and at most a century.")
    return interval


def anchor_time(anchor: datetime | str | None) -> datetime:
    """`anchor`, a datetime or its ISO text, as a datetime; the default when there is none."""
    if isinstance(anchor, str):
        return anchor_time(_from_iso(anchor))
    if anchor is None:
        return DEFAULT_START
    if not isinstance(anchor, datetime) or not 3 <= anchor.year <= LAST_YEAR:
        raise InvalidSchedule("anchor_date", f"anchor_date must be a datetime or its ISO text, not {anchor!r:.60}.")
    return anchor


def _from_iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSchedule(
            "anchor_date", f"anchor_date {text[:60]!r} is not a date; write it as 2025-01-31T09:00:00+01:00."
        ) from None


def parameter_dict(parameters: Any) -> dict[str, Any]:
    """A copy of the parameters given to a schedule's runs."""
    if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in parameters):
        raise InvalidSchedule("parameters", f"parameters must be a dict with names as keys, not {parameters!r:.60}.")
    return dict(parameters)


def check_flag(name: str, value: object) -> None:
    """Refuse anything but a bool for the argument `name`."""
    if not isinstance(value, bool):
        raise InvalidSchedule(name, f"{name} must be True or False, not {value!r:.60}.")


def check_text(name: str, value: object, example: str) -> None:
    """Refuse anything but a string for the argument `name`."""
    if not isinstance(value, str):
        raise InvalidSchedule(name, f'{name} must be text such as "{example}", not {value!r:.60}.')


def check_choice(field: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise InvalidSchedule unless `value` is one of the `known` words."""
    if value not in known:
        raise InvalidSchedule(
            field, f"{field} is {value!r:.60}; it is one of {', '.join(known)}.{_meant(value, known)}"
        )


def _meant(value: Any, known: tuple[str, ...]) -> str:
    return did_you_mean(value, known) if isinstance(value, str) else ""


def check_jitter(seconds: Any) -> None:
    """Raise InvalidSchedule unless `seconds` is a number of seconds from 0 to a day."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
        raise InvalidSchedule("jitter", f"jitter must be a number of seconds from 0 to 86400, not {seconds!r:.60}.")
