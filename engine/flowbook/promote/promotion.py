"""One function behind every door to a deployment. Everything is checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.errors import UsageError
from flowbook.promote.findings import findings
from flowbook.promote.manifest import make_manifest, summary_of
from flowbook.promote.notebook import read_notebook, save_snapshot, snapshot
from flowbook.promote.parameters import Schema, from_texts, require_all, to_plain, validate
from flowbook.promote.planning import coming_fires, planned
from flowbook.promote.previous import deployed, kept_parameters, other_source
from flowbook.promote.reading import read
from flowbook.run.ids import new_id
from flowbook.schedules import Schedule, caveats, from_dict, to_dict
from flowbook.store.deployments import save_version

_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Promoted:
    """A version of a deployment that was made.

    `next_fires` are aware datetimes in the schedule's time zone; `captured` says in half a sentence what was kept.
    """

    name: str
    flow: str
    version: int
    kind: str
    next_fires: tuple[datetime, ...] = ()
    warnings: tuple[str, ...] = ()
    captured: str = ""


def promote(
    path: Path,
    *,
    name: str | None = None,
    flow: str | None = None,
    cron: str | None = None,
    schedule: Schedule | Mapping[str, Any] | str | None = None,
    timezone: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameter_texts: Iterable[str] = (),
) -> Promoted:
    """Make the notebook at `path` a deployment, or the next version of the one called `name`.

    `flow` chooses among several flows of a notebook. `cron` (or any other `schedule`) in `timezone` says when it runs
    by itself; `parameters` are given to each run, as are `parameter_texts` of the form ``name=value``. A schedule and
    parameters that are not given stay as they were deployed. Raises NotebookError, ParameterError or InvalidSchedule,
    and then nothing was stored.
    """
    schedules = planned(cron, schedule, timezone)
    path = Path(path).expanduser().absolute()
    notebook = read_notebook(path)
    reading = read(notebook, flow)
    called = _checked_name(name or (reading.flow.name if reading.flow else path.stem))
    title = f"deployment {called!r}"
    opened = engine.engine()
    before = deployed(opened.database, called)
    given = {**from_texts(reading.schema, parameter_texts, title), **(parameters or {})}
    kept, dropped = kept_parameters(reading.schema, before, given, title)
    values = {**kept, **to_plain(validate(reading.schema, given, title))}
    if schedules is None:
        schedules = [from_dict(spec) for spec in before["schedules"]] if before else []
    _check_parameters(reading.schema, schedules, values, title)
    sha, content = snapshot(notebook)
    manifest = make_manifest(
        path=path, sha=sha, reading=reading, parameters=values, schedules=[to_dict(each) for each in schedules]
    )
    said = [caveat for each in schedules for caveat in caveats(each)]
    warnings = [
        *reading.warnings,
        *other_source(before, path, called),
        *dropped,
        *findings(reading.cells, manifest),
        *said,
    ]
    manifest["warnings"] = list(dict.fromkeys(warnings))
    save_snapshot(opened.settings.home, sha, content)
    saved = save_version(
        opened.database,
        name=called,
        flow=reading.flow.name if reading.flow else path.stem,
        manifest=manifest,
        schedules=manifest["schedules"],
        new_id=new_id,
    )
    return Promoted(
        name=saved.name,
        flow=saved.flow,
        version=saved.version,
        kind=reading.kind.value,
        next_fires=coming_fires(schedules),
        warnings=tuple(manifest["warnings"]),
        captured=summary_of(manifest),
    )


def _check_parameters(schema: Schema, schedules: Sequence[Schedule], values: Mapping[str, Any], title: str) -> None:
    """Raise ParameterError if the runs of a schedule would lack a parameter, or have one that does not fit."""
    for each in schedules:
        require_all(schema, {**values, **each.parameters}, title)
        to_plain(validate(schema, each.parameters, title))


def _checked_name(name: str) -> str:
    if not name.strip() or "/" in name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"{name!r} cannot name a deployment: use 1 to {_LONGEST_NAME} printable characters without `/`."
        )
    return name.strip()
