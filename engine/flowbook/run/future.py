"""A future: what ``.submit()`` returns at once, for a result that comes later."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from flowbook.core.annotations import allow_failure, quote
from flowbook.core.states import PENDING, State
from flowbook.run.blocking import may_block, release

R = TypeVar("R")

_log = logging.getLogger("flowbook.task_runs")

# One lock for all futures: it is held for a few instructions, and a lock per task would cost more than it guards.
_guard = threading.Lock()


class Future(Generic[R]):
    """The result of a submitted task run, once it is there. Pass it to other tasks to make them wait for it."""

    __slots__ = ("__weakref__", "_callbacks", "_state", "name", "task_run_id")

    def __init__(self, task_run_id: str, name: str) -> None:
        self.task_run_id = task_run_id
        self.name = name
        self._state: State = PENDING
        self._callbacks: list[Callable[[Future[R]], None]] | None = []

    @property
    def state(self) -> State:
        """The state the run is in now."""
        return self._state

    @property
    def done(self) -> bool:
        """Whether the run has ended, well or not."""
        return self._callbacks is None

    def wait(self, timeout: float | None = None) -> None:
        """Return when the run has ended, or after `timeout` seconds."""
        if self._callbacks is None:
            return
        ended = threading.Lock()
        ended.acquire()
        self.add_done_callback(lambda _: release(ended))
        with may_block(lambda: release(ended), lambda: self._callbacks is None):
            ended.acquire(timeout=-1 if timeout is None else max(0.0, timeout))

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """What the task returned; waits for it at most `timeout` seconds.

        Raises TimeoutError if it is not there by then, and what the task raised if it failed (returned instead with
        ``raise_on_failure=False``).
        """
        self.wait(timeout)
        if self._callbacks is not None:
            raise TimeoutError(f"Task run {self.name!r} has not ended after {timeout:g} seconds.")
        value: R = self._state.result(raise_on_failure=raise_on_failure)
        return value

    def add_done_callback(self, callback: Callable[[Future[R]], None]) -> None:
        """Have `callback` called with this future when the run ends: at once if it has, else in the run's thread."""
        with _guard:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        callback(self)

    def _enter(self, state: State) -> None:
        """The run is in `state`; the engine calls this."""
        self._state = state

    def _finish(self, state: State) -> None:
        """The run ended in `state`; the engine calls this once."""
        with _guard:
            self._state = state
            callbacks, self._callbacks = self._callbacks or [], None
        for callback in callbacks:
            try:
                callback(self)
            except Exception:  # one that fails must not keep the others waiting
                _log.exception("A callback of task run %r failed.", self.name)

    def __repr__(self) -> str:
        return f"<Future of {self.name!r}: {self._state.name}>"


class FutureList(list[Future[R]]):
    """The futures of a mapped task, in the order of its inputs."""

    def wait(self, timeout: float | None = None) -> None:
        """Return when all have ended, or after `timeout` seconds."""
        wait(self, timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """The results in order; `timeout` seconds is for all of them together."""
        deadline = None if timeout is None else time.monotonic() + timeout
        return [
            future.result(None if deadline is None else max(0.0, deadline - time.monotonic()), raise_on_failure)
            for future in self
        ]


def wait(futures: Iterable[Future[R]], timeout: float | None = None) -> tuple[set[Future[R]], set[Future[R]]]:
    """Wait for all `futures`, at most `timeout` seconds; returns those done and those not."""
    deadline = None if timeout is None else time.monotonic() + timeout
    waited = list(futures)
    for future in waited:
        future.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    done = {future for future in waited if future.done}
    return done, set(waited) - done


def as_completed(futures: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """The futures in the order in which they end; raises TimeoutError after `timeout` seconds."""
    import queue

    ended: queue.SimpleQueue[Future[R] | None] = queue.SimpleQueue()
    waited = list(futures)
    for future in waited:
        future.add_done_callback(ended.put)
    deadline = None if timeout is None else time.monotonic() + timeout
    for n in range(len(waited)):
        try:
            found = None
            have_ended = partial(_more_have_ended, waited, n)  # the queue is empty again before the wait is left
            while found is None:
                with may_block(lambda: ended.put(None), have_ended):
                    found = ended.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            yield found
        except queue.Empty:
            left = len(waited) - n
            raise TimeoutError(f"{left} of {len(waited)} task runs have not ended after {timeout:g} seconds.") from None


def _more_have_ended(futures: Sequence[Future[R]], count: int) -> bool:
    return sum(future.done for future in futures) > count


_REPLACED = (Future, State, allow_failure)
_CONTAINERS = frozenset({list, tuple, dict, set, FutureList})
_LOOKED_INTO = (*_REPLACED, quote, list, tuple, dict, set)
_DEEPEST = 100


def replace_futures(value: Any, with_what: Callable[[Any], Any]) -> Any:
    """`value` with each future or state in it, in lists, tuples, sets and dicts inside each other, replaced.

    A container without one is handed back as the same object, so that identity still says where it came from. What is
    marked by `allow_failure` goes to `with_what` with its mark; what is marked by `quote` is not looked into.
    """
    return _replaced(value, with_what, {}, 0) if isinstance(value, _LOOKED_INTO) else value


def _replaced(value: Any, with_what: Callable[[Any], Any], seen: dict[int, Any], depth: int) -> Any:
    if isinstance(value, _REPLACED):
        return with_what(value)
    if isinstance(value, quote):
        return value.value
    kind = type(value)
    if kind not in _CONTAINERS or depth == _DEEPEST:
        return value
    key = id(value)
    if key in seen:
        return seen[key]
    seen[key] = value  # one that contains itself is left as it is
    if not _any_worth_a_look(value.values() if kind is dict else value):
        return value
    if kind is dict:
        changed = {k: _replaced(v, with_what, seen, depth + 1) for k, v in value.items()}
        if any(changed[k] is not value[k] for k in value):
            seen[key] = changed
    else:
        parts = [_replaced(part, with_what, seen, depth + 1) for part in value]
        if not all(a is b for a, b in zip(parts, value, strict=True)):
            seen[key] = (list if kind is FutureList else kind)(parts)
    return seen[key]


def may_hold_futures(value: Any) -> bool:
    """Whether futures may be found in `value` by `replace_futures`; quick, so it may say yes too often."""
    return isinstance(value, _LOOKED_INTO)


def _any_worth_a_look(parts: Iterable[Any]) -> bool:
    """Ten million numbers are passed over in a fraction of a second."""
    return any(issubclass(kind, _LOOKED_INTO) for kind in set(map(type, parts)))
