"""The one error of the schedule calculus."""

from __future__ import annotations

from flowbook.errors import UsageError


class InvalidSchedule(UsageError):
    """A schedule that cannot be kept: malformed, in an unknown time zone, or never firing.

    `field` names the argument to correct ("cron", "timezone", "interval", "anchor_date", "rrule", …);
    the message says in one sentence what is wrong and what to write instead.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)  # both in args, so that the error survives pickling
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return self.message
