"""A schedule while a person types it: what it means in words, and when it fires next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flowbook.core.durations import seconds
from flowbook.promote.options import SHOWN_FIRES
from flowbook.schedules import Cron, Interval, InvalidSchedule, Schedule, caveats, describe, next_fires

#: What a schedule may be typed as.
KINDS = ("cron", "interval")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComingFire:
    """`at` is aware, in the schedule's zone. `shift` is by how many seconds its clocks move before it, mostly 0."""

    at: datetime
    shift: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SchedulePreview:
    """`caveats` are sentences about what a reader may not expect."""

    words: str
    fires: tuple[ComingFire, ...]
    caveats: tuple[str, ...]


def typed_schedule(kind: str, text: str, timezone: str, catchup: str | None = None) -> Schedule:
    """The schedule of a cron line or a length of time (``15m``, ``1h30m``), as typed.

    Raises InvalidSchedule, whose `field` is ``cron``, ``interval``, ``timezone`` or ``catchup``.
    """
    if not timezone:
        raise InvalidSchedule("timezone", "A schedule needs a time zone, such as Europe/Zurich or UTC.")
    if kind not in KINDS:
        raise InvalidSchedule("schedule", f"A schedule is typed as one of {', '.join(KINDS)}, not {kind!r:.60}.")
    made: Schedule = Cron(text, timezone) if kind == "cron" else Interval(_length(text), timezone=timezone)
    return made if catchup is None else replace(made, catchup=catchup)


def preview(schedule: Schedule, now: datetime) -> SchedulePreview:
    """What `schedule` means from the aware time `now` on. Raises InvalidSchedule if it never fires again."""
    fires = tuple(_coming(schedule, now))
    if not fires:
        raise InvalidSchedule("cron", f"The schedule {describe(schedule)!r} never fires after now.")
    return SchedulePreview(words=describe(schedule), fires=fires, caveats=tuple(caveats(schedule)))


def _coming(schedule: Schedule, now: datetime) -> Iterator[ComingFire]:
    before = now.astimezone(schedule.zone).utcoffset() or timedelta()
    for at in next_fires(schedule, now, SHOWN_FIRES):
        offset = at.utcoffset() or timedelta()
        yield ComingFire(at=at, shift=(offset - before).total_seconds())
        before = offset


def _length(text: str) -> timedelta:
    try:
        return timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        raise InvalidSchedule(
            "interval", f"{text[:40]!r} is no length of time; write it as 15m, 4h, 1h30m or 1d."
        ) from None
