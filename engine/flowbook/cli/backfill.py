"""``flowbook deployment fires`` and ``backfill``: what became of due times, and making up for some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowbook.cli.options import instant, json_object, moment, output_option, param_option, print_json, print_table

if TYPE_CHECKING:
    from flowbook.schedule.backfill import Backfill
    from flowbook.store.fires import Fire

_SHOWN = 10


@click.command(epilog="Example: flowbook deployment fires report -n 50")
@click.argument("name")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@output_option
def fires(name: str, count: int, output: str) -> None:
    """List the last due times of the deployment NAME, and what became of each: run, missed or skipped."""
    from flowbook import engine
    from flowbook.schedule.backfill import missed_count
    from flowbook.store.deployments import find_deployment
    from flowbook.store.fires import recent_fires

    database = engine.engine().database
    found = recent_fires(database, find_deployment(database, name).id, count)
    if output == "json":
        print_json([_json(fire, missed_count(database, fire)) for fire in found])
        return
    rows = [
        {
            "Time": moment(fire.time),
            "Until": moment(fire.until) if fire.until > fire.time else "",
            "Times": _count(missed_count(database, fire)),
            "Outcome": fire.outcome,
            "Run": "" if fire.run is None else str(fire.run),
            "State": fire.state or "",
            "Schedule": fire.slug or fire.schedule_id[:8],
        }
        for fire in found
    ]
    print_table(rows, f"No schedule of {name} has fired yet.")


@click.command(epilog="Example: flowbook deployment backfill report --from 2026-01-01 --to 2026-02-01 --max-parallel 4")
@click.argument("name")
@click.option("--from", "since", required=True, metavar="TIME", help="The first time: 2026-01-31 or 2026-01-31T07:00.")
@click.option("--to", "until", metavar="TIME", help="The time before which it ends (default: now).")
@click.option(
    "--max-parallel", type=click.IntRange(1), default=1, show_default=True, help="How many runs of it at a time."
)
@click.option("--schedule", metavar="SLUG|ID", help="Only the times of this schedule (default: of all active ones).")
@click.option("--again", is_flag=True, help="Also make runs for times that have made one already.")
@param_option
@click.option("--params", "json_text", metavar="JSON", help="Parameters of the runs as a JSON object.")
@click.option("--dry-run", is_flag=True, help="Say for which times there would be runs, and make none.")
@output_option
def backfill(
    name: str,
    since: str,
    until: str | None,
    max_parallel: int,
    schedule: str | None,
    again: bool,
    params: tuple[str, ...],
    json_text: str | None,
    dry_run: bool,
    output: str,
) -> None:
    """Make a run of the deployment NAME for each due time of the past from --from on, and before --to.

    Times without an offset are in the zone of the schedule. Placeholders in parameters, as {{ scheduled_time }}, mean
    those times. Times that have made a run are left out, so that the same command does nothing when it is given again.
    """
    from datetime import UTC, datetime

    from flowbook import engine
    from flowbook.cli.watch import warn_without_worker
    from flowbook.promote.requests import given_parameters
    from flowbook.schedule.backfill import backfill as make
    from flowbook.schedule.backfill import backfilled_schedules, plan_backfill
    from flowbook.schedules import from_dict
    from flowbook.store.deployments import find_deployment, manifest_of

    database = engine.engine().database
    found = find_deployment(database, name)
    schedules = backfilled_schedules(database, found, schedule)
    zone = from_dict(schedules[0].spec).zone
    end = datetime.now(UTC) if until is None else instant(until, "--to", zone)
    plan = plan_backfill(database, found, schedules, instant(since, "--from", zone), end, again=again)
    given = given_parameters(found, manifest_of(database, found.id, found.version), json_object(json_text), params)
    made = None if dry_run or not plan.fires else make(database, plan, parameters=given, max_parallel=max_parallel)
    if output == "json":
        times = [fire.isoformat() for fire in plan.moments()]
        ids = [] if made is None else list(made.flow_run_ids)
        print_json({"batch": made and made.batch, "times": times, "flow_run_ids": ids, "left_out": plan.done})
        return
    _say(plan, is_made=made is not None, max_parallel=max_parallel)
    if made is not None:
        warn_without_worker(pool=found.settings.pool)


def _say(plan: Backfill, *, is_made: bool, max_parallel: int) -> None:
    count = len(plan.fires)
    runs = f"{count or 'no'} {'run' if count == 1 else 'runs'}"
    left = f" {plan.done} {'time has' if plan.done == 1 else 'times have'} made one already." if plan.done else ""
    if not is_made:
        click.echo(f"It would make {runs} of {plan.deployment.name!r}.{left}")
        for number, fire in enumerate(plan.moments()):
            if number == _SHOWN and count > _SHOWN:
                click.echo(f"  and {count - _SHOWN} more")
                break
            click.echo(f"  {fire:%a %Y-%m-%d %H:%M:%S %Z}")
        return
    click.echo(f"Made {runs} of {plan.deployment.name!r}, at most {max_parallel} at a time, the earliest first.{left}")
    click.echo(f"Look at them with: flowbook runs ls --deployment {plan.deployment.name}")


def _json(fire: Fire, count: int | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(fire).items() if name != "spec"} | {"count": count}


def _count(count: int | None) -> str:
    from flowbook.schedule.backfill import MOST

    if count is None:
        return "?"
    return str(count) if count < MOST else f"{MOST}+"
