"""``flowbook promote NOTEBOOK.ipynb`` or ``flowbook promote flow.py:name``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import json_object, output_option, param_option, print_json
from flowbook.cli.planning import NAMES, planning_options, timeout_options

if TYPE_CHECKING:
    from flowbook.promote import Promoted


@click.command(
    epilog="Example: flowbook promote report.ipynb --schedule '0 7 * * 1-5' --tz Europe/Zurich --param day=2026-01-01"
)
@click.argument("notebook", metavar="NOTEBOOK|FILE.py:FLOW")
@click.option("--name", help="The name of the deployment (default: that of the notebook or flow).")
@click.option("--flow", help="Which flow of the notebook, if it defines several.")
@planning_options
@param_option
@click.option("--params", "json_text", metavar="JSON", help="Parameters as a JSON object.")
@click.option("--overlap", metavar="queue|skip|cancel-previous", help="One run at a time: what becomes of another one.")
@click.option("--concurrency-limit", type=click.IntRange(1), metavar="N", help="How many runs at a time.")
@click.option("--pool", help="The work pool whose workers execute it (default: default).")
@click.option("--queue", help="The queue of that pool.")
@click.option("--tag", "--tags", "tags", multiple=True, metavar="TAG", help="A tag of its runs; `a,b` are two.")
@click.option("--description", help="What it is for.")
@click.option("--paused/--no-paused", default=None, help="Whether its schedules make runs (default: as before).")
@click.option("--lock/--no-lock", default=None, help="Keep a full lock of this environment (default: as before).")
@click.option("--data", multiple=True, metavar="FILE", help="A file its runs need, seen from the notebook's folder.")
@click.option("--no-data", is_flag=True, help="Its runs need none of the files that were declared before.")
@timeout_options
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be stored, and store nothing.")
@click.option("--force", is_flag=True, help="Also a notebook whose runs will certainly fail.")
@click.option("--follow", "follows", is_flag=True, help="Make a version at each save of it or its modules.")
@output_option
def promote(
    notebook: str,
    flow: str | None,
    output: str,
    tags: tuple[str, ...],
    follows: bool,
    data: tuple[str, ...],
    no_data: bool,
    **said: Any,
) -> None:
    """Make a notebook, or a flow of a Python file, a deployment, or the next version of one.

    Of a notebook, what is not given stays as it was deployed. A Python flow is deployed as its file and these options
    say, and nothing else.
    """
    from dataclasses import asdict

    given = {name: value for name, value in said.items() if value is not None and name != "params"}
    given["parameters"] = json_object(given.pop("json_text", None))
    given["parameter_texts"] = said["params"]
    if tags:
        given["tags"] = tuple(tag.strip() for text in tags for tag in text.split(",") if tag.strip())
    if data or no_data:
        given["data"] = _declared(notebook, data, no_data)
    if follows:
        _check_that_it_can_be_followed(notebook, output, given)
    if _is_python(notebook):
        if flow is not None:
            raise click.UsageError(f"--flow is for notebooks; write {notebook.partition(':')[0]}:{flow} instead.")
        if {"timeout", "cell_timeout"} & set(given):
            raise click.UsageError("A Python flow says how long it may take: @flow(timeout_seconds=3600).")
        made = _of_python(notebook, given)
    else:
        from flowbook import promote as promotion

        made = _checked(promotion.promote, Path(notebook), flow=flow, **given)
    if output == "json":
        print_json({**asdict(made), "next_fires": [fire.isoformat() for fire in made.next_fires]})
        return
    _say(made)
    if follows:
        _follow(Path(notebook).expanduser(), made, flow=flow, force=given["force"])


def _declared(notebook: str, data: tuple[str, ...], no_data: bool) -> tuple[str, ...]:
    if _is_python(notebook):
        raise click.UsageError("--data and --no-data are for notebooks; a Python flow opens its files itself.")
    if data and no_data:
        raise click.UsageError("Both --data and --no-data are given; keep one of them.")
    return data


def _check_that_it_can_be_followed(notebook: str, output: str, given: dict[str, Any]) -> None:
    if _is_python(notebook):
        raise click.UsageError("--follow is for notebooks; promote a Python flow when you want its next version.")
    if given["dry_run"]:
        raise click.UsageError("--dry-run stores nothing, so there is nothing to --follow; leave one of them out.")
    if output == "json":
        raise click.UsageError("--follow says what it does as text; leave out --output json.")


def _follow(path: Path, made: Promoted, *, flow: str | None, force: bool) -> None:
    """Deploy the notebook at each save, until Ctrl-C."""
    from flowbook.promote.following import Followed, Stamp, wait_for_save

    followed = Followed(path, made, flow=flow, force=force)
    seen: dict[Path, Stamp] = {}  # so it looks at once: what was saved while it was being deployed is not missed
    click.echo(f"Each save of {path.name}, or of a file beside it that it imports, is deployed now. Ctrl-C ends that.")
    try:
        while True:
            seen = wait_for_save(followed.files, seen)
            for line in followed.saved():
                click.echo(line)
    except KeyboardInterrupt:
        click.echo(f"{path.name} is not followed any more. Version {followed.made.version} stays deployed.")


def _checked(promote: Callable[..., Promoted], path: Path, **given: Any) -> Promoted:
    """Promote the notebook; what its check finds is told on lines of its own."""
    from flowbook.promote.checks.finding import UnfitNotebook, listed

    try:
        return promote(path, **given)
    except UnfitNotebook as error:
        advice = "It was not promoted; --force promotes it all the same."
        raise click.ClickException(f"{path.name} would fail.\n{listed(error.findings, path.name)} {advice}") from None


def _is_python(text: str) -> bool:
    """Whether `text` names a Python flow: ``flow.py:name``, ``flow.py``, or ``package.module:name``."""
    where, colon, _ = text.rpartition(":")
    return text.endswith(".py") or where.endswith(".py") or (bool(colon) and not text.endswith(".ipynb"))


def _of_python(entrypoint: str, given: dict[str, Any]) -> Promoted:
    from flowbook.core.deploying import DEFAULT_POOL
    from flowbook.entrypoints import load_from_entrypoint
    from flowbook.flows import Flow
    from flowbook.promote.options import DeployOptions, planned_schedules
    from flowbook.promote.python_flow import deploy_flow

    if given.pop("force"):
        raise click.UsageError("--force is for notebooks, which are checked; a Python flow is not.")
    dry_run = given.pop("dry_run")
    planning = {name: given.pop(name) for name in NAMES if name in given}
    options = DeployOptions(**given, schedules=planned_schedules(**planning))
    return deploy_flow(
        load_from_entrypoint(entrypoint, Flow), options, pool=options.pool or DEFAULT_POOL, dry_run=dry_run
    )


def _say(made: Promoted) -> None:
    done = "Deployed" if made.is_stored else "Nothing was stored. It would be deployed:"
    click.echo(f"{done} {made.name!r}, version {made.version}: {made.captured}.")
    for warning in made.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if made.next_fires:
        click.echo("It runs at:")
        for fire in made.next_fires:
            click.echo(f"  {fire:%a %Y-%m-%d %H:%M:%S %Z}")
    elif made.is_stored:
        click.echo(f"{made.why_no_fires} Run it with: flowbook deployment run {quote(made.name)}")
    else:
        click.echo(made.why_no_fires)
    if made.is_stored:
        where = "" if made.pool in (None, "default") else f" --pool {made.pool}"
        click.echo(f"A worker executes it. Start one with: flowbook worker start{where}")
