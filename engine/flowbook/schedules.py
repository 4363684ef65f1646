"""When a deployment runs: cron lines, intervals and recurrence rules.

::

    Cron("0 7 * * 1-5", timezone="Europe/Zurich")        weekdays at seven
    Interval(timedelta(hours=4))                         every four hours, from midnight
    RRule("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1")  the last working day of each month

A schedule is a frozen value, checked when it is made: a malformed line, an unknown time zone or a rule that
never fires raises `InvalidSchedule`, whose `field` names the argument to correct. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from flowbook.core.cron import cron_fires, parse_cron
from flowbook.core.deploying import CATCHUPS
from flowbook.core.interval import interval_fires
from flowbook.core.recurrence import DEFAULT_START, recurrence
from flowbook.core.rrule import parse_rrule
from flowbook.core.schedule_arguments import (
    anchor_time,
    check_choice,
    check_flag,
    check_jitter,
    check_text,
    interval_length,
    parameter_dict,
    zone_name,
)
from flowbook.core.schedule_errors import InvalidSchedule
from flowbook.core.schedule_words import cron_words, interval_words, rrule_words
from flowbook.core.wallclock import LAST_YEAR, load_zone

__all__ = [
    "Cron",
    "CronSchedule",
    "Interval",
    "IntervalSchedule",
    "InvalidSchedule",
    "RRule",
    "RRuleSchedule",
    "Schedule",
    "caveats",
    "coerce_schedule",
    "describe",
    "from_dict",
    "next_fires",
    "to_dict",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """What all schedules have in common; make one with `Cron`, `Interval` or `RRule`.

    `timezone` is an IANA name (UTC when none is given), `parameters` go to the runs, `slug` names the
    schedule within its deployment, and one that is not `active` is kept but makes no runs.

    `catchup` says what becomes of fires that were missed while nothing ran: of ``one`` the latest makes a run, of
    ``all`` each does (at most a thousand), of ``skip`` none. A run begins up to `jitter` seconds after its fire, by an
    amount that is the same whoever computes it.
    """

    timezone: str = ""
    active: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    slug: str | None = None
    catchup: str = "one"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if type(self) is Schedule:
            raise TypeError("Schedule is the common type; make one with Cron(...), Interval(...) or RRule(...).")
        _set(self, timezone=zone_name(self.timezone) or "UTC", parameters=parameter_dict(self.parameters))
        check_flag("active", self.active)
        if self.slug is not None:
            check_text("slug", self.slug, "nightly")
        check_choice("catchup", self.catchup, CATCHUPS)
        check_jitter(self.jitter)
        load_zone(self.timezone)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the schedule is written and its fires are given."""
        return load_zone(self.timezone)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The fires strictly after the aware time `after`, in UTC, ascending; see `next_fires`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class CronSchedule(Schedule):
    """`cron`: five fields as in crontab(5), or six with seconds first, or a nickname such as `@daily`.

    With both a day-of-month and a day-of-week (neither of them exactly `*`), either is enough; with
    `day_or=False` both must match. When clocks change, the rule is that of Debian's cron(8): a line whose
    minute or hour starts with `*` follows real time; any other runs once for a time that is skipped, right
    after the gap (below three hours), and once for a time that is repeated.
    """

    cron: str
    day_or: bool = True

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        check_flag("day_or", self.day_or)
        check_text("cron", self.cron, "0 7 * * 1-5")
        parse_cron(self.cron, self.day_or)

    def fires(self, after: datetime) -> Iterator[datetime]:
        return cron_fires(parse_cron(self.cron, self.day_or), self.zone, after)


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalSchedule(Schedule):
    """Fires at `anchor_date` + k·`interval`, for any whole k.

    `interval` is a timedelta or a number of seconds, from one second to a century: below 24 hours it is
    elapsed time, from there on wall-clock time. `anchor_date` is a datetime or its ISO text; a naive one is
    in `timezone`, and without one the anchor is 2020-01-01 00:00 there, so that every deployment fires alike.
    Without `timezone`, it is that of the anchor if that has a named one.
    """

    interval: timedelta
    anchor_date: datetime = DEFAULT_START

    def __post_init__(self) -> None:
        anchor = anchor_time(self.anchor_date)
        _set(self, timezone=zone_name(self.timezone) or zone_name(anchor.tzinfo))
        Schedule.__post_init__(self)
        anchor = anchor.replace(tzinfo=self.zone) if anchor.tzinfo is None else anchor.astimezone(self.zone)
        _set(self, anchor_date=anchor, interval=interval_length(self.interval))

    def fires(self, after: datetime) -> Iterator[datetime]:
        return interval_fires(self.interval, self.anchor_date, self.zone, after)


@dataclass(frozen=True, kw_only=True, slots=True)
class RRuleSchedule(Schedule):
    """`rrule`: a recurrence rule of RFC 5545 §3.3.10, optionally after a line with its DTSTART.

    A rule of DAILY or coarser is on the wall clock; a finer one is in elapsed time. A time skipped by the
    clocks keeps the offset from before the gap, a repeated one is the first (§3.3.5). Without DTSTART the
    rule starts at 2020-01-01 00:00. Without `timezone`, it is the TZID of DTSTART.
    """

    rrule: str

    def __post_init__(self) -> None:
        check_text("rrule", self.rrule, "FREQ=DAILY;BYHOUR=7")
        named = parse_rrule(self.rrule).zone_name
        given = zone_name(self.timezone)
        if named and given and named != given:
            raise InvalidSchedule("timezone", f"timezone {given!r} is not the TZID {named!r} of the rrule; keep one.")
        _set(self, timezone=given or named)
        Schedule.__post_init__(self)
        recurrence(self.rrule, self.timezone)

    def fires(self, after: datetime) -> Iterator[datetime]:
        return recurrence(self.rrule, self.timezone).fires(after)


def Cron(
    cron: str,
    /,
    timezone: str | tzinfo | None = None,
    day_or: bool = True,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
) -> CronSchedule:
    """A schedule from a cron line; see `CronSchedule`. Raises InvalidSchedule."""
    return CronSchedule(
        cron=cron,
        timezone=zone_name(timezone),
        day_or=day_or,
        active=active,
        parameters=parameters or {},
        slug=slug,
    )


def Interval(
    interval: timedelta | float,
    /,
    anchor_date: datetime | str | None = None,
    timezone: str | tzinfo | None = None,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
) -> IntervalSchedule:
    """A schedule that fires every `interval` (timedelta or seconds); see `IntervalSchedule`.

    Raises InvalidSchedule.
    """
    return IntervalSchedule(
        interval=interval_length(interval),
        anchor_date=anchor_time(anchor_date),
        timezone=zone_name(timezone),
        active=active,
        parameters=parameters or {},
        slug=slug,
    )


def RRule(
    rrule: str,
    /,
    timezone: str | tzinfo | None = None,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
) -> RRuleSchedule:
    """A schedule from a recurrence rule; see `RRuleSchedule`. Raises InvalidSchedule."""
    return RRuleSchedule(
        rrule=rrule, timezone=zone_name(timezone), active=active, parameters=parameters or {}, slug=slug
    )


def next_fires(schedule: Schedule, after: datetime, n: int) -> list[datetime]:
    """The first `n` fires strictly after the aware time `after`, ascending, aware, in the schedule's zone.

    Fewer when the schedule ends (UNTIL, COUNT) or is silent for more than a century. A schedule that is not
    active is computed all the same. Compare the results in UTC: Python compares two times of the *same* zone
    by their wall clock, so the two passes of a repeated hour look equal to it.

    Raises ValueError when `after` is naive.
    """
    if after.tzinfo is None:
        raise ValueError("after must be an aware datetime, such as datetime.now(UTC).")
    if after.year > LAST_YEAR:
        return []
    since = after.replace(year=max(after.year, 3)).astimezone(UTC)  # room for offsets at the beginning of time
    zone = schedule.zone
    return [instant.astimezone(zone) for instant in islice(schedule.fires(since), max(n, 0))]


def describe(schedule: Schedule) -> str:
    """`schedule` in words, such as "Weekdays at 07:00"; as written ("cron 5 4 29 2 *") if there are no short
    ones."""
    match schedule:
        case CronSchedule():
            return cron_words(schedule.cron, parse_cron(schedule.cron, schedule.day_or))
        case IntervalSchedule():
            return interval_words(schedule.interval)
        case RRuleSchedule():
            return rrule_words(schedule.rrule, recurrence(schedule.rrule, schedule.timezone))
    raise TypeError(f"not a schedule: {schedule!r}")


def caveats(schedule: Schedule) -> list[str]:
    """Sentences worth showing to whoever deploys `schedule`: what it does and a reader may not expect."""
    if not isinstance(schedule, CronSchedule):
        return []
    line = parse_cron(schedule.cron, schedule.day_or)
    if line.any_day or line.any_weekday or not line.day_or:
        return []
    return [
        f"cron {schedule.cron!r} fires when the day of the month or the day of the week matches, "
        "as in crontab(5); pass day_or=False to require both."
    ]


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """`schedule` as a dict for JSON; `from_dict` gives an equal one back if its parameters survive JSON."""
    common: dict[str, Any] = {
        "timezone": schedule.timezone,
        "active": schedule.active,
        "parameters": dict(schedule.parameters),
        "slug": schedule.slug,
        **({"catchup": schedule.catchup} if schedule.catchup != "one" else {}),
        **({"jitter": schedule.jitter} if schedule.jitter else {}),
    }
    match schedule:
        case CronSchedule():
            return {"cron": schedule.cron, "day_or": schedule.day_or, **common}
        case IntervalSchedule():
            seconds = schedule.interval.total_seconds()
            interval = int(seconds) if seconds.is_integer() else seconds
            return {"interval": interval, "anchor_date": schedule.anchor_date.isoformat(), **common}
        case RRuleSchedule():
            return {"rrule": schedule.rrule, **common}
    raise TypeError(f"not a schedule: {schedule!r}")


def from_dict(data: Mapping[str, Any]) -> Schedule:
    """The schedule of a dict with one of `cron`, `interval` and `rrule`, and the keywords of that kind.

    Raises InvalidSchedule, whose `field` is the key at fault.
    """
    kinds: dict[str, type[CronSchedule | IntervalSchedule | RRuleSchedule]] = {
        "cron": CronSchedule,
        "interval": IntervalSchedule,
        "rrule": RRuleSchedule,
    }
    given = [key for key in kinds if data.get(key) is not None]
    if len(given) != 1:
        found = " and ".join(given) or ", ".join(map(repr, data)) or "nothing"
        raise InvalidSchedule("schedule", f'a schedule has one of "cron", "interval" and "rrule", not {found}.')
    kind = kinds[given[0]]
    options = {key: value for key, value in data.items() if value is not None}
    for key in options:
        if key not in kind.__dataclass_fields__:
            allowed = ", ".join(kind.__dataclass_fields__)
            raise InvalidSchedule(str(key), f"{key!r} is not part of a {given[0]} schedule; it has {allowed}.")
    return kind(**options)


def coerce_schedule(value: Any, timezone: str | tzinfo | None = None) -> Schedule:
    """The schedule that `value` means.

    A schedule stays itself; a dict is read as by `from_dict`; text is a cron line, or a recurrence rule if it
    starts like one; a timedelta or a number of seconds is an interval. `timezone` is for a value that names
    none itself.

    Raises InvalidSchedule.
    """
    default = zone_name(timezone)
    if isinstance(value, Schedule):
        if default and default != value.timezone:
            raise InvalidSchedule(
                "timezone",
                f"timezone {default!r} is not the {value.timezone!r} of the schedule; give it in one place.",
            )
        return value
    if isinstance(value, Mapping):
        return from_dict(value if value.get("timezone") or not default else {**value, "timezone": default})
    if isinstance(value, str):
        is_rule = value.lstrip().upper().startswith(("FREQ=", "RRULE:", "DTSTART"))
        return RRule(value, timezone=default) if is_rule else Cron(value, timezone=default)
    if isinstance(value, timedelta | int | float) and not isinstance(value, bool):
        return Interval(value, timezone=default)
    raise InvalidSchedule(
        "schedule",
        f"a schedule is a Cron, Interval or RRule, a dict, a cron line or a timedelta, not {value!r:.60}.",
    )


def _set(record: Schedule, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, value)  # frozen for everybody but the record's own __post_init__
