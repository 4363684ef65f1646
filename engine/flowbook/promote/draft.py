"""What a person is asked, and told, before a notebook becomes a deployment. Nothing is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.deploying import OVERLAPS, DeploymentSettings, settings_from_json
from flowbook.core.durations import duration_text
from flowbook.errors import FlowbookError, UsageError
from flowbook.promote.cells import Role, understand
from flowbook.promote.changes import changed_cells
from flowbook.promote.checks.checking import check_notebook
from flowbook.promote.checks.data_reads import DataRead, reads_of
from flowbook.promote.checks.finding import Finding
from flowbook.promote.checks.findings import findings
from flowbook.promote.data_files import DECLARED, is_there, plain_name
from flowbook.promote.fields import ParameterField, fields_of, problems
from flowbook.promote.kinds import flows_in
from flowbook.promote.manifest import make_manifest
from flowbook.promote.notebook import CodeCell, code_cells, language_of, read_notebook, snapshot
from flowbook.promote.options import OF_NOTEBOOKS, checked_name
from flowbook.promote.parameters import cell_of_parameters
from flowbook.promote.previous import deployed_as, kept_parameters, other_source
from flowbook.promote.reading import Reading, read
from flowbook.schedules import describe, from_dict, to_dict
from flowbook.store.database import Database
from flowbook.store.deployments import Deployment, manifest_of
from flowbook.store.pools import all_pools
from flowbook.store.workers import living_workers

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: What of a schedule can be typed in a form; one that says more than that stays as it is, or is replaced.
_TYPED = frozenset({"cron", "interval", "timezone", "catchup"})


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingSchedule:
    """A schedule as deployed. It can be typed anew if there is a `kind`, ``cron`` or ``interval``, with its `text`."""

    words: str
    timezone: str
    catchup: str
    kind: str | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolChoice:
    """A work pool that a deployment may name, and how many workers of it live."""

    name: str
    workers: int
    paused: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Captured:
    """What a version keeps of the notebook and around it: names only, of environment variables too."""

    cells: tuple[str, ...]
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    variables: tuple[str, ...]
    kernel: str
    python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowChoice:
    """What can be promoted of a notebook that defines flows: one of them, or with "" as `flow` all of its tasks."""

    flow: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """A file that a cell reads, or that is declared for the version before; `path` is seen from the notebook's folder.

    `read_in` says where it is read first, as in ``cell 3, line 2``.
    """

    path: str
    declared: bool
    is_there: bool
    read_in: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A deployment that a notebook would become. `version` is the number it would get.

    `flow` is the one of `flows` that it is about; it is none of them where somebody has to choose.
    `changed` is how many cells differ from the version before, None where there is none or it is not known.
    `overlap` is None if something else stands that has no word, such as several runs at a time. What cannot be read
    has findings, and `captured` is None: then it cannot be promoted, not even with force.
    """

    name: str
    name_problem: str | None
    version: int
    changed: int | None
    is_paused: bool
    flow: str
    flows: tuple[FlowChoice, ...]
    parameters: tuple[ParameterField, ...]
    schedules: tuple[StandingSchedule, ...]
    overlap: str | None
    concurrency_limit: int | None
    pool: str
    pools: tuple[PoolChoice, ...]
    data_files: tuple[DataFile, ...]
    captured: Captured | None
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]


def draft(path: Path, now: float, *, name: str | None = None, flow: str | None = None) -> Draft:
    """The draft of the notebook at `path` as the deployment `name`, or what it is called by itself.

    `now` is in seconds since the epoch. Raises NotebookError for a file that is no notebook.
    """
    notebook = read_notebook(path)
    database = engine.engine().database
    try:
        reading = read(notebook, flow)
    except FlowbookError:
        reading = None
    called = name or (reading.flow.name if reading and reading.flow else path.stem)
    known, name_problem = _known(database, called)
    before = manifest_of(database, known.id, known.version) if known else None
    settings = settings_from_json(before.get("settings", {})) if before else OF_NOTEBOOKS
    manifest: dict[str, Any] | None = None
    captured: Captured | None = None
    fields: tuple[ParameterField, ...] = ()
    dropped: list[str] = []
    reads: list[DataRead] = []
    if reading is None:
        found = check_notebook(notebook, folder=path.parent, flow=flow)
    else:
        sha, _ = snapshot(notebook)
        reads = reads_of(reading)
        manifest = make_manifest(path=path, sha=sha, reading=reading, reads=reads, parameters={}, schedules=())
        variables = (before or {}).get("job_variables", {}).get("env", {})
        found = findings(reading, folder=path.parent, reads=reads, variables=variables)
        fields, dropped = _fields(reading, before, called)
        names = {known.cell.number: known.name for known in reading.cells}
        captured = _captured(manifest, _executed(reading, notebook), names)
    return Draft(
        name=called,
        name_problem=name_problem,
        version=known.version + 1 if known else 1,
        changed=changed_cells(before, manifest) if before and manifest else None,
        is_paused=bool(known and known.paused),
        flow=(flow or "") if reading is None else reading.flow.variable if reading.flow else "",
        flows=_flows(notebook),
        parameters=fields,
        schedules=tuple(map(_standing, before["schedules"] if before else ())),
        overlap=_overlap(settings),
        concurrency_limit=settings.concurrency_limit,
        pool=settings.pool or "",
        pools=_pools(database, settings.pool, now),
        data_files=_data_files(reads, before, path.parent),
        captured=captured,
        findings=tuple(found),
        warnings=(*other_source(before, path, called), *dropped),
    )


def parameter_problems(path: Path, given: Mapping[str, Any], flow: str | None = None) -> dict[str, str]:
    """Why each of the values that are typed for the parameters of a notebook does not fit: field -> sentence.

    Raises NotebookError for a notebook that cannot be read.
    """
    return problems(read(read_notebook(path), flow).schema, given, f"notebook {path.name}")


def _known(database: Database, name: str) -> tuple[Deployment | None, str | None]:
    """The deployment of this name, and why nothing can be deployed under it."""
    try:
        return deployed_as(database, checked_name(name)), None
    except UsageError as error:
        return None, str(error)


def _flows(notebook: NotebookNode) -> tuple[FlowChoice, ...]:
    """What `choose_flow` can choose, if that is more than one thing; none if the cells cannot be understood."""
    if language_of(notebook) != "python":
        return ()
    try:
        cells = understand(list(code_cells(notebook)))
        flows = [FlowChoice(flow=each.variable, name=each.name) for each in flows_in(cells)]
    except FlowbookError:
        return ()  # there is a finding
    if any(known.role is Role.TASK for known in cells):
        flows.insert(0, FlowChoice(flow="", name="All tasks of the notebook"))
    return tuple(flows) if len(flows) > 1 else ()


def _data_files(reads: Iterable[DataRead], before: Mapping[str, Any] | None, folder: Path) -> tuple[DataFile, ...]:
    declared = {name for name, why in (before or {}).get("data_files", {}).items() if why == DECLARED}
    read_in = {plain_name(each.path): f"{each.cell.cell.title}, line {each.line}" for each in reads}
    return tuple(
        DataFile(path=name, declared=name in declared, is_there=is_there(folder / name), read_in=read_in.get(name, ""))
        for name in sorted({*read_in, *declared})
    )


def _fields(
    reading: Reading, before: Mapping[str, Any] | None, name: str
) -> tuple[tuple[ParameterField, ...], list[str]]:
    kept, dropped = kept_parameters(reading.schema, before, {}, f"deployment {name!r}")
    return fields_of(reading.schema, kept, cell_of_parameters(reading.cells, reading.flow)), dropped


def _standing(spec: Mapping[str, Any]) -> StandingSchedule:
    made = from_dict(spec)
    kind = "cron" if "cron" in spec else "interval" if "interval" in spec else None
    text = "" if kind is None else spec["cron"] if kind == "cron" else duration_text(spec["interval"])
    plain = kind and to_dict(from_dict({key: value for key, value in spec.items() if key in _TYPED}))
    return StandingSchedule(
        words=describe(made),
        timezone=made.timezone,
        catchup=made.catchup,
        kind=kind if plain == to_dict(made) else None,
        text=text,
    )


def _overlap(settings: DeploymentSettings) -> str | None:
    if settings.concurrency_limit != 1:
        return None
    return next(word for word, collision in OVERLAPS.items() if collision is settings.collision)


def _pools(database: Database, chosen: str | None, now: float) -> tuple[PoolChoice, ...]:
    """All pools, and the default one and the one that is chosen if they are still to be made."""
    workers = Counter(worker.pool for worker in living_workers(database, now))
    paused = {pool.name: pool.paused for pool in all_pools(database)}
    names = dict.fromkeys(filter(None, (OF_NOTEBOOKS.pool, chosen, *paused)))
    return tuple(PoolChoice(name=name, workers=workers[name], paused=paused.get(name, False)) for name in names)


def _captured(manifest: Mapping[str, Any], cells: Iterable[CodeCell], names: Mapping[int, str | None]) -> Captured:
    return Captured(
        cells=tuple(" ".join(filter(None, (cell.title, names.get(cell.number)))) for cell in cells),
        modules=tuple(manifest["local_imports"]),
        packages=tuple(f"{each['name']} {each['version']}" for each in manifest["distributions"]),
        variables=tuple(manifest["environment"]),
        kernel=manifest["kernel"],
        python=manifest["python"],
    )


def _executed(reading: Reading, notebook: NotebookNode) -> Iterable[CodeCell]:
    """The cells that a run executes."""
    return [known.cell for known in reading.slice_ or reading.cells] or code_cells(notebook)
