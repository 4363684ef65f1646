"""One function behind every door to a deployment. Everything is checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowbook import engine
from flowbook.cells import NotebookGraph
from flowbook.errors import NotebookError, NotFound, ParameterError, UsageError
from flowbook.promote.cells import KnownCell, Role, loads_flowbook, understand
from flowbook.promote.findings import findings
from flowbook.promote.kernels import choose_kernel
from flowbook.promote.kinds import DefinedFlow, Kind, check_graph, choose_flow, flows_in, slice_of
from flowbook.promote.manifest import make_manifest, summary_of
from flowbook.promote.notebook import code_cells, language_of, read_notebook, save_snapshot, snapshot
from flowbook.promote.parameters import Schema, from_texts, require_all, schema_of, to_plain, validate
from flowbook.schedules import Schedule, caveats, coerce_schedule, from_dict, next_fires, to_dict
from flowbook.store.deployments import find_deployment, manifest_of, save_version

_SHOWN_FIRES = 5
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A notebook that was read and understood."""

    kind: Kind
    flow: DefinedFlow | None
    cells: tuple[KnownCell, ...] = ()
    slice_: tuple[KnownCell, ...] = ()
    schema: Schema = ()
    graph: NotebookGraph | None = None


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
    planned = _planned(cron, schedule, timezone)
    path = Path(path).expanduser().absolute()
    notebook = read_notebook(path)
    kernel, kernel_warning = choose_kernel(notebook)
    language = language_of(notebook)
    read = _understood(list(code_cells(notebook)), language, flow)
    called = _checked_name(name or (read.flow.name if read.flow else path.stem))
    title = f"deployment {called!r}"
    before = _deployed(called)
    given = {**from_texts(read.schema, parameter_texts, title), **(parameters or {})}
    warnings = [*filter(None, [kernel_warning]), *_other_source(before, path, called)]
    kept, dropped = _kept_parameters(read.schema, before, given, title)
    values = {**kept, **to_plain(validate(read.schema, given, title))}
    if planned is None and before is not None:
        planned = [from_dict(spec) for spec in before["schedules"]]
    if planned:
        for each in planned:
            require_all(read.schema, {**values, **each.parameters}, title)
            to_plain(validate(read.schema, each.parameters, title))
    sha, content = snapshot(notebook)
    manifest = make_manifest(
        path=path,
        sha=sha,
        kind=read.kind,
        flow=read.flow,
        language=language,
        kernel=kernel,
        cells=read.cells,
        schema=read.schema,
        parameters=values,
        schedules=[to_dict(each) for each in planned or ()],
        slice_=read.slice_,
        graph=read.graph,
    )
    warnings += [*dropped, *findings(read.cells, manifest), *(said for each in planned or () for said in caveats(each))]
    manifest["warnings"] = list(dict.fromkeys(warnings))
    opened = engine.engine()
    save_snapshot(opened.settings.home, sha, content)
    saved = save_version(
        opened.database,
        name=called,
        flow=read.flow.name if read.flow else path.stem,
        manifest=manifest,
        schedules=manifest["schedules"],
    )
    return Promoted(
        name=saved.name,
        flow=saved.flow,
        version=saved.version,
        kind=read.kind.value,
        next_fires=_next(planned or ()),
        warnings=tuple(manifest["warnings"]),
        captured=summary_of(manifest),
    )


def _planned(
    cron: str | None, schedule: Schedule | Mapping[str, Any] | str | None, timezone: str | None
) -> list[Schedule] | None:
    """The schedule that is asked for, checked; None if none is."""
    if cron is not None and schedule is not None:
        raise UsageError("Both `cron` and `schedule` are given; keep one of them.")
    wanted = schedule if cron is None else cron
    if wanted is None:
        if timezone is not None:
            raise UsageError(f"The timezone {timezone!r} is given without a schedule, so it says nothing.")
        return None
    planned = coerce_schedule(wanted, timezone)
    if not next_fires(planned, datetime.now(UTC), 1):
        raise UsageError("The schedule never fires after now.")
    return [planned]


def _understood(cells: list[Any], language: str, wanted_flow: str | None) -> _Read:
    if not cells:
        raise NotebookError("The notebook has no code cell, so there is nothing to run.")
    if language != "python":
        if wanted_flow is not None:
            raise NotebookError(f"A notebook in {language} defines no flow; leave out --flow.")
        return _Read(kind=Kind.PLAIN, flow=None)
    known = understand(cells)
    graph = check_graph(known)
    flow = choose_flow(flows_in(known), wanted_flow, known)
    if flow is not None:
        slice_ = slice_of(flow, known, graph)
        return _Read(
            kind=Kind.FLOW, flow=flow, cells=tuple(known), slice_=slice_, schema=schema_of(known, flow), graph=graph
        )
    # With flowbook's magics in it, the kernel must know that it is unattended, or `%deploy` would deploy every night.
    with_magics = any(each.role is Role.TASK or loads_flowbook(each.cell) for each in known)
    kind = Kind.CELLS if with_magics else Kind.PLAIN
    return _Read(kind=kind, flow=None, cells=tuple(known), schema=schema_of(known, None), graph=graph)


def _checked_name(name: str) -> str:
    if not name.strip() or "/" in name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"{name!r} cannot name a deployment: use 1 to {_LONGEST_NAME} printable characters without `/`."
        )
    return name.strip()


def _deployed(name: str) -> dict[str, Any] | None:
    """What the newest version of the deployment captured, None if there is no such deployment."""
    database = engine.engine().database
    try:
        found = find_deployment(database, name)
    except NotFound:
        return None
    return manifest_of(database, found.id, found.version)


def _other_source(before: Mapping[str, Any] | None, path: Path, name: str) -> list[str]:
    if before is None or before["source"] == str(path):
        return []
    return [f"Deployment {name!r} was made from {before['source']} so far; use --name if this is not the same."]


def _kept_parameters(
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


def _next(schedules: Sequence[Schedule]) -> tuple[datetime, ...]:
    now = datetime.now(UTC)
    fires = [fire for each in schedules if each.active for fire in next_fires(each, now, _SHOWN_FIRES)]
    return tuple(sorted(fires, key=lambda fire: fire.astimezone(UTC))[:_SHOWN_FIRES])
