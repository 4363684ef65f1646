"""Transactions: what several tasks do either stays, or is undone by their rollback hooks.

A task that completes inside of ``with transaction():`` stages its ``on_commit`` and ``on_rollback`` hooks there. They
are called when the block ends: the commit hooks in the order of the tasks, or, when it ends with an exception, the
rollback hooks in the reverse order. A transaction inside of another one waits for the outer one. Outside of all, a
completed task commits at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.engine import current_plan
from flowbook.errors import MissingContextError, UsageError

if TYPE_CHECKING:
    from flowbook.results import ResultStore

__all__ = ["Transaction", "get_transaction", "stage", "transaction"]

_log = logging.getLogger("flowbook.transactions")
_current: ContextVar[Transaction | None] = ContextVar("flowbook_transaction", default=None)
_REQUIRED = object()

Hook = Callable[["Transaction"], Any]


@dataclass(frozen=True, slots=True)
class _Staged:
    """What a completed task, or an inner transaction, has to do in the end."""

    on_commit: Sequence[Hook]
    on_rollback: Sequence[Hook]
    within: Transaction


class Transaction:
    """A group of task runs that is committed or rolled back as one. Made by `transaction`; hooks are called with it."""

    def __init__(self, key: str | None, parent: Transaction | None, store: ResultStore | None, overwrite: bool) -> None:
        self.key = key
        self.parent = parent
        self.state = "active"
        self._store = store
        self._overwrite = overwrite
        self._values: dict[str, Any] = {}
        self._staged: list[_Staged] = []
        self._lock = threading.Lock()

    def set(self, name: str, value: Any) -> None:
        """Leave `value` under `name` for the hooks, and for the tasks that follow."""
        self._values[name] = value

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value that was set under `name`, here or in a transaction around this one.

        Raises UsageError if there is none and no `default`.
        """
        if name in self._values:
            return self._values[name]
        if self.parent is not None:
            return self.parent.get(name, default)
        if default is _REQUIRED:
            raise UsageError(f"The transaction holds no value {name!r}; set it with transaction.set({name!r}, ...).")
        return default

    def is_committed(self) -> bool:
        """Whether this transaction, or an earlier one with the same key, was committed."""
        return self.state == "committed" or (self.key is not None and not self._overwrite and self._record_exists())

    def is_rolled_back(self) -> bool:
        """Whether it was rolled back."""
        return self.state == "rolled back"

    def stage(self, on_commit: Sequence[Hook] = (), on_rollback: Sequence[Hook] = ()) -> None:
        """Have these hooks called when the transaction is committed, or rolled back."""
        with self._lock:
            self._staged.append(_Staged(tuple(on_commit), tuple(on_rollback), self))

    def commit(self) -> None:
        """Call the commit hooks; an inner transaction leaves that to the one around it."""
        if self.state != "active":
            return
        self.state = "committed"
        staged = self._take()
        if self.parent is not None:
            with self.parent._lock:
                self.parent._staged.extend(staged)
        else:
            for one in staged:
                _call(one.on_commit, one.within)
        if self.key is not None and not self._record_exists():
            self._results().write(self.key, None)

    def rollback(self) -> None:
        """Call the rollback hooks of what has completed, the last first."""
        if self.state != "active":
            return
        self.state = "rolled back"
        staged = self._take()
        if staged:
            _log.info("Rolling back %d completed task runs.", len(staged))
        for one in reversed(staged):
            _call(one.on_rollback, one.within)

    def _take(self) -> list[_Staged]:
        with self._lock:
            staged, self._staged = self._staged, []
        return staged

    def _record_exists(self) -> bool:
        return self.key is not None and self._results().exists(self.key)

    def _results(self) -> ResultStore:
        if self._store is None:
            from flowbook.results import ResultStore

            self._store = ResultStore()
        return self._store


@contextmanager
def transaction(
    key: str | None = None, *, store: ResultStore | None = None, overwrite: bool = False
) -> Iterator[Transaction]:
    """Commit what the tasks inside of the block did, or roll it back if the block ends with an exception.

    With a `key`, a record of the commit is kept in `store` (the results of the home folder), and
    ``transaction.is_committed()`` tells a later run that it has been done, unless `overwrite` is true.
    """
    recorded_as = None if current_plan() is not None else key  # a flow that is only drawn leaves no trace
    opened = Transaction(recorded_as, _current.get(), store, overwrite)
    token = _current.set(opened)
    try:
        yield opened
    except BaseException:
        _current.reset(token)
        opened.rollback()
        raise
    _current.reset(token)
    opened.commit()


def get_transaction() -> Transaction:
    """The transaction that the calling code is inside of. Raises MissingContextError outside of all."""
    found = _current.get()
    if found is None:
        raise MissingContextError("There is no transaction here; call this inside of `with transaction():`.")
    return found


def stage(on_commit: Sequence[Hook], on_rollback: Sequence[Hook]) -> None:
    """Stage the hooks of a completed task; outside of a transaction it commits at once."""
    around = _current.get()
    if around is not None:
        around.stage(on_commit, on_rollback)
    else:
        with transaction() as own:
            own.stage(on_commit, on_rollback)


def _call(hooks: Sequence[Hook], within: Transaction) -> None:
    for hook in hooks:
        try:
            hook(within)
        except Exception:
            _log.exception("The transaction hook %r failed; the others go on.", getattr(hook, "__name__", hook))
