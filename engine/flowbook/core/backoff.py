"""How long to wait before a retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flowbook.errors import UsageError

RetryDelay = float | Sequence[float] | Callable[[int], Sequence[float]]
"""Seconds before each retry: one number for all, one number per retry (the last repeats), or a function from the
number of retries to such a list."""


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays of ``backoff_factor * 2**n`` seconds before retry n = 0, 1, 2…, as in ``prefect.tasks``."""
    if backoff_factor < 0:
        raise ValueError(f"backoff_factor is {backoff_factor}; it must be 0 or more seconds.")

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2.0**n for n in range(retries)]

    return delays


def check_attempts(retries: int, delay: RetryDelay, timeout_seconds: float | None) -> None:
    """Raise UsageError unless these can be the retries, their delay and the timeout of a task or flow."""
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise UsageError(f"retries is {retries!r}; it must be a whole number from 0 up.")
    is_number = isinstance(timeout_seconds, int | float) and not isinstance(timeout_seconds, bool)
    if timeout_seconds is not None and not (is_number and timeout_seconds > 0):
        raise UsageError(f"timeout_seconds is {timeout_seconds!r}; it must be a number of more than 0, or None.")
    try:
        delays_for(retries, delay)
    except ValueError as error:
        raise UsageError(str(error)) from None


def delays_for(retries: int, delay: RetryDelay) -> tuple[float, ...]:
    """The delay in seconds before each of `retries` retries; raises ValueError for a negative one."""
    chosen = delay(retries) if callable(delay) else delay
    if isinstance(chosen, int | float):
        listed = (float(chosen),) * retries
    else:
        given = [float(seconds) for seconds in chosen] or [0.0]
        listed = tuple(given[min(n, len(given) - 1)] for n in range(retries))
    if any(seconds < 0 for seconds in listed):
        raise ValueError(f"retry_delay_seconds is {delay!r}; a delay must be 0 or more seconds.")
    return listed


def jittered(delay: float, factor: float | None, uniform: float) -> float:
    """The delay spread over ``delay * [1, 1 + factor]`` by `uniform`, a random number in [0, 1)."""
    return delay if not factor else delay * (1.0 + factor * uniform)
