"""``flowbook run NOTEBOOK.ipynb [OUT.ipynb]``: a notebook executed now, in this process."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from flowbook.cli.options import json_object
from flowbook.cli.planning import timeout_options

_PAIRS = ("-p", "--param", "--parameters")


class _Command(click.Command):
    """Takes parameters as ``-p NAME=VALUE``, and as papermill does: ``-p NAME VALUE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        joined: list[str] = []
        left = iter(args)
        for word in left:
            joined.append(word)
            if word in _PAIRS and (name := next(left, None)) is not None:
                value = None if "=" in name else next(left, None)
                joined.append(name if value is None else f"{name}={value}")
            elif word == "--":
                joined += left
        return super().parse_args(ctx, joined)


@click.command(cls=_Command, epilog="Example: flowbook run report.ipynb out.ipynb -p day 2026-01-31 -p region=eu")
@click.argument("notebook", metavar="NOTEBOOK", type=click.Path(path_type=Path))
@click.argument("out", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@click.option(
    *_PAIRS,
    "params",
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter, also as NAME=VALUE; the value is read as the type that the notebook gives it. Repeatable.",
)
@click.option("--params", "json_text", metavar="JSON", help="Parameters as a JSON object.")
@click.option(
    "-f", "--params-file", type=click.File("rb"), metavar="FILE", help="Parameters from a file with a JSON object."
)
@click.option("--flow", help="Which flow of the notebook, if it defines several.")
@click.option("-k", "--kernel", help="The kernel to execute it, instead of its own.")
@click.option("--cwd", type=click.Path(path_type=Path), help="The folder to execute it in (default: its own).")
@timeout_options
@click.option("--name", help="The name of the run (default: a random one).")
@click.option("--tag", "tags", multiple=True, help="A tag of the run. Repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of the cells.")
@click.option("--force", is_flag=True, help="Write OUT even if it is NOTEBOOK itself.")
def run(notebook: Path, out: Path | None, quiet: bool, force: bool, **said: Any) -> None:
    """Execute a notebook now, without a deployment; the executed notebook is written to OUT as it grows.

    The run stands in the history, which keeps the executed notebook as well. What becomes of each cell is said on
    standard error. The exit status is 0 if the run succeeded, 1 if it failed, and 130 if it was cancelled (Ctrl-C).
    """
    output = None if out is None else _checked_output(out, notebook, force=force)
    given = {**_parameters_in(said.pop("params_file")), **json_object(said.pop("json_text"))}
    gc.disable()  # what is imported stays, and looking through it takes a tenth of a short run
    try:
        sys.exit(_executed(notebook, given, output=output, quiet=quiet, **said))
    finally:
        gc.enable()


def _executed(
    notebook: Path,
    parameters: dict[str, Any],
    *,
    output: str | None,
    quiet: bool,
    params: tuple[str, ...],
    name: str | None,
    tags: tuple[str, ...],
    timeout: float | None,
    cell_timeout: float | None,
    **how: Any,
) -> int:
    from flowbook.cli.running import execute_here
    from flowbook.promote.called import kernel_begun, read_called, record
    from flowbook.run.ids import new_id

    called, run_id = read_called(notebook, parameters, parameter_texts=params, **how), new_id()
    timeouts = {name: length for name, length in {"run": timeout, "cell": cell_timeout}.items() if length}
    with kernel_begun(called, run_id) as kernel:  # while it begins, the run is recorded
        run = record(called, run_id, name=name, tags=tags, output=output, timeouts=timeouts)
        return execute_here(run, output, quiet=quiet, kernel=kernel)


def _checked_output(out: Path, notebook: Path, *, force: bool) -> str:
    """Where the executed notebook is to be written, whatever the working directory is then."""
    path = out.expanduser().resolve()
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise click.BadParameter(f"{out} is no file; give the path of a notebook.", param_hint="OUT")
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}; make it first.", param_hint="OUT")
    if not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"nothing can be written in {path.parent}.", param_hint="OUT")
    if path == notebook.expanduser().resolve() and not force:
        raise click.BadParameter(
            f"{out} is the notebook itself: its cells would be replaced by an executed copy of them, also by one that "
            "has failed half-way. Name another file, or say --force.",
            param_hint="OUT",
        )
    return str(path)


def _parameters_in(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read())
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not JSON: {error}.", param_hint="--params-file") from None
    if not isinstance(found, dict):
        raise click.BadParameter(
            f'{file.name} must hold an object, such as {{"day": "2026-01-01"}}.', param_hint="--params-file"
        )
    return found
