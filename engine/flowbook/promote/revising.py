"""New versions made from versions that are there: an older one again, or the newest with other schedules.

A schedule belongs to a version as the code does, so that one that was made or deleted by hand is kept when the notebook
is promoted again, and comes back with a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbook import engine
from flowbook.errors import NotFound, UsageError
from flowbook.promote.parameters import schema_from_json
from flowbook.promote.saving import Promoted, checked_schedules, store
from flowbook.schedules import Schedule, describe, from_dict
from flowbook.store.deployments import Deployment, find_deployment, manifest_of, schedules_of, versions_of
from flowbook.store.snapshots import load_snapshot


def roll_back(name: str, version: int | None = None) -> Promoted:
    """Make the next version of the deployment `name`, as a copy of `version`, or of the one before the newest.

    Its schedules come back too. Raises NotFound, and UsageError if that is the newest one.
    """
    database = engine.engine().database
    found = find_deployment(database, name)
    wanted = found.version - 1 if version is None else version
    known = [number for number, _, _ in versions_of(database, found.id)]
    if version is None and wanted not in known:
        raise UsageError(f"Deployment {found.name!r} has only one version; there is none to go back to.")
    if wanted not in known:
        listed = ", ".join(map(str, sorted(known)))
        raise NotFound(f"Deployment {found.name!r} has no version {wanted}; it has {listed}.")
    if wanted == found.version:
        raise UsageError(f"Version {wanted} is the newest of deployment {found.name!r} already.")
    manifest = manifest_of(database, found.id, wanted)
    load_snapshot(database, manifest["snapshot"])  # raises NotFound if there is nothing to run
    manifest |= {"copy_of": wanted}
    return _store(found, manifest, [from_dict(spec) for spec in manifest["schedules"]], f"a copy of version {wanted}")


def add_schedule(name: str, schedule: Schedule) -> Promoted:
    """Make the next version of the deployment `name`, which has this schedule as well.

    Raises UsageError if it has such a schedule, or one of the same slug, and ParameterError if a parameter is missing.
    """
    database = engine.engine().database
    found = find_deployment(database, name)
    manifest = _newest(found)
    title = f"deployment {found.name!r}"
    (spec,) = checked_schedules(schema_from_json(manifest["schema"]), [schedule], manifest["parameters"], title)
    for known in manifest["schedules"]:
        if {**known, "active": True, "slug": None} == {**spec, "active": True, "slug": None}:
            raise UsageError(f"Deployment {found.name!r} has that schedule already: {describe(schedule)}.")
        if schedule.slug is not None and known.get("slug") == schedule.slug:
            raise UsageError(f"Deployment {found.name!r} has a schedule {schedule.slug!r} already; use another --slug.")
    return _with_schedules(found, manifest, [*manifest["schedules"], spec])


def remove_schedule(name: str, schedule_id: str) -> Promoted:
    """Make the next version of the deployment `name`, which does not have the schedule of this id."""
    database = engine.engine().database
    found = find_deployment(database, name)
    manifest = _newest(found)
    (gone,) = [each.spec for each in schedules_of(database, found.id) if each.id == schedule_id]
    left = [spec for spec in manifest["schedules"] if {**spec, "active": True} != {**gone, "active": True}]
    return _with_schedules(found, manifest, left)


def _newest(found: Deployment) -> dict[str, Any]:
    manifest = manifest_of(engine.engine().database, found.id, found.version)
    manifest.pop("copy_of", None)
    return manifest


def _with_schedules(found: Deployment, manifest: dict[str, Any], specs: Sequence[Mapping[str, Any]]) -> Promoted:
    manifest["schedules"] = [dict(spec) for spec in specs]
    return _store(found, manifest, [from_dict(spec) for spec in specs], "its schedules changed")


def _store(found: Deployment, manifest: dict[str, Any], schedules: list[Schedule], captured: str) -> Promoted:
    return store(
        manifest,
        name=found.name,
        flow=manifest.get("flow_name", found.flow),
        kind=manifest["kind"],
        schedules=schedules,
        snapshots={},
        captured=captured,
        warnings=[],
        known=found,
    )
