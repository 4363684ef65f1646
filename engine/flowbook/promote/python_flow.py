"""From a Python flow to a deployment: the file that defines it is kept, or the flow itself where no file does."""

from __future__ import annotations

import ast
import inspect
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook import engine
from flowbook.core.deploying import DeploymentSettings
from flowbook.core.parameters import coerce
from flowbook.core.templates import has_placeholder
from flowbook.entrypoints import place_of
from flowbook.promote.local_code import environment_names, installed, local_imports
from flowbook.promote.lock import make_lock
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
from flowbook.run.pickles import is_importable
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
    check_hints(flow, given, title)
    values = plain_parameters(schema, given, title)
    schedules = chosen_schedules(options, None)
    for each in schedules:
        check_hints(flow, each.parameters, title)
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
    lock = make_lock() if options.lock else None
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
        "lock": lock.sha if lock else None,
        "label": options.version or flow.version,
    }
    known = deployed_from(engine.engine().database, flow.name, name)
    return store(
        manifest,
        name=name,
        flow=flow.name,
        kind=manifest["kind"],
        schedules=schedules,
        snapshots={manifest["snapshot"]: content, **({lock.sha: lock.content} if lock else {})},
        captured=f"{manifest['entrypoint']} (snapshot {manifest['snapshot'][:12]}), Python {manifest['python']}"
        + (f", lock {lock.sha[:12]}" if lock else ""),
        warnings=lock.warnings if lock else (),
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
            "local_imports": local_imports(trees, root, path.parent),
        }, content
    from flowbook.promote.pickled import pickle_flow

    module = _file_of_module(flow)
    root = Path.cwd() if module is None else place_of(module)[0]
    return {
        "kind": "pickle",
        "source": "",
        "root": str(root),
        "entrypoint": flow.name,
        "flow": None,
        "environment": [],
        "local_imports": {} if module is None else _imported(flow, module, root),
    }, pickle_flow(flow, engine.engine().settings.home)


def _imported(flow: Flow[..., Any], path: Path, root: Path) -> dict[str, str]:
    """The local files that a pickled flow needs: its own module too, unless that goes into the pickle."""
    files = local_imports([ast.parse(path.read_bytes())], root, path.parent)
    if is_importable(flow.fn.__module__) and path.is_relative_to(root):
        files[path.relative_to(root).as_posix()] = sha_of(path.read_bytes())
    return files


def schema_of_flow(flow: Flow[..., Any]) -> Schema:
    """The parameters of a flow, from its signature."""
    return tuple(
        Parameter(
            name=parameter.name,
            annotation=_annotation(parameter.annotation),
            default=_default(parameter.default),
        )
        for parameter in inspect.signature(flow.fn).parameters.values()
        if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    )


def check_hints(flow: Flow[..., Any], given: Mapping[str, Any], title: str) -> None:
    """Raise ParameterError if a value does not fit the type hint in the flow itself, which a schema may not know."""
    if flow.options.validate_parameters:
        known = inspect.signature(flow.fn).parameters
        fixed = {name: value for name, value in given.items() if name in known and not has_placeholder(value)}
        coerce(flow.fn, title, fixed)


def _annotation(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str | None:
    if type(value).__name__ == "FieldInfo" and hasattr(value, "is_required"):  # pydantic's Field(...)
        value = inspect.Parameter.empty if value.is_required() else value.get_default(call_default_factory=True)
    if value is inspect.Parameter.empty:
        return None
    return repr(value) if isinstance(value, str | int | float | bool | list | dict | tuple | None) else "..."


def _in_file(flow: Flow[..., Any]) -> tuple[Path, str] | None:
    """The file that defines this very flow at its top, and the variable it is bound to there; None if none does."""
    path = None if flow.receiver else _file_of_module(flow)
    if path is None:
        return None
    names = [name for name, value in vars(sys.modules[flow.fn.__module__]).items() if value is flow]
    bound = _bound_on_import(path)
    variable = next((name for name in names if name in bound), None)
    return None if variable is None else (path, variable)


def _file_of_module(flow: Flow[..., Any]) -> Path | None:
    """The Python file of the module that the flow's function is of, if it is of one."""
    module: Any = sys.modules.get(getattr(flow.fn, "__module__", None) or "")
    where = getattr(module, "__file__", None)
    path = Path(where).resolve() if where is not None and where.endswith(".py") else None
    return path if path is not None and path.is_file() else None


def _bound_on_import(path: Path) -> set[str]:
    """The names that executing the file binds when it is not the main script."""
    found: set[str] = set()
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.If) and _asks_for_main(statement.test):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
    return found


def _asks_for_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and any(
        isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators)
    )
