"""What stays from the version before, where the new one says nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowbook.errors import NotFound, ParameterError
from flowbook.promote.parameters import Schema, to_plain, validate
from flowbook.store.database import Database
from flowbook.store.deployments import find_deployment, manifest_of


def deployed(database: Database, name: str) -> dict[str, Any] | None:
    """What the newest version of the deployment captured, None if there is no such deployment."""
    try:
        found = find_deployment(database, name)
    except NotFound:
        return None
    return manifest_of(database, found.id, found.version)


def kept_parameters(
    schema: Schema, before: Mapping[str, Any] | None, given: Mapping[str, Any], title: str
) -> tuple[dict[str, Any], list[str]]:
    """The deployed parameters that are not given anew and still fit, and a warning for each that does not."""
    kept: dict[str, Any] = {}
    dropped = []
    for name, value in (before["parameters"] if before else {}).items():
        if name in given:
            continue
        try:
            kept.update(to_plain(validate(schema, {name: value}, title)))
        except ParameterError as error:
            dropped.append(f"The parameter {name!r} of the version before is not kept: {error}")
    return kept, dropped


def other_source(before: Mapping[str, Any] | None, path: Path, name: str) -> list[str]:
    """A warning if the deployment was made from another notebook so far."""
    if before is None or before["source"] == str(path):
        return []
    return [f"Deployment {name!r} was made from {before['source']} so far; use --name if this is not the same."]
