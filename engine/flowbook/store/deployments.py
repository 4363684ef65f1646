"""Deployments, their versions and their schedules in the database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.errors import NotFound, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flowbook.store.database import Database

Manifest = Mapping[str, Any]
"""What a version captured, as plain JSON values; made by :mod:`flowbook.promote.manifest`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A deployment at its newest version. Times are in seconds since the epoch."""

    id: str
    name: str
    flow: str
    version: int
    paused: bool
    created: float
    updated: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSchedule:
    """A schedule of a deployment. `spec` is what :func:`flowbook.schedules.from_dict` reads.

    Fires up to `since` (seconds since the epoch) are not its business.
    """

    id: str
    deployment_id: str
    spec: Mapping[str, Any]
    active: bool
    since: float


def save_version(
    database: Database,
    *,
    name: str,
    flow: str,
    manifest: Manifest,
    schedules: Sequence[Mapping[str, Any]],
    new_id: Callable[[], str],
    now: float | None = None,
) -> Deployment:
    """Make the deployment `name`, or its next version, in one transaction; `new_id` makes the ids of new rows.

    A schedule that the deployment has already keeps its row, and with it the times that it has fired.
    """
    now = time.time() if now is None else now
    with database.write() as connection:
        saved = _next_version(connection, name, flow, new_id, now)
        _insert_version(connection, saved, manifest, now)
        _replace_schedules(connection, saved.id, schedules, new_id, now)
    return saved


def find_deployment(database: Database, text: str) -> Deployment:
    """The deployment of this name, also written ``flow/name``; raises NotFound with a suggestion."""
    known = all_deployments(database)
    for found in known:
        if text in (found.name, f"{found.flow}/{found.name}"):
            return found
    if not known:
        raise NotFound(
            f"There is no deployment {text!r}, nor any other: make one with `flowbook promote NOTEBOOK.ipynb`."
        )
    hint = did_you_mean(text, [name for found in known for name in (found.name, f"{found.flow}/{found.name}")])
    raise NotFound(f"There is no deployment {text!r}.{hint} `flowbook deployment ls` lists them.")


def set_paused(database: Database, deployment_id: str, paused: bool) -> None:
    """Stop or go on making runs by schedule. Fires that fall into a pause are passed over, not made up for."""
    from sqlalchemy import update

    from flowbook.store.schema import deployment, schedule

    now = time.time()
    with database.write() as connection:
        connection.execute(
            update(deployment).where(deployment.c.id == deployment_id).values(paused=paused, updated=now)
        )
        if not paused:
            connection.execute(update(schedule).where(schedule.c.deployment_id == deployment_id).values(since=now))


def delete_deployment(database: Database, deployment_id: str) -> None:
    """Delete a deployment with its versions and schedules, and the runs that wait for their time; others are kept."""
    from sqlalchemy import delete, select

    from flowbook.store.schema import deployment, event, fire, flow_run

    with database.write() as connection:
        waiting = (flow_run.c.deployment_id == deployment_id, flow_run.c.state_name.in_(("Scheduled", "Late")))
        connection.execute(delete(event).where(event.c.flow_run_id.in_(select(flow_run.c.id).where(*waiting))))
        connection.execute(delete(flow_run).where(*waiting))
        connection.execute(delete(fire).where(fire.c.deployment_id == deployment_id))
        connection.execute(delete(deployment).where(deployment.c.id == deployment_id))


def all_deployments(database: Database) -> list[Deployment]:
    """All deployments by name."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment

    with database.read() as connection:
        return [_deployment(row) for row in connection.execute(select(deployment).order_by(deployment.c.name))]


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


def live_schedules(database: Database) -> list[tuple[StoredSchedule, Deployment]]:
    """The active schedules of deployments that are not paused."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment, schedule

    columns = [column.label(f"of_{column.name}") for column in deployment.c]
    query = (
        select(schedule, *columns)
        .join(deployment, deployment.c.id == schedule.c.deployment_id)
        .where(schedule.c.active, ~deployment.c.paused)
    )
    with database.read() as connection:
        return [(_schedule(row), _deployment(row, "of_")) for row in connection.execute(query)]


def _next_version(connection: Connection, name: str, flow: str, new_id: Callable[[], str], now: float) -> Deployment:
    from sqlalchemy import insert, select, update

    from flowbook.store.schema import deployment

    known = connection.execute(select(deployment).where(deployment.c.name == name)).one_or_none()
    if known is None:
        saved = Deployment(id=new_id(), name=name, flow=flow, version=1, paused=False, created=now, updated=now)
        row = {field: getattr(saved, field) for field in Deployment.__slots__}
        connection.execute(insert(deployment).values(**row))
        return saved
    changes = {"flow": flow, "version": known.version + 1, "updated": now}
    connection.execute(update(deployment).where(deployment.c.id == known.id).values(**changes))
    return _deployment(connection.execute(select(deployment).where(deployment.c.id == known.id)).one())


def _insert_version(connection: Connection, saved: Deployment, manifest: Manifest, now: float) -> None:
    from sqlalchemy import insert

    from flowbook.store.schema import deployment_version

    row = {"deployment_id": saved.id, "version": saved.version, "created": now, "manifest": json.dumps(manifest)}
    connection.execute(insert(deployment_version).values(**row))


def _replace_schedules(
    connection: Connection,
    deployment_id: str,
    specs: Sequence[Mapping[str, Any]],
    new_id: Callable[[], str],
    now: float,
) -> None:
    from sqlalchemy import delete, insert, select

    from flowbook.store.schema import schedule

    known = connection.execute(select(schedule).where(schedule.c.deployment_id == deployment_id)).all()
    wanted = {json.dumps(spec, sort_keys=True): spec for spec in specs}
    for row in known:
        if wanted.pop(row.spec, None) is None:
            connection.execute(delete(schedule).where(schedule.c.id == row.id))
    for text, spec in wanted.items():
        new = {"id": new_id(), "deployment_id": deployment_id, "slug": spec.get("slug"), "spec": text}
        connection.execute(insert(schedule).values(**new, active=bool(spec.get("active", True)), since=now))


def _deployment(row: Any, prefix: str = "") -> Deployment:
    return Deployment(**{field: getattr(row, prefix + field) for field in Deployment.__slots__})


def _schedule(row: Any) -> StoredSchedule:
    return StoredSchedule(
        id=row.id, deployment_id=row.deployment_id, spec=json.loads(row.spec), active=row.active, since=row.since
    )
