"""What stays from the version before, where the new one says nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowbook.errors import ParameterError, UsageError
from flowbook.promote.parameters import Schema
from flowbook.promote.saving import plain_parameters
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment, all_deployments, manifest_of


def deployed_as(database: Database, name: str) -> Deployment | None:
    """The deployment that a notebook of this name makes a new version of; None if there is none yet.

    Raises UsageError if there are several, or if it is one of a Python flow.
    """
    known = [found for found in all_deployments(database) if found.name == name]
    of_notebooks = [
        found for found in known if manifest_of(database, found.id, found.version)["kind"] not in ("python", "pickle")
    ]
    if len(of_notebooks) > 1:
        full = ", ".join(f"{each.flow}/{each.name}" for each in of_notebooks)
        raise UsageError(f"There are several deployments {name!r} ({full}); use another --name.")
    return of_notebooks[0] if of_notebooks else None


def deployed_from(database: Database, flow: str, name: str) -> Deployment | None:
    """The deployment of this flow and name."""
    return next((found for found in all_deployments(database) if (found.flow, found.name) == (flow, name)), None)


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
            kept.update(plain_parameters(schema, {name: value}, title))
        except ParameterError as error:
            dropped.append(f"The parameter {name!r} of the version before is not kept: {error}")
    return kept, dropped


def other_source(before: Mapping[str, Any] | None, path: Path, name: str) -> list[str]:
    """A warning if the deployment was made from another notebook so far."""
    if before is None or before["source"] == str(path):
        return []
    return [f"Deployment {name!r} was made from {before['source']} so far; use --name if this is not the same."]
