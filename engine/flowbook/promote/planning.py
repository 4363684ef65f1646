"""The schedule that a deployment is given, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flowbook.errors import UsageError
from flowbook.schedules import Schedule, coerce_schedule, next_fires

SHOWN_FIRES = 5


def planned(
    cron: str | None, schedule: Schedule | Mapping[str, Any] | str | None, timezone: str | None
) -> list[Schedule] | None:
    """The schedule that is asked for; None if none is. Raises InvalidSchedule, or UsageError for a contradiction."""
    if cron is not None and schedule is not None:
        raise UsageError("Both `cron` and `schedule` are given; keep one of them.")
    wanted = schedule if cron is None else cron
    if wanted is None:
        if timezone is not None:
            raise UsageError(f"The timezone {timezone!r} is given without a schedule, so it says nothing.")
        return None
    found = coerce_schedule(wanted, timezone)
    if not next_fires(found, datetime.now(UTC), 1):
        raise UsageError("The schedule never fires after now.")
    return [found]


def coming_fires(schedules: Sequence[Schedule]) -> tuple[datetime, ...]:
    """The next fires of all active schedules together."""
    now = datetime.now(UTC)
    fires = [fire for each in schedules if each.active for fire in next_fires(each, now, SHOWN_FIRES)]
    return tuple(sorted(fires, key=lambda fire: fire.astimezone(UTC))[:SHOWN_FIRES])
