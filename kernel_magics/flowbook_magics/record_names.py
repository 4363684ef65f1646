"""Names that the record knows, for who chooses one: only looked at, so that nothing is made, migrated or waited for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flowbook.settings import current_settings
from flowbook.store.looking import looking_at
from flowbook.store.urls import parse_url
from flowbook_magics.session import notebook_path

if TYPE_CHECKING:
    from sqlalchemy import Select

_RUNS = 20
_PATIENCE = "2"  # seconds to reach a server; it takes no less


def runs() -> list[str]:
    """What may be said for the last runs, the newest first."""
    from sqlalchemy import desc, select

    from flowbook.store.schema import flow_run

    newest = select(flow_run.c.number).where(flow_run.c.parent_id.is_(None)).order_by(desc(flow_run.c.number))
    numbers = [str(number) for (number,) in _rows(newest.limit(_RUNS))]
    return [*("last", "prev")[: len(numbers)], *numbers]


def deployments() -> list[str]:
    """The names of all deployments."""
    from sqlalchemy import select

    from flowbook.store.schema import deployment

    return [name for (name,) in _rows(select(deployment.c.name).distinct().order_by(deployment.c.name))]


def own_deployments() -> list[str]:
    """The names of this notebook's deployments."""
    return list(_own().values())


def schedules() -> list[str]:
    """What may be said for the schedules of this notebook's deployments."""
    from sqlalchemy import select

    from flowbook.store.schema import schedule

    mine = select(schedule.c.slug, schedule.c.id).where(schedule.c.deployment_id.in_(_own()))
    return [slug or id_[:8] for slug, id_ in _rows(mine)]


def pools() -> list[str]:
    """The names of all work pools."""
    from sqlalchemy import select

    from flowbook.store.schema import work_pool

    return [name for (name,) in _rows(select(work_pool.c.name).order_by(work_pool.c.name))]


def _own() -> dict[str, str]:
    """This notebook's deployments: name by id."""
    from sqlalchemy import and_, select

    from flowbook.store.schema import deployment, deployment_version

    path = notebook_path()
    if path is None:
        return {}
    newest = and_(
        deployment_version.c.deployment_id == deployment.c.id, deployment_version.c.version == deployment.c.version
    )
    source = json.dumps(str(path.expanduser().absolute()))
    named = select(deployment.c.id, deployment.c.name).join(deployment_version, newest).order_by(deployment.c.name)
    return dict(_rows(named.where(deployment_version.c.manifest.contains(source, autoescape=True))))


def _rows(query: Select[Any]) -> Iterable[Any]:
    url = parse_url(current_settings().database_url)
    if url.get_backend_name() != "sqlite":
        url = url.update_query_dict({"connect_timeout": _PATIENCE})
    with looking_at(url) as connection:
        return connection.execute(query).all()
