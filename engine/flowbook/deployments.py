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
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowbook import engine, runs
from flowbook.core.records import FlowRun
from flowbook.core.states import State, StateType
from flowbook.errors import UsageError, refuse_unknown
from flowbook.promote.options import DeployOptions, planned_schedules
from flowbook.promote.requests import request_run

if TYPE_CHECKING:
    from flowbook.flows import Flow
    from flowbook.promote import Promoted

__all__ = ["Deployment", "deploy", "run_deployment", "serve"]

_LOOK_EVERY = 0.1  # seconds
_PLANNING = ("cron", "interval", "rrule", "schedule", "schedules", "timezone", "anchor_date", "catchup", "jitter")
#: What the options of Prefect are called in ours.
_NAMES = {"work_pool_name": "pool", "work_queue_name": "queue", "is_schedule_active": "active"}


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
    def build_from_flow(cls, flow: Flow[..., Any], name: str, **options: Any) -> Deployment:
        """A deployment of `flow`, as Prefect 2 makes it; `apply` stores it.

        Options: those of `Flow.deploy`; ``schedule`` may be a dict, as ``{"cron": "0 6 * * *", "timezone": "UTC"}``.
        """
        return build(flow, name, options, "Deployment.build_from_flow()")

    def apply(self) -> str:
        """Store it as a deployment whose runs workers execute, or as the next version of it; returns its id."""
        return _stored(self, self.options.pool or _default_pool()).id


def build(flow: Flow[..., Any], name: str | None, options: Mapping[str, Any], title: str) -> Deployment:
    """The deployment that these options describe. Raises UsageError for one that is unknown or does not fit."""
    given = {_NAMES.get(option, option): value for option, value in options.items() if value is not None}
    refuse_unknown(title, given, (*DeployOptions.__slots__, *_PLANNING, "active"))
    active = given.pop("active", True)
    planning = {option: given.pop(option) for option in _PLANNING if option in given}
    schedules = planned_schedules(**planning)
    if not active and schedules is not None:
        schedules = tuple(replace(each, active=False) for each in schedules)
    if "tags" in given:
        given["tags"] = _tags(given["tags"], title)
    parameters = given.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise UsageError(f"parameters of {title} is {parameters!r:.80}; give a dict.")
    given["name"] = name
    return Deployment(flow=flow, options=DeployOptions(**given, schedules=schedules))


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
    from flowbook.promote.python_flow import deploy_flow
    from flowbook.schedule.serving import serve_until_stopped

    if not deployments:
        raise UsageError("serve() was given no deployment: serve(flow.to_deployment(name='nightly'), ...)")
    for one in deployments:
        if not isinstance(one, Deployment):
            raise UsageError(f"serve() was given {one!r:.80}; give what flow.to_deployment(name=...) returns.")
        if one.options.pool is not None:
            raise UsageError(
                f"Deployment {one.name!r} names the work pool {one.options.pool!r}, whose workers execute its runs: "
                "use deploy(), or leave the pool out."
            )
    made = [
        deploy_flow(one.flow, replace(one.options, paused=bool(one.options.paused)), pool=None) for one in deployments
    ]
    if print_starting_message:
        _say_served(made)
    serve_until_stopped(
        [one.id for one in made], limit=8 if limit is None else limit, pause_on_shutdown=pause_on_shutdown
    )


def deploy(*deployments: Deployment, work_pool_name: str | None = None, **options: Any) -> list[str]:
    """Store these deployments for the workers of a pool; returns their ids.

    `work_pool_name` is for those that name no pool themselves.
    """
    refuse_unknown("deploy()", options, ("print_next_steps_message", *_OF_IMAGES))
    _refuse_images(options)
    made = [_stored(one, one.options.pool or work_pool_name or _default_pool()) for one in deployments]
    if options.get("print_next_steps_message", True):
        _say_deployed(made)
    return [one.id for one in made]


_OF_IMAGES = ("image", "build", "push")


def _refuse_images(options: Mapping[str, Any]) -> None:
    if options.get("image") is not None:
        raise UsageError(
            "deploy(image=...) asks for a container image; the workers here execute flows as processes. Leave it out."
        )


def deploy_one(flow: Flow[..., Any], name: str, options: Mapping[str, Any]) -> str:
    """`Flow.deploy`."""
    given = dict(options)
    also = {option: given.pop(option) for option in ("print_next_steps", *_OF_IMAGES) if option in given}
    _refuse_images(also)
    one = build(flow, name, given, f"deploy() of flow {flow.name!r}")
    made = _stored(one, one.options.pool or _default_pool())
    if also.get("print_next_steps", True):
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
) -> FlowRun:
    """Have the deployment `name` (or ``flow/name``) run, and wait for the end; returns the run as it is then.

    It runs at the aware `scheduled_time`, or now. `timeout` is in seconds: None waits for as long as it takes, 0 does
    not wait. A second call with the same `idempotency_key` makes no second run. Called in a flow run, the run is a
    sub-flow of that, unless `as_subflow` is False. Raises NotFound, and ParameterError if the parameters do not fit.
    """
    from flowbook.flow_runs import subflow_of_deployment

    if scheduled_time is not None and scheduled_time.tzinfo is None:
        raise UsageError("scheduled_time has no time zone: give an aware datetime, such as datetime.now(UTC).")
    parent = engine.current_flow() if as_subflow else None
    if parent is not None:
        parent.recorder.flush()
    asked = request_run(
        name,
        parameters,
        due=None if scheduled_time is None else scheduled_time.timestamp(),
        run_name=flow_run_name,
        tags=tuple(tags or ()),
        queue=work_queue_name,
        parent_id=parent.id if parent is not None else None,
        idempotency_key=idempotency_key,
    )
    if parent is not None:
        subflow_of_deployment(parent, asked.id, asked.flow)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        found = runs.find_run(asked.id)
        if found.ended is not None or (deadline is not None and time.monotonic() >= deadline):
            return _told(found)
        time.sleep(poll_interval if deadline is None else min(poll_interval, max(0.0, deadline - time.monotonic())))


def _told(found: runs.RunSummary) -> FlowRun:
    state = State(
        type=StateType(found.state_type),
        name=found.state_name,
        message=found.message,
        time=found.ended or found.started or found.created,
    )
    return FlowRun(
        id=found.id,
        name=found.name,
        flow_name=found.flow,
        state=state,
        parameters=found.parameters,
        started=found.started,
    )


def _stored(one: Deployment, pool: str) -> Promoted:
    from flowbook.promote.python_flow import deploy_flow

    return deploy_flow(one.flow, replace(one.options, pool=pool), pool=pool)


def _default_pool() -> str:
    from flowbook.core.deploying import DEFAULT_POOL

    return DEFAULT_POOL


def _tags(tags: Any, title: str) -> tuple[str, ...]:
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise UsageError(f"tags of {title} is {tags!r:.80}; give a list of texts.")
    return tuple(tags)


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
