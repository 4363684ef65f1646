"""From a Python flow to a deployment: the file that defines it is kept, or the flow itself where no file does."""

from __future__ import annotations

import ast
import inspect
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.deploying import DeploymentSettings
from flowbook.entrypoints import place_of
from flowbook.promote.local_code import environment_names, installed, local_imports
from flowbook.promote.options import DeployOptions, checked_name
from flowbook.promote.parameters import Parameter, Schema, from_texts, schema_to_json
from flowbook.promote.previous import deployed_from
from flowbook.promote.saving import (
    Promoted,
    checked_schedules,
    checked_settings,
    chosen_schedules,
    plain_parameters,
    store,
)
from flowbook.store.snapshots import sha_of

if TYPE_CHECKING:
    from flowbook.flows import Flow


def deploy_flow(flow: Flow[..., Any], options: DeployOptions, *, pool: str | None, dry_run: bool = False) -> Promoted:
    """Make `flow` a deployment, or the next version of the one of this flow and name.

    Its schedules, parameters and settings are those of `options`: what is not said there is not kept. `pool` is None
    for one that is served. Raises UsageError, ParameterError, InvalidSchedule or NotFound, and then nothing was stored;
    with `dry_run` nothing is stored either way.
    """
    name = checked_name(options.name or flow.name)
    title = f"deployment {flow.name}/{name}"
    schema = schema_of_flow(flow)
    given = {**from_texts(schema, options.parameter_texts, title), **options.parameters}
    values = plain_parameters(schema, given, title)
    schedules = chosen_schedules(options, None)
    specs = checked_schedules(schema, schedules, values, title)
    delays = flow.work.rules.delays
    first = DeploymentSettings(
        pool=pool,
        description=flow.description,
        retries=len(delays),
        retry_delay=delays[0] if delays else 0.0,
    )
    settings, variables = checked_settings(options, first, title)
    source, content = captured_source(flow)
    manifest = {
        "snapshot": sha_of(content),
        **source,
        "cwd": str(Path.cwd()),
        "language": "python",
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "schema": schema_to_json(schema),
        "parameters": values,
        "schedules": specs,
        "distributions": installed(),
        "settings": settings.to_json(),
        "job_variables": variables,
        "label": options.version or flow.version,
    }
    known = deployed_from(engine.engine().database, flow.name, name)
    return store(
        manifest,
        name=name,
        flow=flow.name,
        kind=manifest["kind"],
        schedules=schedules,
        snapshots={manifest["snapshot"]: content},
        captured=f"{manifest['entrypoint']} (snapshot {manifest['snapshot'][:12]}), Python {manifest['python']}",
        known=known,
        paused=options.paused,
        dry_run=dry_run,
    )


def captured_source(flow: Flow[..., Any]) -> tuple[dict[str, Any], bytes]:
    """What of a manifest says where the flow is from, and the content of its snapshot."""
    found = _in_file(flow)
    if found is not None:
        path, variable = found
        content = path.read_bytes()
        root = place_of(path)[0]
        trees = [ast.parse(content)]
        return {
            "kind": "python",
            "source": str(path),
            "root": str(root),
            "entrypoint": f"{path.name}:{variable}",
            "flow": variable,
            "environment": environment_names(trees),
            "local_imports": local_imports(trees, root),
        }, content
    from flowbook.promote.pickled import pickle_flow

    return {
        "kind": "pickle",
        "source": "",
        "root": str(Path.cwd()),
        "entrypoint": flow.name,
        "flow": None,
        "environment": [],
        "local_imports": {},
    }, pickle_flow(flow, engine.engine().settings.home)


def schema_of_flow(flow: Flow[..., Any]) -> Schema:
    """The parameters of a flow, from its signature."""
    return tuple(
        Parameter(
            name=parameter.name,
            annotation=_annotation(parameter.annotation),
            default=None if parameter.default is inspect.Parameter.empty else _default(parameter.default),
        )
        for parameter in inspect.signature(flow.fn).parameters.values()
        if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    )


def _annotation(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | bool | list | dict | tuple | None) else "..."


def _in_file(flow: Flow[..., Any]) -> tuple[Path, str] | None:
    """The file that defines this very flow at its top, and the variable it is bound to there; None if none does."""
    if flow.receiver:
        return None
    module: Any = sys.modules.get(getattr(flow.fn, "__module__", None) or "")
    where = getattr(module, "__file__", None)
    if module is None or where is None or not where.endswith(".py"):
        return None
    names = (name for name, value in vars(module).items() if value is flow)
    variable = next(names, None)
    path = Path(where).resolve()
    return (path, variable) if variable is not None and path.is_file() else None
