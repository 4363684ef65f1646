"""A deployment and its schedules, as the commands print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
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


def deployment_text(row: Mapping[str, Any], captured: Mapping[str, Any]) -> str:
    """What is known of a deployment for people: its row, and what its newest version `captured`."""
    lines = [f"Deployment {row['name']!r} · flow {row['flow']!r} · version {row['version']} of {row['updated']}"]
    for title, text in _facts(row, captured).items():
        for number, line in enumerate(text.splitlines() if text else ()):
            lines.append(f"{'' if number else title + ':':<12} {line}")
    name = quote(row["name"])
    lines += ["", f"Its versions: flowbook deployment versions {name}"]
    return "\n".join([*lines, f"All that is known: flowbook deployment inspect {name} --output json"])


def _facts(row: Mapping[str, Any], captured: Mapping[str, Any]) -> dict[str, str | None]:
    from flowbook.core.deploying import OVERLAPS
    from flowbook.core.durations import duration_text

    settings = row["settings"]
    most = settings["concurrency_limit"]
    overlap = next(word for word, collision in OVERLAPS.items() if collision.value == settings["collision"])
    return {
        "For": row["description"],
        "Tags": ", ".join(row["tags"]),
        "Runs": "; ".join(_when(each) for each in row["schedules"]) or "on demand, it has no schedule",
        "Next run": "none, it is paused" if row["paused"] else row["next"],
        "Pool": (row["pool"] or "(served)") + (f", queue {row['queue']}" if row["queue"] else ""),
        "At a time": None if most is None else f"{most} (overlap: {overlap})",
        "Timeouts": ", ".join(
            f"{name} {duration_text(length)}" for name, length in captured.get("timeouts", {}).items()
        ),
        "Parameters": "\n".join(_parameter(each, row["parameters"]) for each in captured.get("schema", [])),
        "Source": captured.get("source") or "none, the flow itself was kept",
        "Executes": captured.get("entrypoint"),
        "Snapshot": captured["snapshot"][:12] + (f", {captured['label']}" if captured.get("label") else ""),
        "Folder": captured.get("cwd"),
        "Kernel": captured.get("kernel"),
        "Python": f"{captured['python']}, {captured['interpreter']}" if captured.get("interpreter") else None,
        "Local files": "\n".join(captured.get("local_imports", ())),
        "Data files": "\n".join(captured.get("data_files", ())),
        "Variables": ", ".join(captured.get("environment", ())),
        "Packages": _packages(captured.get("distributions", [])),
        "Lock": captured["lock"][:12] if captured.get("lock") else None,
        "Warnings": "\n".join(str(each) for each in captured.get("warnings", ())),
    }


def _when(schedule: Mapping[str, Any]) -> str:
    slug = f"{schedule['slug']}: " if schedule["slug"] else ""
    return f"{slug}{schedule['words']}" + ("" if schedule["active"] else " (paused)")


def _parameter(said: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    name = str(said["name"]) + (f": {said['annotation']}" if said["annotation"] else "")
    if said["name"] in fixed:
        return f"{name} = {fixed[said['name']]!r}, as deployed"
    return name + (", which each run has to give" if said["default"] is None else f" = {said['default']}")


def _packages(installed: Sequence[Mapping[str, Any]]) -> str | None:
    editable = ", ".join(each["name"] for each in installed if each["editable"])
    return (f"{len(installed)} installed" + (f", editable: {editable}" if editable else "")) if installed else None


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
