"""What a deployment says about its runs, beside what they execute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from flowbook.errors import UsageError, did_you_mean, refuse_unknown

#: The pool of deployments that name none. It is made when it is first needed, as is Prefect 2's.
DEFAULT_POOL = "default"
MADE_ON_DEMAND = (DEFAULT_POOL, "default-agent-pool")
DEFAULT_QUEUE = "default"


class Collision(StrEnum):
    """What becomes of a run that is due while as many as the deployment's ``concurrency_limit`` are executed."""

    ENQUEUE = "ENQUEUE"
    """It waits."""
    CANCEL_NEW = "CANCEL_NEW"
    """It is cancelled; for a fire of a schedule it is not even made."""
    CANCEL_PREVIOUS = "CANCEL_PREVIOUS"
    """The others are cancelled, and it begins when they have ended."""


#: What may become of fires that were missed.
CATCHUPS = ("one", "all", "skip")

#: What ``overlap`` means for a run that is due while another one of its deployment is executed.
OVERLAPS = {
    "queue": Collision.ENQUEUE,
    "skip": Collision.CANCEL_NEW,
    "cancel-previous": Collision.CANCEL_PREVIOUS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentSettings:
    """`pool` is None for what `serve` executes itself; `retry_delay` is in seconds.

    `retries` says how often a run whose process went away is begun anew.
    """

    description: str | None = None
    tags: tuple[str, ...] = ()
    pool: str | None = DEFAULT_POOL
    queue: str | None = None
    concurrency_limit: int | None = None
    collision: Collision = Collision.ENQUEUE
    retries: int = 0
    retry_delay: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {**asdict(self), "tags": list(self.tags), "collision": self.collision.value}


def settings_from_json(plain: Mapping[str, Any]) -> DeploymentSettings:
    """The settings that `DeploymentSettings.to_json` wrote."""
    return DeploymentSettings(
        **{**plain, "tags": tuple(plain.get("tags", ())), "collision": Collision(plain.get("collision", "ENQUEUE"))}
    )


def concurrency_of(
    limit: int | Mapping[str, Any] | object | None, overlap: str | None, title: str
) -> tuple[int | None, Collision]:
    """How many runs at a time, and what becomes of one too many.

    `limit` is a number, or has ``limit`` and ``collision_strategy`` as Prefect's ``ConcurrencyLimitConfig`` does;
    `overlap` (``queue``, ``skip``, ``cancel-previous``) means one at a time. Raises UsageError.
    """
    if overlap is not None:
        if overlap not in OVERLAPS:
            hint = did_you_mean(overlap, OVERLAPS)
            raise UsageError(f"overlap of {title} is {overlap!r}; it is one of {', '.join(OVERLAPS)}.{hint}")
        if limit is not None:
            raise UsageError(f"Both overlap and concurrency_limit of {title} are given; keep one of them.")
        return 1, OVERLAPS[overlap]
    strategy: Any = Collision.ENQUEUE
    number: Any = limit
    if isinstance(limit, Mapping):
        refuse_unknown(f"concurrency_limit of {title}", limit, ("limit", "collision_strategy"))
        number, strategy = limit.get("limit"), limit.get("collision_strategy", strategy)
    elif hasattr(limit, "collision_strategy"):
        number, strategy = getattr(limit, "limit", None), limit.collision_strategy
    if number is None and limit is None:
        return None, Collision.ENQUEUE
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UsageError(f"concurrency_limit of {title} is {number!r}; give a whole number from 1 up.")
    try:
        return number, Collision(str(getattr(strategy, "value", strategy)).upper())
    except ValueError:
        known = ", ".join(Collision)
        raise UsageError(f"collision_strategy of {title} is {strategy!r}; it is one of {known}.") from None
