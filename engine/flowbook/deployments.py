"""Deployments of Python flows: served by this process, or executed by the workers of a pool.

::

    daily.serve(name="weekdays", cron="0 6 * * 1-5", timezone="Europe/Zurich")     # until it is stopped
    daily.deploy(name="prod", work_pool_name="default", cron="0 6 * * *")          # workers execute it
    run_deployment("daily/prod", parameters={"day": "2026-01-01"})                 # now, and wait for it

Schedules are accepted in every form that Prefect's tutorials use: ``cron=``, ``interval=`` (seconds or a timedelta),
``rrule=``, ``schedule=``, ``schedules=[{"cron": …, "timezone": …}, …]``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from flowbook import engine
from flowbook.core.deploy_options import DeployOptions as OptionsOfDeploy
from flowbook.core.deploy_options import PoolOptions, names_of, takes
from flowbook.entrypoints import is_loading
from flowbook.errors import UsageError, refuse_unknown
from flowbook.promote.options import DeployOptions, check_types, checked_name, checked_tags, planned_schedules
from flowbook.promote.requests import request_run
from flowbook.promote.waiting import wait_for_run, wait_for_run_async
from flowbook.run.current import current

if TYPE_CHECKING:
    from flowbook.flows import Flow
    from flowbook.promote import Promoted

__all__ = ["Deployment", "deploy", "run_deployment", "serve"]

_LOOK_EVERY = 0.1  # seconds
_PLANNING = ("cron", "interval", "rrule", "schedule", "schedules", "timezone", "anchor_date", "catchup", "jitter")
#: What the options of Prefect are called in ours.
_NAMES = {"work_pool_name": "pool", "work_queue_name": "queue", "is_schedule_active": "active"}
_OF_IMAGES = ("image", "build", "push")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A flow with what a deployment of it is to be. It is stored by `apply`, `serve` or `deploy`."""

    flow: Flow[..., Any]
    options: DeployOptions = field(default_factory=DeployOptions)

    @property
    def name(self) -> str:
        """What the deployment is called."""
        return self.options.name or self.flow.name

    @classmethod
    @takes(PoolOptions)
    def build_from_flow(
        cls, flow: Flow[..., Any], name: str, *, apply: bool = False, **options: Unpack[PoolOptions]
    ) -> Deployment:
        """A deployment of `flow`, as Prefect 2 makes it; `apply` stores it.

        Options: those of `Flow.deploy`; ``schedule`` may be a dict, as ``{"cron": "0 6 * * *", "timezone": "UTC"}``.
        """
        made = build(flow, name, options, "Deployment.build_from_flow()")
        if apply:
            made.apply()
        return made

    def apply(self) -> str:
        """Store it as a deployment whose runs workers execute, or as the next version of it; returns its id."""
        if _is_nothing_to_do(f"Deployment {self.name!r} is not applied"):
            return ""
        return _stored(self, self.options.pool or _default_pool()).id


def build(flow: Flow[..., Any], name: str | None, options: Mapping[str, Any], title: str) -> Deployment:
    """The deployment that these options describe. Raises UsageError for one that is unknown or does not fit."""
    from flowbook.flows import Flow as FlowType

    if not isinstance(flow, FlowType):
        raise UsageError(f"{title} was given {flow!r:.80}; give a function that is decorated with @flow.")
    refuse_unknown(title, options, names_of(PoolOptions))
    said = {option: value for option, value in options.items() if value is not None}
    check_types(said, title)
    given: dict[str, Any] = {_NAMES.get(option, option): value for option, value in said.items()}
    is_active = given.pop("active", True)
    schedules = planned_schedules(**{option: given.pop(option) for option in _PLANNING if option in given})
    if not is_active and schedules is not None:
        schedules = tuple(replace(each, active=False) for each in schedules)
    if "tags" in given:
        given["tags"] = checked_tags(given["tags"], title)
    if name is not None:
        name = checked_name(name)
    return Deployment(flow=flow, options=DeployOptions(**given, name=name, schedules=schedules))


def serve(
    *deployments: Deployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
) -> None:
    """Make these deployments, and execute their runs from this process until it is stopped (Ctrl-C, SIGTERM).

    At most `limit` runs are executed at a time (8 by default). With `pause_on_shutdown` the schedules are paused as
    this process ends, so that no run is missed while nobody serves them. Must be called in the main thread.
    """
    if _is_nothing_to_do("Nothing is served"):
        return
    from flowbook.promote.python_flow import deploy_flow
    from flowbook.schedule.serving import require_main_thread, serve_until_stopped

    _check_deployments("serve", deployments)
    for one in deployments:
        if one.options.pool is not None:
            raise UsageError(
                f"Deployment {one.name!r} names the work pool {one.options.pool!r}, whose workers execute its runs: "
                "use deploy(), or leave the pool out."
            )
    limit = 8 if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise UsageError(f"limit of serve() is {limit!r}; give a whole number from 1 up.")
    require_main_thread()
    for is_last in (False, True):  # nothing is stored unless all of them can be
        made = [
            deploy_flow(one.flow, replace(one.options, paused=bool(one.options.paused)), pool=None, dry_run=not is_last)
            for one in deployments
        ]
    serve_until_stopped(
        [one.id for one in made],
        limit=limit,
        pause_on_shutdown=pause_on_shutdown,
        begun=lambda: _say_served(made) if print_starting_message else None,
    )


def deploy(*deployments: Deployment, work_pool_name: str | None = None, **options: Any) -> list[str]:
    """Store these deployments for the workers of a pool; returns their ids.

    `work_pool_name` is for those that name no pool themselves.
    """
    refuse_unknown("deploy()", options, ("print_next_steps_message", *_OF_IMAGES))
    _refuse_images(options)
    _check_deployments("deploy", deployments)
    if _is_nothing_to_do("Nothing is deployed"):
        return []
    pools = [one.options.pool or work_pool_name or _default_pool() for one in deployments]
    for is_last in (False, True):  # nothing is stored unless all of them can be
        made = [_stored(one, pool, dry_run=not is_last) for one, pool in zip(deployments, pools, strict=True)]
    if options.get("print_next_steps_message", True):
        _say_deployed(made)
    return [one.id for one in made]


def _refuse_images(options: Mapping[str, Any]) -> None:
    if options.get("image") is not None:
        raise UsageError(
            "deploy(image=...) asks for a container image; the workers here execute flows as processes. Leave it out."
        )


def _check_deployments(function: str, deployments: tuple[Deployment, ...]) -> None:
    if not deployments:
        raise UsageError(f"{function}() was given no deployment: {function}(flow.to_deployment(name='nightly'), ...).")
    names = []
    for one in deployments:
        if not isinstance(one, Deployment):
            raise UsageError(f"{function}() was given {one!r:.80}; give what flow.to_deployment(name=...) returns.")
        names.append(f"{one.flow.name}/{one.name}")
        if names.count(names[-1]) > 1:
            raise UsageError(f"{function}() was given two deployments {names[-1]!r}; give one of them another name.")


def _is_nothing_to_do(what: str) -> bool:
    """Whether a flow is just being loaded from its file, for a run of it, say; `what` is not done then is printed."""
    if is_loading():
        _say(f"{what}: the file is only being loaded. Put that line under `if __name__ == '__main__':`.")
    return is_loading()


def deploy_one(flow: Flow[..., Any], name: str, options: Mapping[str, Any]) -> str:
    """`Flow.deploy`."""
    title = f"deploy() of flow {flow.name!r}"
    refuse_unknown(title, options, ("work_pool_name", *names_of(OptionsOfDeploy)))
    _refuse_images(options)
    given = {option: value for option, value in options.items() if option not in (*_OF_IMAGES, "print_next_steps")}
    one = build(flow, name, given, title)
    if _is_nothing_to_do(f"Flow {flow.name!r} is not deployed"):
        return ""
    made = _stored(one, one.options.pool or _default_pool())
    if options.get("print_next_steps", True):
        _say_deployed([made])
    return made.id


def serve_one(flow: Flow[..., Any], name: str | None, options: Mapping[str, Any]) -> None:
    """`Flow.serve`."""
    given = dict(options)
    names = ("pause_on_shutdown", "print_starting_message", "limit")
    also = {option: given.pop(option) for option in names if option in given}
    serve(build(flow, name, given, f"serve() of flow {flow.name!r}"), **also)


def run_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float = _LOOK_EVERY,
    tags: Iterable[str] | None = None,
    idempotency_key: str | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool = True,
) -> Any:
    """Have the deployment `name` (or ``flow/name``) run, and wait for the end; returns the `FlowRun` as it is then.

    It runs at the aware `scheduled_time`, or now. `timeout` is in seconds: None waits for as long as it takes, 0 does
    not wait. A second call with the same `idempotency_key` makes no second run. Called in a flow run, the run is a
    sub-flow of that, unless `as_subflow` is False: it is shown in its graph, and is cancelled with it. A run that fails
    raises nothing; its ``state`` says so. In ``async def`` flows and tasks it is awaited:
    ``await run_deployment(...)``.

    Raises NotFound, and ParameterError if the parameters do not fit.
    """
    from flowbook.flow_runs import show_subflow

    if scheduled_time is not None and (not isinstance(scheduled_time, datetime) or scheduled_time.tzinfo is None):
        raise UsageError(
            f"scheduled_time is {scheduled_time!s:.60}, which has no time zone: give an aware datetime, "
            "such as datetime.now(UTC)."
        )
    parent = engine.current_flow() if as_subflow else None
    if parent is not None:
        parent.recorder.flush()
    asked = request_run(
        name,
        parameters,
        due=None if scheduled_time is None else scheduled_time.timestamp(),
        run_name=flow_run_name,
        tags=checked_tags(tags or (), "run_deployment()"),
        queue=work_queue_name,
        parent_id=parent.id if parent is not None else None,
        idempotency_key=idempotency_key,
    )
    if parent is not None and asked.parent_id != parent.id:  # there was one with that key, which another run shows
        parent = None
    if parent is not None:
        show_subflow(parent, asked.id, asked.flow)
    caller = current.get()
    wait = wait_for_run_async if caller is not None and caller.work.is_async else wait_for_run
    return wait(asked, timeout, poll_interval, parent)


def _stored(one: Deployment, pool: str, *, dry_run: bool = False) -> Promoted:
    from flowbook.promote.python_flow import deploy_flow

    return deploy_flow(one.flow, replace(one.options, pool=pool), pool=pool, dry_run=dry_run)


def _default_pool() -> str:
    from flowbook.core.deploying import DEFAULT_POOL

    return DEFAULT_POOL


def _say_served(made: list[Promoted]) -> None:
    names = ", ".join(repr(f"{one.flow}/{one.name}") for one in made)
    _say(
        f"Serving {names}. Stop it with Ctrl-C. Runs on demand: flowbook deployment run '{made[0].flow}/{made[0].name}'"
    )
    for one in made:
        _say_fires(one)


def _say_deployed(made: list[Promoted]) -> None:
    for one in made:
        _say(f"Deployed '{one.flow}/{one.name}', version {one.version}: {one.captured}.")
        _say_fires(one)
        _say(f"A worker of its pool executes it. Start one with: flowbook worker start --pool {one.pool}")


def _say_fires(one: Promoted) -> None:
    for warning in one.warnings:
        _say(f"Warning: {warning}")
    if one.next_fires:
        _say(f"Next runs of {one.name!r}: " + ", ".join(f"{fire:%a %d %b %Y %H:%M %Z}" for fire in one.next_fires))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
