"""The options of `serve`, `deploy` and their kin: what they are called, for editors, completion and refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class PlanningOptions(TypedDict, total=False):
    """When a deployment runs by itself; at most one of the first five."""

    cron: str | Sequence[str] | None
    interval: timedelta | float | Sequence[timedelta | float] | None
    rrule: str | Sequence[str] | None
    schedule: Any
    schedules: Any
    timezone: str | None
    anchor_date: datetime | str | None
    catchup: Literal["one", "all", "skip"] | None
    jitter: float | None


class RunOptions(PlanningOptions, total=False):
    """What is said of its runs as well."""

    parameters: Mapping[str, Any] | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    paused: bool | None
    is_schedule_active: bool | None
    concurrency_limit: Any
    overlap: Literal["queue", "skip", "cancel-previous"] | None


class WorkerOptions(RunOptions, total=False):
    """What is said to the workers of a pool as well."""

    work_queue_name: str | None
    job_variables: Mapping[str, Any] | None
    lock: bool | None


class PoolOptions(WorkerOptions, total=False):
    """The options of `Flow.to_deployment`: all that a deployment may say."""

    work_pool_name: str | None


class ServeOptions(RunOptions, total=False):
    """The options of `Flow.serve`."""

    limit: int | None
    pause_on_shutdown: bool
    print_starting_message: bool


class DeployOptions(WorkerOptions, total=False):
    """The options of `Flow.deploy` after the work pool. The last three are Prefect's, of container images."""

    print_next_steps: bool
    image: None
    build: bool
    push: bool


def names_of(options: type) -> tuple[str, ...]:
    """What the options are called."""
    return tuple(options.__annotations__)


def takes(options: type, **defaults: Any) -> Callable[[F], F]:
    """Decorator: completion and help show the options that a function takes as ``**options``."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {each.name for each in own}
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=_text(annotation)
            )
            for name, annotation in options.__annotations__.items()
            if name not in taken
        ]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return function

    return decorate


def _text(annotation: Any) -> str:
    return str(getattr(annotation, "__forward_arg__", annotation))
