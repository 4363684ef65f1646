"""Cache policies: what makes two calls of a task the same call.

``INPUTS`` compares the arguments, ``TASK_SOURCE`` what the function does, ``FLOW_PARAMETERS`` the parameters of the
flow run around it, ``RUN_ID`` that run itself (outside of a flow: the task run); ``DEFAULT`` is ``INPUTS +
TASK_SOURCE + RUN_ID``. Policies are added with ``+``; ``INPUTS - "debug"`` leaves an argument out. With ``NO_CACHE``
results are not reused. The names and meanings are Prefect 3's (https://docs.prefect.io/v3/concepts/caching), but for
one: the keys of these policies belong to one task, so that two tasks with the same arguments never share a result.
Keys of rules of your own (a subclass, a ``cache_key_fn``) are shared by all tasks that make the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.records import FlowRun, TaskRun
from flowbook.errors import UsageError

if TYPE_CHECKING:
    from flowbook.run.task_execution import TaskExecution

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


@dataclass(frozen=True, slots=True)
class TaskRunContext:
    """What a cache key may be made of, besides the arguments."""

    task: Any
    """The task itself."""
    parameters: Mapping[str, Any]
    """The arguments by name, defaults included."""
    _run: TaskExecution

    @property
    def task_run(self) -> TaskRun:
        """The task run, with its ``id``, ``name`` and ``flow_run_id``."""
        return self._run.told()

    @property
    def flow_run(self) -> FlowRun | None:
        """The flow run that it belongs to, with its ``id`` and ``name``; None outside of a flow."""
        return None if self._run.flow is None else self._run.flow.told()

    @property
    def run_id(self) -> str:
        """The id of the flow run; outside of a flow that of the task run."""
        return self._run.id if self._run.flow is None else self._run.flow.id


CacheKeyFunction = Callable[[TaskRunContext, dict[str, Any]], str | None]
"""Makes the key of a call from its context and its arguments by name; None: this call is not cached."""


class CachePolicy:
    """What makes two calls the same call. Subclass it for a rule of your own, with a `compute_key`."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key of a call with these arguments by name, inside of a flow run with these parameters.

        None if the call is not to be cached. Raises Incomparable for an argument that cannot be compared, which means
        the same and is logged.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute_key().")

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: CacheKeyFunction) -> CachePolicy:
        """The policy that asks ``cache_key_fn(context, arguments)``."""
        return _ByFunction(cache_key_fn)

    def __add__(self, other: CachePolicy) -> CachePolicy:
        """Both must be the same; a call that one of them does not cache is not cached."""
        if not isinstance(other, CachePolicy):
            return NotImplemented
        if isinstance(other, _NoCache):
            return self
        if isinstance(self, _NoCache):
            return other
        mine = self._terms()
        return _Sum((*mine, *(term for term in other._terms() if term not in mine)))

    def __sub__(self, argument: str) -> CachePolicy:
        """The same, with this argument left out of what is compared.

        A policy that compares no arguments compares the others from then on, as in Prefect.
        """
        if not isinstance(argument, str):
            return NotImplemented
        if isinstance(self, _NoCache):
            return self
        terms = self._terms()
        if not any(isinstance(term, _Inputs) for term in terms):
            terms = (*terms, INPUTS)
        left = [replace(t, without=t.without | {argument}) if isinstance(t, _Inputs) else t for t in terms]
        return left[0] if len(left) == 1 else _Sum(tuple(left))

    def left_out(self) -> frozenset[str]:
        """The arguments that were subtracted."""
        return frozenset().union(*(term.without for term in self._terms() if isinstance(term, _Inputs)))

    def _terms(self) -> tuple[CachePolicy, ...]:
        return (self,)


@dataclass(frozen=True, slots=True)
class _NoCache(CachePolicy):
    def compute_key(self, *_: Any, **__: Any) -> None:
        return None

    def __repr__(self) -> str:
        return "NO_CACHE"


@dataclass(frozen=True, slots=True)
class _Inputs(CachePolicy):
    without: frozenset[str] = frozenset()

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        compared = {name: inputs[name] for name in inputs if name not in self.without} if self.without else inputs
        return f"{task_ctx.task.task_key} {fingerprint_of_inputs(compared)}"

    def __repr__(self) -> str:
        return "INPUTS" + "".join(f" - {name!r}" for name in sorted(self.without))


@dataclass(frozen=True, slots=True)
class _TaskSource(CachePolicy):
    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        from flowbook.core.fingerprints import code_fingerprint

        return f"{task_ctx.task.task_key} {code_fingerprint(task_ctx.task.fn).hex()}"

    def __repr__(self) -> str:
        return "TASK_SOURCE"


@dataclass(frozen=True, slots=True)
class _FlowParameters(CachePolicy):
    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        return f"{task_ctx.task.task_key} {fingerprint_of_inputs(flow_parameters, 'the parameter')}"

    def __repr__(self) -> str:
        return "FLOW_PARAMETERS"


@dataclass(frozen=True, slots=True)
class _RunId(CachePolicy):
    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        return f"{task_ctx.task.task_key} {task_ctx.run_id}"

    def __repr__(self) -> str:
        return "RUN_ID"


@dataclass(frozen=True, slots=True)
class _ByFunction(CachePolicy):
    function: CacheKeyFunction

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        return self.function(task_ctx, inputs)

    def __repr__(self) -> str:
        return f"CachePolicy.from_cache_key_fn({getattr(self.function, '__name__', self.function)})"


@dataclass(frozen=True, slots=True)
class _Sum(CachePolicy):
    terms: tuple[CachePolicy, ...]

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        keys: list[str] = []
        for term in self.terms:
            key = term.compute_key(task_ctx, inputs, flow_parameters, **kwargs)
            if key is None:
                return None
            keys.append(check_key(key, repr(term)))
        return fingerprint_of_inputs(dict(enumerate(keys)))

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
    """A cache key function: the task, its code and all its arguments; None if one of them cannot be compared."""
    from flowbook.core.fingerprints import Incomparable

    try:
        return (INPUTS + TASK_SOURCE).compute_key(context, arguments, {})
    except Incomparable:
        return None


def check_key(key: object, made_by: str) -> str:
    """`key`, if it can be one. Raises UsageError."""
    if isinstance(key, str):
        return key
    raise UsageError(f"{made_by} gave the cache key {key!r}; it must be a string, or None for no caching")


def fingerprint_of_inputs(inputs: Mapping[Any, Any], title: str = "its argument") -> str:
    """64 hexadecimal digits for values by name. Raises Incomparable, which names the one that cannot be compared."""
    from flowbook.core.fingerprints import Incomparable, fingerprint

    try:
        return fingerprint(dict(inputs)).hex()
    except Incomparable:
        for name, value in inputs.items():
            try:
                fingerprint(value)
            except Incomparable as error:
                raise Incomparable(f"{title} {name!r} cannot be compared: {error}") from None
        raise
