"""What a person says when deploying, beside what is deployed: one value, whichever door they come through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flowbook.core.deploying import DEFAULT_POOL, DeploymentSettings, concurrency_of
from flowbook.errors import UsageError
from flowbook.schedules import Schedule, coerce_schedule, next_fires

SHOWN_FIRES = 5
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployOptions:
    """None is what was not said: it stays as the version before has it. `version` is a label that people read."""

    name: str | None = None
    schedules: tuple[Schedule, ...] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_texts: tuple[str, ...] = ()
    description: str | None = None
    tags: tuple[str, ...] | None = None
    version: str | None = None
    paused: bool | None = None
    pool: str | None = None
    queue: str | None = None
    concurrency_limit: Any = None
    overlap: str | None = None
    job_variables: Mapping[str, Any] | None = None

    def settings(self, before: DeploymentSettings, title: str) -> DeploymentSettings:
        """The settings of the new version, which come after `before`. Raises UsageError for one that does not fit."""
        changes: dict[str, Any] = {
            name: value
            for name in ("description", "tags", "pool", "queue")
            if (value := getattr(self, name)) is not None
        }
        if self.pool is not None and self.queue is None and self.pool != before.pool:
            changes["queue"] = None
        if self.concurrency_limit is not None or self.overlap is not None:
            limit, collision = concurrency_of(self.concurrency_limit, self.overlap, title)
            changes |= {"concurrency_limit": limit, "collision": collision}
        return replace(before, **changes)


#: Settings of a notebook's first version: runs of a notebook share its folder, so they come one after the other.
OF_NOTEBOOKS = DeploymentSettings(pool=DEFAULT_POOL, concurrency_limit=1)


def planned_schedules(
    *,
    cron: str | Iterable[str] | None = None,
    interval: timedelta | float | Iterable[timedelta | float] | None = None,
    rrule: str | Iterable[str] | None = None,
    schedule: Any = None,
    schedules: Iterable[Any] | None = None,
    timezone: str | None = None,
    anchor_date: datetime | str | None = None,
    catchup: str | None = None,
    jitter: float | None = None,
) -> tuple[Schedule, ...] | None:
    """The schedules that are asked for, in whatever form; None if none are.

    `timezone`, `anchor_date`, `catchup` and `jitter` are for those that say nothing of it themselves. Raises
    InvalidSchedule, or UsageError for a contradiction and for a schedule that never fires.
    """
    given = {"cron": cron, "interval": interval, "rrule": rrule, "schedule": schedule, "schedules": schedules}
    said = [name for name, value in given.items() if value is not None]
    if len(said) > 1:
        raise UsageError(f"Both `{said[0]}` and `{said[1]}` are given; keep one of them.")
    if not said:
        for name, value in (("timezone", timezone), ("catchup", catchup), ("jitter", jitter)):
            if value is not None:
                raise UsageError(f"The {name} {value!r} is given without a schedule, so it says nothing.")
        return None
    kind, value = said[0], cast(Any, given[said[0]])
    is_many = kind == "schedules" or (kind != "schedule" and isinstance(value, list | tuple))
    wanted = list(value) if is_many else [value]
    plain = kind in ("cron", "interval", "rrule")
    found = []
    for each in wanted:
        one: Any = {kind: each} if plain else each
        if kind == "interval" and anchor_date is not None:
            one["anchor_date"] = anchor_date
        made = coerce_schedule(one, timezone)
        changes: dict[str, Any] = {
            name: option for name, option in (("catchup", catchup), ("jitter", jitter)) if option is not None
        }
        found.append(replace(made, **changes) if changes else made)
    for each in found:
        if each.active and not next_fires(each, datetime.now(UTC), 1):
            raise UsageError("The schedule never fires after now.")
    _check_slugs(found)
    return tuple(found)


def _check_slugs(schedules: list[Schedule]) -> None:
    slugs = [each.slug for each in schedules if each.slug is not None]
    for slug in slugs:
        if slugs.count(slug) > 1:
            raise UsageError(f"Two schedules have the slug {slug!r}; each needs one of its own.")


def coming_fires(schedules: Iterable[Schedule]) -> tuple[datetime, ...]:
    """The next fires of all active schedules together."""
    now = datetime.now(UTC)
    fires = [fire for each in schedules if each.active for fire in next_fires(each, now, SHOWN_FIRES)]
    return tuple(sorted(fires, key=lambda fire: fire.astimezone(UTC))[:SHOWN_FIRES])


def checked_name(name: str) -> str:
    """`name` without spaces around it. Raises UsageError if it cannot name a deployment."""
    if (
        not isinstance(name, str)
        or not name.strip()
        or "/" in name
        or not name.isprintable()
        or len(name) > _LONGEST_NAME
    ):
        raise UsageError(
            f"{name!r} cannot name a deployment: use 1 to {_LONGEST_NAME} printable characters without `/`."
        )
    return name.strip()
