"""A deployment and its schedules, as the commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.cli.options import moment

if TYPE_CHECKING:
    from flowbook.store.database import Database
    from flowbook.store.deployments import Deployment, StoredSchedule


def deployment_row(database: Database, found: Deployment) -> dict[str, Any]:
    """What is known of a deployment, as JSON values."""
    from datetime import datetime

    from flowbook.store.deployments import schedules_of

    schedules = [schedule_row(each, is_paused=found.paused) for each in schedules_of(database, found.id)]
    coming = [each["next"] for each in schedules if each["next"] is not None]
    settings = found.settings.to_json()
    return {
        "name": found.name,
        "flow": found.flow,
        "version": found.version,
        "paused": found.paused,
        "pool": settings.pop("pool"),
        "queue": settings.pop("queue"),
        "description": settings.pop("description"),
        "tags": settings.pop("tags"),
        "created": moment(found.created),
        "updated": moment(found.updated),
        "schedules": schedules,
        "next": min(coming, key=datetime.fromisoformat, default=None),
        "parameters": dict(found.parameters),
        "settings": settings,
    }


def schedule_row(stored: StoredSchedule, *, is_paused: bool) -> dict[str, Any]:
    """What is known of a schedule; it has no next fire while it, or its deployment, is paused."""
    from datetime import UTC, datetime

    from flowbook.schedules import describe, from_dict, next_fires

    planned = from_dict(stored.spec)
    makes_runs = stored.active and not is_paused
    fires = next_fires(planned, datetime.now(UTC), 1) if makes_runs else []
    return {
        "id": stored.id,
        "slug": stored.slug,
        "words": f"{describe(planned)}, {planned.timezone}",
        "active": stored.active,
        "next": fires[0].isoformat(timespec="seconds") if fires else None,
        "catchup": planned.catchup,
        "jitter": planned.jitter,
        "spec": {name: value for name, value in stored.spec.items() if name not in ("active", "slug")},
    }
