"""Cache policies: what makes two calls of a task the same call.

``INPUTS`` compares the arguments, ``TASK_SOURCE`` what the function does, ``FLOW_PARAMETERS`` the parameters of the flow
run around it, ``RUN_ID`` that run itself; ``DEFAULT`` is ``INPUTS + TASK_SOURCE + RUN_ID``. Policies are added with
``+``; ``INPUTS - "debug"`` leaves an argument out. With ``NO_CACHE`` results are not reused. The names and meanings are
Prefect 3's (https://docs.prefect.io/v3/concepts/caching).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from flowbook.core.records import FlowRun, TaskRun
from flowbook.errors import UsageError

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NONE",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CacheKeyFunction",
    "CachePolicy",
    "TaskRunContext",
    "task_input_hash",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRunContext:
    """What a cache key may be made of, besides the arguments."""

    task: Any
    """The task itself."""
    task_run: TaskRun
    flow_run: FlowRun | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The arguments by name, defaults included."""


CacheKeyFunction = Callable[[TaskRunContext, dict[str, Any]], str | None]
"""Makes the key of a call from its context and its arguments by name; None: this call is not cached."""


class CachePolicy:
    """What makes two calls the same call. Subclass it for a rule of your own.

    Keys from rules of your own, subclasses and functions, are shared by all tasks; those of flowbook's belong to a task.
    """

    shared: ClassVar[bool] = True

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key of a call; None if it is not to be cached. Raises Incomparable for an argument without content."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_key().")

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: CacheKeyFunction) -> CachePolicy:
        """The policy that asks a function."""
        return _ByFunction(cache_key_fn)

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if not isinstance(other, CachePolicy):
            return NotImplemented
        if other is NO_CACHE:
            return self
        return other if self is NO_CACHE else _Sum((*self._terms(), *other._terms()))

    def __sub__(self, argument: str) -> CachePolicy:
        if not isinstance(argument, str):
            return NotImplemented
        terms = tuple(
            replace(term, without=term.without | {argument}) if isinstance(term, _Inputs) else term
            for term in self._terms()
        )
        if terms == self._terms():
            raise UsageError(f"{argument!r} cannot be left out of {self!r}, which does not compare arguments.")
        return terms[0] if len(terms) == 1 else _Sum(terms)

    def _terms(self) -> tuple[CachePolicy, ...]:
        return (self,)


@dataclass(frozen=True, slots=True)
class _NoCache(CachePolicy):
    shared = False

    def compute_key(self, *_: Any, **__: Any) -> None:
        return None

    def __repr__(self) -> str:
        return "NO_CACHE"


@dataclass(frozen=True, slots=True)
class _Inputs(CachePolicy):
    shared = False
    without: frozenset[str] = frozenset()

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        from flowbook.core.fingerprints import Incomparable, fingerprint

        try:
            return fingerprint({name: value for name, value in inputs.items() if name not in self.without}).hex()
        except Incomparable:
            for name, value in inputs.items():
                if name not in self.without:
                    _checked(name, value)
            raise

    def __repr__(self) -> str:
        return "INPUTS" + "".join(f" - {name!r}" for name in sorted(self.without))


def _checked(name: str, value: Any) -> None:
    from flowbook.core.fingerprints import Incomparable, fingerprint

    try:
        fingerprint(value)
    except Incomparable as error:
        raise Incomparable(f"its argument {name!r} has no content to compare: {error}") from None


@dataclass(frozen=True, slots=True)
class _TaskSource(CachePolicy):
    shared = False

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        from flowbook.core.fingerprints import code_fingerprint

        return code_fingerprint(task_ctx.task.fn).hex()

    def __repr__(self) -> str:
        return "TASK_SOURCE"


@dataclass(frozen=True, slots=True)
class _FlowParameters(CachePolicy):
    shared = False

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        from flowbook.core.fingerprints import fingerprint

        return fingerprint(dict(flow_parameters)).hex()

    def __repr__(self) -> str:
        return "FLOW_PARAMETERS"


@dataclass(frozen=True, slots=True)
class _RunId(CachePolicy):
    shared = False

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        return task_ctx.flow_run.id if task_ctx.flow_run is not None else task_ctx.task_run.id

    def __repr__(self) -> str:
        return "RUN_ID"


@dataclass(frozen=True, slots=True)
class _ByFunction(CachePolicy):
    function: CacheKeyFunction

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        key = self.function(task_ctx, inputs)
        if key is not None and not isinstance(key, str):
            raise UsageError(f"The cache key function of task {task_ctx.task.name!r} returned {key!r}, not a string.")
        return key


@dataclass(frozen=True, slots=True)
class _Sum(CachePolicy):
    shared = False
    terms: tuple[CachePolicy, ...]

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        keys = [term.compute_key(task_ctx, inputs, flow_parameters, **kwargs) for term in self.terms]
        return None if None in keys else " ".join(str(key) for key in keys)

    def _terms(self) -> tuple[CachePolicy, ...]:
        return self.terms

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.terms))


NO_CACHE = NONE = _NoCache()
INPUTS = _Inputs()
TASK_SOURCE = _TaskSource()
FLOW_PARAMETERS = _FlowParameters()
RUN_ID = _RunId()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


def task_input_hash(context: TaskRunContext, arguments: dict[str, Any]) -> str | None:
    """A cache key function: the task and all its arguments. (``cache_policy=INPUTS`` says the same in newer words.)"""
    from flowbook.core.fingerprints import Incomparable, fingerprint

    try:
        return f"{context.task.task_key} {fingerprint(dict(arguments)).hex()}"
    except Incomparable:
        return None
