"""Storing a version of a deployment: the same for notebooks and Python flows. Everything is checked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from flowbook import engine
from flowbook.core.deploying import DeploymentSettings
from flowbook.core.templates import as_date, check_placeholders, has_placeholder, is_placeholder
from flowbook.promote.checks.finding import Finding
from flowbook.promote.options import DeployOptions, coming_fires
from flowbook.promote.parameters import Schema, hint_of, require_all, to_plain, validate
from flowbook.run.ids import new_id
from flowbook.schedules import Schedule, caveats, from_dict, to_dict
from flowbook.store.deployments import Deployment, save_version
from flowbook.store.pools import known_pool, pool_named, queue_named


@dataclass(frozen=True, kw_only=True, slots=True)
class Promoted:
    """A version of a deployment that was made, or that would be if `is_stored` is False; then `id` may be empty.

    `next_fires` are aware datetimes in the schedule's time zone; `captured` says in half a sentence what was kept.
    """

    id: str
    name: str
    flow: str
    version: int
    kind: str
    pool: str | None
    next_fires: tuple[datetime, ...] = ()
    warnings: tuple[str, ...] = ()
    captured: str = ""
    is_stored: bool = True
    is_paused: bool = False
    schedules: int = 0

    @property
    def why_no_fires(self) -> str:
        """Why it does not run by itself, as a sentence."""
        if self.schedules and self.is_paused:
            return "It is paused, so its schedules make no runs."
        return "None of its schedules is active." if self.schedules else "It has no schedule."


def plain_parameters(schema: Schema, given: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Parameters as they are stored. Those with placeholders are checked by name, the others against the schema.

    Raises ParameterError.
    """
    check_placeholders(given, title)
    templates = {name: value for name, value in given.items() if has_placeholder(value)}
    fixed = {name: value for name, value in given.items() if name not in templates}
    dates = {parameter.name for parameter in schema if _is_date(hint_of(parameter))}
    validate(schema, dict.fromkeys(templates), title, only_names=True)
    return {
        **to_plain(validate(schema, fixed, title)),
        **{
            name: as_date(value) if name in dates and is_placeholder(value) else value
            for name, value in templates.items()
        },
    }


def _is_date(hint: Any) -> bool:
    return hint is date or hint == date | None


def chosen_schedules(options: DeployOptions, before: Mapping[str, Any] | None) -> list[Schedule]:
    """The schedules that are asked for, else those of the version before."""
    if options.schedules is not None:
        return list(options.schedules)
    return [from_dict(spec) for spec in before["schedules"]] if before else []


def checked_schedules(
    schema: Schema, schedules: Sequence[Schedule], values: Mapping[str, Any], title: str
) -> list[dict[str, Any]]:
    """The schedules as they are stored.

    Raises ParameterError if their runs would lack a parameter, or have one that does not fit.
    """
    for each in schedules:
        require_all(schema, {**values, **each.parameters}, title)
    return [{**to_dict(each), "parameters": plain_parameters(schema, each.parameters, title)} for each in schedules]


def checked_settings(
    options: DeployOptions, before: DeploymentSettings, title: str
) -> tuple[DeploymentSettings, dict[str, Any]]:
    """The settings of the new version and its job variables. Raises NotFound for a pool or queue that is not there."""
    settings = options.settings(before, title)
    database = engine.engine().database
    variables = dict(options.job_variables or {})
    if settings.pool is None:
        kind = "process"
    else:
        kind = known_pool(database, settings.pool).type
        if settings.queue is not None:
            queue_named(database, settings.pool, settings.queue)
    if variables:
        from importlib import import_module

        # Worker types are a layer beside this one: what they know of their settings is asked of them by name.
        checker = import_module("flowbook.schedule.worker_types").worker_type(kind)
        variables = checker.check(variables, f"job_variables of {title}")
    return settings, variables


def store(
    manifest: dict[str, Any],
    *,
    name: str,
    flow: str,
    kind: str,
    schedules: Sequence[Schedule],
    snapshots: Mapping[str, bytes],
    captured: str,
    warnings: Sequence[str] = (),
    findings: Sequence[Finding] = (),
    known: Deployment | None = None,
    paused: bool | None = None,
    dry_run: bool = False,
) -> Promoted:
    """Store the version whose manifest this is; what is found, and said of its schedules, is added to the warnings.

    With `dry_run` nothing is stored, and the answer says what would be.
    """
    said = [*warnings, *(one.sentence for one in findings), *(caveat for each in schedules for caveat in caveats(each))]
    manifest |= {
        "warnings": list(dict.fromkeys(said)),
        "findings": [asdict(one) for one in findings],
        "flow_name": flow,
    }
    pool = manifest["settings"]["pool"]
    stands = bool(known and known.paused) if paused is None else paused
    made = Promoted(
        id=known.id if known else "",
        name=known.name if known else name,
        flow=flow,
        version=known.version + 1 if known else 1,
        kind=kind,
        pool=pool,
        next_fires=() if stands else coming_fires(schedules),
        warnings=tuple(manifest["warnings"]),
        captured=captured,
        is_stored=not dry_run,
        is_paused=stands,
        schedules=len(schedules),
    )
    if dry_run:
        return made
    database = engine.engine().database
    if pool is not None:
        pool_named(database, pool)  # one of those that are made on demand is made
    saved = save_version(
        database,
        name=name,
        flow=flow,
        manifest=manifest,
        schedules=manifest["schedules"],
        new_id=new_id,
        known=known.id if known else None,
        paused=paused,
        snapshots=snapshots,
    )
    return replace(made, id=saved.id, version=saved.version)
