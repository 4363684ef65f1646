"""Cache policies: what makes two calls of a task the same call.

``INPUTS`` compares the arguments, ``TASK_SOURCE`` the code of the function; ``INPUTS + TASK_SOURCE`` both. With
``NO_CACHE``, the default, results are not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowbook.errors import UsageError

__all__ = ["INPUTS", "NONE", "NO_CACHE", "TASK_SOURCE", "CachePolicy"]


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """A set of things that a cache key is made of. Policies are added with ``+``."""

    parts: frozenset[str] = frozenset()

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if not isinstance(other, CachePolicy):
            return NotImplemented
        return CachePolicy(self.parts | other.parts)

    def key(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
        """The key of a call of `fn`: 64 hexadecimal digits, or None when the arguments cannot be compared."""
        digest = hashlib.sha256(f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', fn)}".encode())
        if "source" in self.parts:
            digest.update(source_of(fn).encode())
        if "inputs" in self.parts:
            fingerprint = fingerprint_of((args, dict(sorted(kwargs.items()))))
            if fingerprint is None:
                return None
            digest.update(fingerprint)
        return digest.hexdigest()


NO_CACHE = NONE = CachePolicy()
INPUTS = CachePolicy(frozenset({"inputs"}))
TASK_SOURCE = CachePolicy(frozenset({"source"}))


def fingerprint_of(value: Any) -> bytes | None:
    """A digest of the content of `value`, equal in every process; None if it cannot be pickled."""
    import cloudpickle

    try:
        return hashlib.sha256(cloudpickle.dumps(value)).digest()
    except Exception:
        return None


def source_of(fn: Callable[..., Any]) -> str:
    """The code of `fn`: its source, or its bytecode and constants where there is no source to read."""
    import inspect

    try:
        return inspect.getsource(inspect.unwrap(fn))
    except (OSError, TypeError):
        code = getattr(fn, "__code__", None)
        if code is None:
            raise UsageError(f"The code of {fn!r} cannot be read; cache it by INPUTS only.") from None
        return f"{code.co_code!r} {code.co_consts!r} {code.co_names!r}"
