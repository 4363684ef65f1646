"""``flowbook promote NOTEBOOK.ipynb``."""

from __future__ import annotations

from pathlib import Path

import click

from flowbook.cli.options import output_option, param_option, print_json


@click.command(
    epilog="Example: flowbook promote report.ipynb --schedule '0 7 * * 1-5' --tz Europe/Zurich --param day=2026-01-01"
)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--name", help="The name of the deployment (default: that of the notebook or flow).")
@click.option("--flow", help="Which flow of the notebook, if it defines several.")
@click.option(
    "--schedule", "cron", metavar="CRON", help="When it runs: five fields as in crontab, or six with seconds first."
)
@click.option(
    "--tz", "timezone", metavar="ZONE", help="The time zone of the schedule, such as Europe/Zurich (default: UTC)."
)
@param_option
@output_option
def promote(
    notebook: Path,
    name: str | None,
    flow: str | None,
    cron: str | None,
    timezone: str | None,
    params: tuple[str, ...],
    output: str,
) -> None:
    """Make a notebook a deployment, or the next version of one.

    A schedule and parameters that are not given stay as they were deployed.
    """
    from dataclasses import asdict

    from flowbook import promote as promotion

    made = promotion.promote(notebook, name=name, flow=flow, cron=cron, timezone=timezone, parameter_texts=params)
    if output == "json":
        print_json({**asdict(made), "next_fires": [fire.isoformat() for fire in made.next_fires]})
        return
    click.echo(f"Deployed {made.name!r}, version {made.version}: {made.captured}.")
    for warning in made.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if made.next_fires:
        click.echo("It runs at:")
        for fire in made.next_fires:
            click.echo(f"  {fire:%a %Y-%m-%d %H:%M:%S %Z}")
    else:
        click.echo(f"It has no schedule. Run it with: flowbook deployment run {made.name}")
    click.echo("A worker executes it. Start one with: flowbook worker start")
