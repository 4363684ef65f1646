"""What is to be executed, and what its execution needs of others: storage, slots, somebody who calls functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.core.protocol import Call, Raised, Returned, Rules
from flowbook.core.records import Run
from flowbook.core.states import State, StateType
from flowbook.core.storage import Found, Kept

if TYPE_CHECKING:
    from concurrent.futures import Future as Promise

    from flowbook.run.execution import Execution
    from flowbook.run.task_execution import TaskExecution

Hook = Callable[[Any, Run, State], Any]
"""Code of the user that is told of a state: called with the task or flow, the run and the state."""


class Storage(Protocol):
    """Where the results of a task or flow are kept."""

    @property
    def reads(self) -> bool:
        """Whether a stored result may stand for a call."""

    def key(self, run: Execution) -> str | None:
        """What the result of this run is stored under; None when it is not to be stored."""

    def look_up(self, key: str) -> Found | None:
        """The stored result; None if there is none that can be used."""

    def save(self, key: str, value: Any, seconds: float, run: Execution) -> Kept:
        """Store a result that took so many seconds to make."""


class Slots(Protocol):
    """Concurrency limits, see :mod:`flowbook.run.slots`."""

    def request(self, names: Sequence[str], occupy: int = 1, run_id: str | None = None) -> Promise[Any] | None:
        """A promise of slots, or None if none of the names is limited."""

    def give_back(self, held: Any) -> None:
        """Let others have the slots."""


class Caller(Protocol):
    """Calls the functions of task runs elsewhere than in this thread."""

    def call(self, run: TaskExecution, effect: Call) -> Returned | Raised:
        """The outcome of the call, when it has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What is to be executed: a function under rules. The same for every run of a task or flow."""

    name: str
    fn: Callable[..., Any]
    rules: Rules = Rules()
    is_async: bool = False
    log_prints: bool | None = None
    storage: Storage | None = None
    recovery: Callable[[bool], Storage] | None = None
    """Where results are kept for a retry of their flow run, if `storage` is none; told whether this is such a retry."""
    key: str = ""
    tags: frozenset[str] = frozenset()
    limit: tuple[str, int] | None = None
    """A concurrency limit that a run is under besides those of its tags, and how many slots of it."""
    place: str = "threads"
    """Where it is executed, for a runner that has several places: ``threads``, ``processes`` or ``dask``."""
    hooks: Mapping[StateType, tuple[Hook, ...]] = field(default_factory=dict)
    retry_if: Hook | None = None
    run_name: str | Callable[..., str] | None = None
    """What names a task run as it begins: a template over its parameters, or a function."""
    subject: Any = None
    """The task or flow itself, for hooks."""
    stand_in: Any = None
    """What stands for the result where a flow is only drawn."""
    cell: str | None = None
    quiet: bool = False
    gather: Callable[[], Mapping[str, Any]] | None = None
    """Collects the arguments when the run begins, for work whose inputs are not passed by its caller (a cell's)."""
    completing: Callable[[Execution, State], None] | None = None
    """Called as a run has completed, before anybody else knows."""
    failing: Callable[[TaskExecution, State], None] | None = None
    """Called as a task run has failed in its function, before anybody else knows."""
