"""Asking for a run of a deployment, with parameters that are checked first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flowbook import engine
from flowbook.core.templates import RunMoment, has_placeholder, render
from flowbook.promote.parameters import from_texts, require_all, schema_from_json
from flowbook.promote.saving import plain_parameters
from flowbook.run.ids import new_id
from flowbook.store.deployments import Deployment, find_deployment, manifest_of
from flowbook.store.queue import NewRun, QueuedRun
from flowbook.store.queue import request_run as store_request


def request_run(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    parameter_texts: Iterable[str] = (),
    due: float | None = None,
    trigger: str = "deployment",
    run_name: str | None = None,
    tags: Iterable[str] = (),
    queue: str | None = None,
    parent_id: str | None = None,
    idempotency_key: str | None = None,
) -> QueuedRun:
    """Ask for a run of the deployment `name` (or ``flow/name``) as soon as a worker is free, or when it is `due`.

    `parameters` and the ``name=value`` of `parameter_texts` go before those of the deployment; `due` is in seconds
    since the epoch. A second call with the same `idempotency_key` makes no second run. Raises NotFound, and
    ParameterError if they do not fit, before anything is stored.
    """
    database = engine.engine().database
    deployment = find_deployment(database, name)
    manifest = manifest_of(database, deployment.id, deployment.version)
    given = given_parameters(deployment, manifest, parameters, parameter_texts)
    values: Any = {**manifest["parameters"], **given}
    require_all(schema_from_json(manifest["schema"]), values, f"deployment {deployment.name!r}")
    if queue is not None and deployment.settings.pool is not None:
        from flowbook.store.pools import queue_named

        queue_named(database, deployment.settings.pool, queue)
    run_id = new_id()
    due = time.time() if due is None else due
    if has_placeholder(values):
        moment = datetime.fromtimestamp(due, UTC)
        values = render(values, RunMoment(run_id=run_id, scheduled=moment, previous=lambda: moment))
    run = NewRun(
        id=run_id,
        parameters=values,
        due=due,
        trigger=trigger,
        name=run_name,
        tags=tuple(tags),
        queue=queue,
        parent_id=parent_id,
        idempotency_key=idempotency_key,
    )
    return store_request(database, deployment, run)


def given_parameters(
    deployment: Deployment,
    manifest: Mapping[str, Any],
    parameters: Mapping[str, Any] | None,
    parameter_texts: Iterable[str] = (),
) -> dict[str, Any]:
    """The parameters for a run of the version of this manifest, as they are stored. Raises ParameterError.

    They may hold placeholders. Those that are not given are not looked at.
    """
    schema = schema_from_json(manifest["schema"])
    title = f"deployment {deployment.name!r}"
    return plain_parameters(schema, {**from_texts(schema, parameter_texts, title), **(parameters or {})}, title)
