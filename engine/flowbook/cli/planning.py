"""Options that say when a deployment runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowbook.core.durations import is_duration, seconds

if TYPE_CHECKING:
    from flowbook.schedules import Schedule

F = TypeVar("F", bound=Callable[..., Any])


def _length(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no length of time; {error}.") from None


def timeout_options(command: F) -> F:
    """``--timeout`` and ``--cell-timeout``."""
    for option in (
        click.option(
            "--cell-timeout",
            "--execution-timeout",
            "cell_timeout",
            metavar="LENGTH",
            callback=_length,
            help="The same for each of its plain cells; task cells have their own.",
        ),
        click.option(
            "--timeout",
            metavar="LENGTH",
            callback=_length,
            help="End a run of a notebook that takes longer, such as 2h (0: let it take any time).",
        ),
    ):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--schedule",
        "--cron",
        "cron",
        metavar="CRON",
        help="When it runs: five fields as in crontab, or six with seconds first.",
    ),
    click.option("--every", "interval", metavar="LENGTH", callback=_length, help="Run every 15m, 1h30m, 1d, …"),
    click.option("--rrule", metavar="RULE", help="Run by a recurrence rule, such as FREQ=MONTHLY;BYMONTHDAY=-1."),
    click.option(
        "--tz", "timezone", metavar="ZONE", help="The time zone of the schedule, such as Europe/Zurich (default: UTC)."
    ),
    click.option(
        "--catchup",
        type=click.Choice(["one", "all", "skip"]),
        help="What becomes of times that were missed: the latest runs (default), all of them do, or none.",
    ),
    click.option(
        "--jitter", metavar="LENGTH", callback=_length, help="Begin up to so much later, such as 30s: not all at once."
    ),
)

#: The names of the parameters that `planning_options` adds; they are those of `flowbook.promote.promote`.
NAMES = ("cron", "interval", "rrule", "timezone", "catchup", "jitter")


def planning_options(command: F) -> F:
    """``--schedule``, ``--every`` or ``--rrule``, and how they are meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def schedule_from_text(text: str, timezone: str | None) -> Schedule:
    """The schedule of a cron line, a recurrence rule, or a length of time such as ``1h30m``. Raises InvalidSchedule."""
    from flowbook.schedules import coerce_schedule

    return coerce_schedule(seconds(text) if is_duration(text) else text, timezone)
