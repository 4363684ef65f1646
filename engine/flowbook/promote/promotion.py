"""One function behind every door from a notebook to a deployment. Everything is checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.core.deploying import settings_from_json
from flowbook.errors import UsageError
from flowbook.promote.checks.data_reads import reads_of
from flowbook.promote.checks.finding import refuse_errors
from flowbook.promote.checks.findings import findings
from flowbook.promote.checks.runs import Ran
from flowbook.promote.data_files import declared_files
from flowbook.promote.lock import make_lock
from flowbook.promote.manifest import make_manifest, summary_of
from flowbook.promote.notebook import read_notebook, snapshot
from flowbook.promote.options import OF_NOTEBOOKS, DeployOptions, checked_name, planned_schedules
from flowbook.promote.parameters import from_texts
from flowbook.promote.previous import deployed_as, kept_parameters, other_source
from flowbook.promote.reading import Reading, read
from flowbook.promote.saving import (
    Promoted,
    checked_schedules,
    checked_settings,
    chosen_schedules,
    plain_parameters,
    store,
)
from flowbook.schedules import Schedule
from flowbook.store.deployments import manifest_of


def promote(
    path: Path,
    *,
    name: str | None = None,
    flow: str | None = None,
    cron: str | None = None,
    interval: Any = None,
    rrule: str | None = None,
    schedule: Schedule | Mapping[str, Any] | str | None = None,
    timezone: str | None = None,
    catchup: str | None = None,
    jitter: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameter_texts: Iterable[str] = (),
    dry_run: bool = False,
    force: bool = False,
    ran: Mapping[str, Ran] | None = None,
    values: Mapping[str, Any] | None = None,
    **options: Any,
) -> Promoted:
    """Make the notebook at `path` a deployment, or the next version of the one called `name`.

    `flow` chooses among several flows of a notebook. `cron` (or any other schedule) in `timezone` says when it runs
    by itself; `parameters` are given to each run, as are `parameter_texts` of the form ``name=value``. The other
    options are those of `DeployOptions`. What is not given stays as it was deployed. `ran` is what a kernel knows of
    the cells, and `values` are those of their names in it. Raises NotebookError, ParameterError, InvalidSchedule or
    NotFound, and then nothing was stored; with `dry_run` it never is. UnfitNotebook is raised for a notebook whose runs
    would certainly fail, unless `force`.
    """
    schedules = planned_schedules(
        cron=cron,
        interval=interval,
        rrule=rrule,
        schedule=schedule,
        timezone=timezone,
        catchup=catchup,
        jitter=jitter,
    )
    said = DeployOptions(
        name=name,
        schedules=schedules,
        parameters=parameters or {},
        parameter_texts=tuple(parameter_texts),
        **options,
    )
    return promote_notebook(path, flow, said, dry_run=dry_run, force=force, ran=ran, values=values)


def promote_notebook(
    path: Path,
    flow: str | None,
    options: DeployOptions,
    *,
    dry_run: bool = False,
    force: bool = False,
    ran: Mapping[str, Ran] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Promoted:
    """As `promote`, with options that are checked already."""
    path = Path(path).expanduser().absolute()
    notebook = read_notebook(path)
    reading = read(notebook, flow)
    called = checked_name(options.name or (reading.flow.name if reading.flow else path.stem))
    title = f"deployment {called!r}"
    known = deployed_as(engine.engine().database, called)
    before = manifest_of(engine.engine().database, known.id, known.version) if known else None
    given = {**from_texts(reading.schema, options.parameter_texts, title), **options.parameters}
    kept, dropped = kept_parameters(reading.schema, before, given, title)
    fixed = {**kept, **plain_parameters(reading.schema, given, title)}
    schedules = chosen_schedules(options, before)
    settings, job_variables = checked_settings(
        options, settings_from_json(before.get("settings", {})) if before else OF_NOTEBOOKS, title
    )
    settings = replace(
        settings,
        retries=reading.flow.retries if reading.flow else 0,
        retry_delay=reading.flow.retry_delay if reading.flow else 0.0,
    )
    sha, content = snapshot(notebook)
    reads = reads_of(reading)
    manifest = make_manifest(
        path=path,
        sha=sha,
        reading=reading,
        reads=reads,
        parameters=fixed,
        schedules=checked_schedules(reading.schema, schedules, fixed, title),
    )
    manifest |= {
        "settings": settings.to_json(),
        "job_variables": job_variables or (before or {}).get("job_variables", {}),
        "label": options.version,
        "timeouts": options.timeouts((before or {}).get("timeouts", {})),
    }
    lock = make_lock() if _is_locked(options, before, reading, title) else None
    manifest["lock"] = lock.sha if lock else None
    manifest["data_files"] |= declared_files(options.data, before, path.parent, title)
    variables = manifest["job_variables"].get("env", {})
    found = findings(reading, folder=path.parent, reads=reads, variables=variables, ran=ran, values=values)
    if not force:
        refuse_errors(found)
    return store(
        manifest,
        name=called,
        flow=reading.flow.name if reading.flow else path.stem,
        kind=reading.kind.value,
        schedules=schedules,
        snapshots={sha: content, **({lock.sha: lock.content} if lock else {})},
        captured=summary_of(manifest),
        warnings=[*other_source(before, path, called), *dropped, *(lock.warnings if lock else ())],
        findings=found,
        known=known,
        paused=options.paused,
        dry_run=dry_run,
    )


def _is_locked(options: DeployOptions, before: Mapping[str, Any] | None, reading: Reading, title: str) -> bool:
    """Whether the version keeps a lock: as is said, else as the version before. Raises UsageError where it cannot."""
    said = bool((before or {}).get("lock")) if options.lock is None else options.lock
    if said and reading.language != "python":
        raise UsageError(
            f"A lock keeps the distributions of Python, and the notebook of {title} is in {reading.language}: "
            "deploy it with --no-lock."
        )
    return said
