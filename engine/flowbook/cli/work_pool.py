"""``flowbook work-pool``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowbook.cli.options import output_option, pairs, print_json, print_table

if TYPE_CHECKING:
    from flowbook.store.pools import WorkPool

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--concurrency-limit", "limit", type=click.IntRange(0), metavar="N", help="How many runs it has at a time."
    ),
    click.option("--description", help="What it is for."),
    click.option(
        "--env", "env", multiple=True, metavar="NAME=VALUE", help="An environment variable of its runs. Repeatable."
    ),
    click.option(
        "--working-dir", metavar="FOLDER", help="Where runs are executed, instead of where they were deployed from."
    ),
    click.option(
        "--memory-mb", type=int, metavar="N", help="What a run's processes may each allocate, in MiB, from 64 up."
    ),
    click.option(
        "--environment",
        metavar="locked|worker",
        help="What runs of versions with a lock are executed in: what it names, or the worker's own (default).",
    ),
)


def _pool_options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group("work-pool")
def work_pool() -> None:
    """Where runs of deployments wait for workers, and how many are executed at a time."""


@work_pool.command(epilog="Example: flowbook work-pool create reports --type process --concurrency-limit 4")
@click.argument("name")
@click.option("--type", "kind", default="process", show_default=True, help="How its workers execute runs.")
@_pool_options
@click.option("--paused", is_flag=True, help="Execute nothing until it is resumed.")
def create(name: str, kind: str, description: str | None, limit: int | None, paused: bool, **said: Any) -> None:
    """Make the work pool NAME, with a queue `default`."""
    from flowbook import engine
    from flowbook.store.pools import create_pool

    made = create_pool(
        engine.engine().database,
        name,
        type=kind,
        description=description,
        concurrency_limit=limit,
        settings=_checked(kind, name, _settings(**said)),
        paused=paused,
    )
    click.echo(f"Made the work pool {_sentence(made)} Start a worker for it with: flowbook worker start --pool {name}")


@work_pool.command("ls", epilog="Example: flowbook work-pool ls --output json")
@output_option
def ls(output: str) -> None:
    """List the work pools, with the runs that are executed and that wait."""
    from flowbook import engine
    from flowbook.store.pools import all_pools, use_of_pool

    database = engine.engine().database
    found = [(pool, use_of_pool(database, pool.name)) for pool in all_pools(database)]
    if output == "json":
        print_json([{**asdict(pool), **asdict(use)} for pool, use in found])
        return
    rows = [
        {
            "Name": pool.name,
            "Type": pool.type,
            "Limit": "" if pool.concurrency_limit is None else str(pool.concurrency_limit),
            "Executed": str(use.active),
            "Waiting": str(use.waiting),
            "Paused": "yes" if pool.paused else "no",
            "Description": pool.description or "",
        }
        for pool, use in found
    ]
    print_table(rows, "There are no work pools yet. Make one with: flowbook work-pool create --type process NAME")


@work_pool.command(epilog="Example: flowbook work-pool inspect reports")
@click.argument("name")
def inspect(name: str) -> None:
    """Print all that is known of the work pool NAME, as JSON: its settings, queues, workers and deployments."""
    import time

    from flowbook import engine
    from flowbook.store.deployments import all_deployments
    from flowbook.store.pools import pool_named, queues_of, use_of_pool
    from flowbook.store.workers import living_workers

    database = engine.engine().database
    pool = pool_named(database, name)
    print_json(
        {
            **asdict(pool),
            **asdict(use_of_pool(database, name)),
            "queues": [asdict(queue) for queue in queues_of(database, name)],
            "workers": [each.name for each in living_workers(database, time.time()) if each.pool == name],
            "deployments": [
                f"{each.flow}/{each.name}" for each in all_deployments(database) if each.settings.pool == name
            ],
        }
    )


@work_pool.command(epilog="Example: flowbook work-pool update reports --env TZ=Europe/Zurich --memory-mb 2048")
@click.argument("name")
@_pool_options
@click.option("--unset", multiple=True, metavar="SETTING", help="Take a setting back, such as memory-mb. Repeatable.")
def update(name: str, description: str | None, limit: int | None, unset: tuple[str, ...], **said: Any) -> None:
    """Change the work pool NAME. What runs already goes on as it began."""
    from flowbook import engine
    from flowbook.store.pools import pool_named, update_pool

    database = engine.engine().database
    before = pool_named(database, name)
    settings = _checked(before.type, name, _changed_settings(before, _settings(**said), unset))
    changes: dict[str, Any] = {
        field: value
        for field, value in (("description", description), ("concurrency_limit", limit))
        if value is not None
    }
    if settings != dict(before.settings):
        changes["settings"] = settings
    if not changes:
        raise click.UsageError("Say what is to change: --concurrency-limit, --description, --env, --memory-mb, …")
    click.echo(f"Changed the work pool {_sentence(update_pool(database, name, **changes))}")


@work_pool.command(epilog="Example: flowbook work-pool pause reports")
@click.argument("name")
def pause(name: str) -> None:
    """Begin no more runs of the work pool NAME, until it is resumed. What runs goes on."""
    _set(name, paused=True)
    click.echo(f"Paused the work pool {name!r}. Go on with: flowbook work-pool resume {name}")


@work_pool.command(epilog="Example: flowbook work-pool resume reports")
@click.argument("name")
def resume(name: str) -> None:
    """Begin runs of the work pool NAME again."""
    _set(name, paused=False)
    click.echo(f"Resumed the work pool {name!r}.")


@work_pool.command("set-concurrency-limit", epilog="Example: flowbook work-pool set-concurrency-limit reports 4")
@click.argument("name")
@click.argument("limit", type=click.IntRange(0), metavar="N")
def set_concurrency_limit(name: str, limit: int) -> None:
    """Execute at most N runs of the work pool NAME at a time."""
    click.echo(f"Changed the work pool {_sentence(_set(name, concurrency_limit=limit))}")


@work_pool.command("clear-concurrency-limit", epilog="Example: flowbook work-pool clear-concurrency-limit reports")
@click.argument("name")
def clear_concurrency_limit(name: str) -> None:
    """Let the work pool NAME execute as many runs as its workers do."""
    click.echo(f"Changed the work pool {_sentence(_set(name, concurrency_limit=None))}")


@work_pool.command(epilog="Example: flowbook work-pool delete reports --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the work pool NAME with its queues. One that a deployment names is not deleted."""
    from flowbook import engine
    from flowbook.store.pools import delete_pool, queues_of

    database = engine.engine().database
    if not yes:
        click.confirm(f"Delete the work pool {name!r} with {len(queues_of(database, name))} queues?", abort=True)
    delete_pool(database, name)
    click.echo(f"Deleted {name!r}.")


def _set(name: str, **changes: Any) -> WorkPool:
    from flowbook import engine
    from flowbook.store.pools import update_pool

    return update_pool(engine.engine().database, name, **changes)


def _settings(
    env: tuple[str, ...], working_dir: str | None, memory_mb: int | None, environment: str | None
) -> dict[str, Any]:
    given = {
        "env": pairs(env, "--env", "NAME=VALUE, such as TZ=Europe/Zurich"),
        "working_dir": working_dir,
        "memory_mb": memory_mb,
        "environment": environment,
    }
    return {name: value for name, value in given.items() if value not in (None, {})}


def _changed_settings(before: WorkPool, changes: dict[str, Any], unset: tuple[str, ...]) -> dict[str, Any]:
    from flowbook.errors import did_you_mean

    settings = {**before.settings, **changes}
    if "env" in changes:
        settings["env"] = {**before.settings.get("env", {}), **changes["env"]}
    for said in unset:
        name = said.replace("-", "_").removeprefix("__")
        env = dict(settings.get("env", {}))
        if name in settings:
            del settings[name]
        elif said in env:
            del env[said]
            settings["env"] = env
        else:
            hint = did_you_mean(said, [*settings, *env])
            raise click.BadParameter(f"{before.name!r} has no setting {said!r}.{hint}", param_hint="'--unset'")
    return settings


def _checked(kind: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    from flowbook.schedule.worker_types import worker_type

    return worker_type(kind).check(settings, f"work pool {name!r}")


def _sentence(pool: WorkPool) -> str:
    limit = "" if pool.concurrency_limit is None else f", {pool.concurrency_limit} runs at a time"
    return f"{pool.name!r} of type {pool.type!r}{limit}{'; it is paused' if pool.paused else ''}."
