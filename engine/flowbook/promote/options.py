"""What a person says when deploying, beside what is deployed: one value, whichever door they come through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any

from flowbook.core.deploying import DEFAULT_POOL, DeploymentSettings, concurrency_of
from flowbook.errors import UsageError
from flowbook.schedules import Schedule, coerce_schedule, describe, next_fires

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
    lock: bool | None = None
    data: tuple[str, ...] | None = None
    """Data files that a notebook needs, seen from its folder."""
    timeout: float | None = None
    """Seconds that a run of a notebook may take; with 0 it may take any time."""
    cell_timeout: float | None = None
    """The same for each of its plain cells."""

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

    def timeouts(self, before: Mapping[str, float]) -> dict[str, float]:
        """The seconds that a ``run`` and a ``cell`` may take, where that is limited, after those of `before`."""
        said = {"run": self.timeout, "cell": self.cell_timeout}
        chosen = {**before, **{name: length for name, length in said.items() if length is not None}}
        return {name: length for name, length in chosen.items() if length}


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
    common = {"timezone": timezone, "anchor_date": anchor_date, "catchup": catchup, "jitter": jitter}
    if not said:
        for name, value in common.items():
            if value is not None:
                raise UsageError(f"The {name} {value!r:.60} is given without a schedule, so it says nothing.")
        return None
    kind = said[0]
    if anchor_date is not None and kind != "interval":
        raise UsageError(f"anchor_date is for `interval`, and `{kind}` is given; leave it out.")
    found = [_planned(kind, each, common) for each in _each(given[kind])]
    for made in found:
        if made.active and not next_fires(made, datetime.now(UTC), 1):
            raise UsageError(f"The schedule {describe(made)!r} never fires after now.")
    _check_slugs(found)
    return tuple(found)


def _each(value: Any) -> Iterable[Any]:
    """One schedule or many, however it is said."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return [value]
    return value


def _planned(kind: str, value: Any, common: Mapping[str, Any]) -> Schedule:
    one: Any = value
    if kind in ("cron", "interval", "rrule"):
        one = {kind: value, "anchor_date": common["anchor_date"]} if kind == "interval" else {kind: value}
    made = coerce_schedule(one, common["timezone"])
    changes = {name: common[name] for name in ("catchup", "jitter") if common[name] is not None}
    return replace(made, **changes) if changes else made


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


_TYPES: dict[str, tuple[type | UnionType, str]] = {
    "parameters": (Mapping, "a dict"),
    "description": (str, "text"),
    "version": (str, "text"),
    "paused": (bool, "True or False"),
    "is_schedule_active": (bool, "True or False"),
    "work_pool_name": (str, "the name of a work pool"),
    "work_queue_name": (str, "the name of a queue"),
    "job_variables": (Mapping, "a dict"),
    "lock": (bool, "True or False"),
}


def check_types(given: Mapping[str, Any], title: str) -> None:
    """Raise UsageError for the first option that is not of its type."""
    for name, value in given.items():
        kind, words = _TYPES.get(name, (object, ""))
        if not isinstance(value, kind):
            raise UsageError(f"{name} of {title} is {value!r:.80}; give {words}.")


def checked_tags(tags: Any, title: str) -> tuple[str, ...]:
    """The tags as they are kept. Raises UsageError."""
    found = None if isinstance(tags, str) or not isinstance(tags, Iterable) else tuple(tags)
    if found is None or not all(isinstance(tag, str) for tag in found):
        raise UsageError(f"tags of {title} is {tags!r:.80}; give a list of texts.")
    return found


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
