"""Deployments, their versions and their schedules in the database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.deploying import DeploymentSettings, settings_from_json
from flowbook.errors import NotFound, UsageError, did_you_mean
from flowbook.store.signals import notify
from flowbook.store.snapshots import keep_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from flowbook.store.database import Database

Manifest = Mapping[str, Any]
"""What a version captured, as plain JSON values; made by :mod:`flowbook.promote.manifest`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A deployment at its newest version. Times are in seconds since the epoch.

    `parameters` go to each run, and may hold placeholders.
    """

    id: str
    name: str
    flow: str
    version: int
    paused: bool
    created: float
    updated: float
    parameters: Mapping[str, Any]
    settings: DeploymentSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSchedule:
    """A schedule of a deployment. `spec` is what :func:`flowbook.schedules.from_dict` reads, `slug` names it.

    Fires up to `since` (seconds since the epoch) are not its business. Those before `next_due` are dealt with; it is
    None while the schedule makes no runs.
    """

    id: str
    deployment_id: str
    slug: str | None
    spec: Mapping[str, Any]
    active: bool
    since: float
    next_due: float | None


def save_version(
    database: Database,
    *,
    name: str,
    flow: str,
    manifest: Manifest,
    schedules: Sequence[Mapping[str, Any]],
    new_id: Callable[[], str],
    known: str | None = None,
    paused: bool | None = None,
    snapshots: Mapping[str, bytes] | None = None,
    now: float | None = None,
) -> Deployment:
    """Make a deployment, or the next version of the one that is `known`, in one transaction.

    `known` is the id of a deployment; without it, one of the same name and flow gets a new version. `new_id` makes the
    ids of new rows. `snapshots` are kept by their SHA-256. A schedule that the deployment has already keeps its row,
    and with it the times that it has fired. With `paused` None a deployment stays paused if it is.
    """
    now = time.time() if now is None else now
    with database.write() as connection:
        for sha, content in (snapshots or {}).items():
            keep_snapshot(connection, sha, content, now)
        saved = _next_version(connection, name, flow, manifest, paused, new_id, known, now)
        _insert_version(connection, saved, manifest, now)
        _replace_schedules(connection, saved, schedules, new_id, now)
        notify(connection)
    return saved


def find_deployment(database: Database, text: str) -> Deployment:
    """The deployment of this name, also written ``flow/name``. Raises NotFound with a suggestion.

    Raises UsageError for the bare name of several.
    """
    known = all_deployments(database)
    exact = [found for found in known if text == f"{found.flow}/{found.name}"]
    found = exact or [found for found in known if text == found.name]
    if len(found) == 1:
        return found[0]
    if found:
        full = ", ".join(f"{each.flow}/{each.name}" for each in found)
        raise UsageError(f"There are several deployments {text!r}: say which one, of {full}.")
    if not known:
        raise NotFound(
            f"There is no deployment {text!r}, nor any other: make one with `flowbook promote NOTEBOOK.ipynb`."
        )
    hint = did_you_mean(text, [name for each in known for name in (each.name, f"{each.flow}/{each.name}")])
    raise NotFound(f"There is no deployment {text!r}.{hint} `flowbook deployment ls` lists them.")


def set_paused(database: Database, deployment_id: str, paused: bool, now: float | None = None) -> None:
    """Stop or go on making runs by schedule. Fires that fall into a pause are passed over, not made up for."""
    from sqlalchemy import select, update

    from flowbook.store.schema import deployment, schedule

    now = time.time() if now is None else now
    with database.write() as connection:
        before = connection.scalar(select(deployment.c.paused).where(deployment.c.id == deployment_id))
        if before is None or bool(before) is paused:
            return
        connection.execute(
            update(deployment).where(deployment.c.id == deployment_id).values(paused=paused, updated=now)
        )
        mine = update(schedule).where(schedule.c.deployment_id == deployment_id)
        if paused:
            connection.execute(mine.values(next_due=None))
        else:
            connection.execute(mine.where(schedule.c.active.is_(True)).values(since=now, next_due=now, as_of=now))
        notify(connection)


def set_schedule_active(database: Database, schedule_id: str, active: bool, now: float | None = None) -> None:
    """Stop or go on making runs by one schedule, as `set_paused` does for all of a deployment."""
    from sqlalchemy import select, update

    from flowbook.store.schema import deployment, schedule

    now = time.time() if now is None else now
    with database.write() as connection:
        paused = select(deployment.c.paused).where(deployment.c.id == schedule.c.deployment_id).scalar_subquery()
        row = connection.execute(select(schedule, paused.label("paused")).where(schedule.c.id == schedule_id)).one()
        if bool(row.active) is active:
            return
        spec = json.dumps({**json.loads(row.spec), "active": active}, sort_keys=True)
        due = now if active and not row.paused else None
        values = {"active": active, "spec": spec, "next_due": due, "as_of": now, "since": now if active else row.since}
        connection.execute(update(schedule).where(schedule.c.id == schedule_id).values(**values))
        notify(connection)


def delete_deployment(database: Database, deployment_id: str) -> None:
    """Delete a deployment with its versions and schedules, and the runs that wait for their time; others are kept."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import deployment, event, fire, flow_run

    with database.write() as connection:
        waiting = (
            flow_run.c.deployment_id == deployment_id,
            flow_run.c.state_type == "SCHEDULED",
            flow_run.c.pid.is_(None),
        )
        connection.execute(delete(event).where(event.c.flow_run_id.in_(select(flow_run.c.id).where(*waiting))))
        connection.execute(delete(flow_run).where(*waiting))
        connection.execute(delete(fire).where(fire.c.deployment_id == deployment_id))
        connection.execute(delete(deployment).where(deployment.c.id == deployment_id))


def all_deployments(database: Database) -> list[Deployment]:
    """All deployments by name."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment

    with database.read() as connection:
        return [deployment_from(row) for row in connection.execute(select(deployment).order_by(deployment.c.name))]


def deployed_from(database: Database, file: Path) -> list[tuple[Deployment, dict[str, Any]]]:
    """The deployments whose newest version was made from this file, each with its manifest."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment
    from flowbook.store.schema import deployment_version as versions

    source = str(file.expanduser().absolute())
    said = f'"source": {json.dumps(source)}'
    query = (
        select(deployment, versions.c.manifest)
        .join(versions, (versions.c.deployment_id == deployment.c.id) & (versions.c.version == deployment.c.version))
        .where(versions.c.manifest.contains(said, autoescape=True))
        .order_by(deployment.c.name)
    )
    with database.read() as connection:
        found = [(deployment_from(row), json.loads(row.manifest)) for row in connection.execute(query)]
    return [(each, manifest) for each, manifest in found if manifest.get("source") == source]


def manifest_of(database: Database, deployment_id: str, version: int) -> dict[str, Any]:
    """What this version captured; raises NotFound."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment_version as versions

    wanted = select(versions.c.manifest).where(versions.c.deployment_id == deployment_id, versions.c.version == version)
    with database.read() as connection:
        found = connection.scalar(wanted)
    if found is None:
        raise NotFound(f"Version {version} of the deployment is gone.")
    manifest: dict[str, Any] = json.loads(found)
    return manifest


def schedules_of(database: Database, deployment_id: str) -> list[StoredSchedule]:
    """The schedules of one deployment, active or not."""
    from sqlalchemy import select

    from flowbook.store.schema import schedule

    with database.read() as connection:
        rows = connection.execute(select(schedule).where(schedule.c.deployment_id == deployment_id))
        return [_schedule(row) for row in rows]


def schedule_of(database: Database, found: Deployment, text: str | None) -> StoredSchedule:
    """The schedule of a deployment that a person means by its slug, its id or the beginning of that, or None.

    With None it is the only one. Raises NotFound with those that there are, UsageError if several are meant.
    """
    known = schedules_of(database, found.id)
    if not known:
        raise NotFound(f"Deployment {found.name!r} has no schedule.")
    listed = ", ".join(each.slug or each.id[:8] for each in known)
    if text is None and len(known) > 1:
        raise UsageError(f"Deployment {found.name!r} has several schedules; say which one: {listed}.")
    exact = [each for each in known if text in (None, each.slug, each.id)]
    same = exact or [each for each in known if text and each.id.startswith(text)]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"Deployment {found.name!r} has several schedules whose id begins with {text!r}: {listed}.")
    hint = did_you_mean(text or "", [each.slug for each in known if each.slug])
    raise NotFound(f"Deployment {found.name!r} has no schedule {text!r}.{hint} It has {listed}.")


def versions_of(database: Database, deployment_id: str) -> list[tuple[int, float, dict[str, Any]]]:
    """Number, time of making (seconds since the epoch) and manifest of each version, the newest first."""
    from sqlalchemy import desc, select

    from flowbook.store.schema import deployment_version as versions

    query = select(versions).where(versions.c.deployment_id == deployment_id).order_by(desc(versions.c.version))
    with database.read() as connection:
        return [(row.version, row.created, json.loads(row.manifest)) for row in connection.execute(query)]


def _next_version(
    connection: Connection,
    name: str,
    flow: str,
    manifest: Manifest,
    paused: bool | None,
    new_id: Callable[[], str],
    known_id: str | None,
    now: float,
) -> Deployment:
    from sqlalchemy import and_, insert, select, update

    from flowbook.store.schema import deployment

    same = and_(deployment.c.flow == flow, deployment.c.name == name)
    before = select(deployment).where(same if known_id is None else deployment.c.id == known_id)

    values = {"flow": flow, "updated": now, "parameters": json.dumps(manifest["parameters"]), **_columns(manifest)}
    known = connection.execute(before).one_or_none()
    if known is None:
        new = {"id": new_id(), "name": name, "version": 1, "paused": bool(paused), "created": now, **values}
        connection.execute(insert(deployment).values(**new))
    else:
        values |= {"version": known.version + 1, "paused": known.paused if paused is None else paused}
        connection.execute(update(deployment).where(deployment.c.id == known.id).values(**values))
    return deployment_from(connection.execute(select(deployment).where(same)).one())


def _columns(manifest: Manifest) -> dict[str, Any]:
    """What the row of a deployment says of its settings."""
    plain = settings_from_json(manifest.get("settings", {})).to_json()
    return {**plain, "tags": json.dumps(plain["tags"])}


def _insert_version(connection: Connection, saved: Deployment, manifest: Manifest, now: float) -> None:
    from sqlalchemy import insert

    from flowbook.store.schema import deployment_version

    row = {"deployment_id": saved.id, "version": saved.version, "created": now, "manifest": json.dumps(manifest)}
    connection.execute(insert(deployment_version).values(**row))


def _replace_schedules(
    connection: Connection,
    saved: Deployment,
    specs: Sequence[Mapping[str, Any]],
    new_id: Callable[[], str],
    now: float,
) -> None:
    from sqlalchemy import delete, insert, select, update

    from flowbook.store.schema import schedule

    known = connection.execute(select(schedule).where(schedule.c.deployment_id == saved.id)).all()
    wanted = {_identity(spec): spec for spec in specs}
    said = {_identity(spec): bool(spec.get("active", True)) for spec in _specs_before(connection, saved)}
    for row in known:
        key = _identity(json.loads(row.spec))
        kept = wanted.pop(key, None)
        if kept is None:
            connection.execute(delete(schedule).where(schedule.c.id == row.id))
            continue
        active = bool(kept.get("active", True))
        if active is said.get(key, active):  # nothing new was said of it, so one that was paused by hand stays so
            active = bool(row.active)
        due = None if saved.paused or not active else now if row.next_due is None else row.next_due
        if due != row.next_due or active != bool(row.active):
            text = json.dumps({**kept, "active": active}, sort_keys=True)
            changes = {"next_due": due, "as_of": now, "active": active, "spec": text}
            connection.execute(update(schedule).where(schedule.c.id == row.id).values(**changes))
    for spec in wanted.values():
        active = bool(spec.get("active", True))
        text = json.dumps(spec, sort_keys=True)
        new = {"id": new_id(), "deployment_id": saved.id, "slug": spec.get("slug"), "spec": text, "active": active}
        due = now if active and not saved.paused else None
        connection.execute(insert(schedule).values(**new, since=now, next_due=due, as_of=now))


def _identity(spec: Mapping[str, Any]) -> str:
    """What makes a schedule the same one in the next version: all but whether it is active."""
    return json.dumps({**spec, "active": True}, sort_keys=True)


def _specs_before(connection: Connection, saved: Deployment) -> list[Mapping[str, Any]]:
    """The schedules as the version before had them."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment_version as versions

    before = (versions.c.deployment_id == saved.id, versions.c.version == saved.version - 1)
    found = connection.scalar(select(versions.c.manifest).where(*before))
    return [] if found is None else list(json.loads(found).get("schedules", []))


def deployment_from(row: Any, prefix: str = "") -> Deployment:
    """The deployment in a row whose columns are called as in the table, after `prefix`."""
    values = row._mapping  # a quarter of what an attribute of a row costs
    plain = {field: values[prefix + field] for field in ("id", "name", "flow", "version", "created", "updated")}
    settings = {field: values[prefix + field] for field in DeploymentSettings.__slots__}
    return Deployment(
        **plain,
        paused=bool(values[f"{prefix}paused"]),
        parameters=json.loads(values[f"{prefix}parameters"]),
        settings=settings_from_json({**settings, "tags": json.loads(settings["tags"] or "[]")}),
    )


def _schedule(row: Any) -> StoredSchedule:
    return StoredSchedule(
        id=row.id,
        deployment_id=row.deployment_id,
        slug=row.slug,
        spec=json.loads(row.spec),
        active=bool(row.active),
        since=row.since,
        next_due=row.next_due,
    )
