"""Asking for a run of a deployment, with parameters that are checked first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowbook import engine
from flowbook.promote.parameters import from_texts, require_all, schema_from_json, to_plain, validate
from flowbook.run.ids import new_id
from flowbook.store.deployments import find_deployment, manifest_of
from flowbook.store.queue import QueuedRun
from flowbook.store.queue import request_run as store_request


def request_run(
    name: str, parameters: Mapping[str, Any] | None = None, *, parameter_texts: Iterable[str] = ()
) -> QueuedRun:
    """Ask for a run of the deployment `name` (or ``flow/name``) as soon as a worker is free.

    `parameters` and the ``name=value`` of `parameter_texts` go before those of the deployment. Raises NotFound, and
    ParameterError if they do not fit, before anything is stored.
    """
    database = engine.engine().database
    deployment = find_deployment(database, name)
    manifest = manifest_of(database, deployment.id, deployment.version)
    schema = schema_from_json(manifest["schema"])
    title = f"deployment {deployment.name!r}"
    given = validate(schema, {**from_texts(schema, parameter_texts, title), **(parameters or {})}, title)
    values = {**manifest["parameters"], **to_plain(given)}
    require_all(schema, values, title)
    return store_request(database, new_id(), deployment, values)
