"""Fingerprints of values and of code: equal in every process if, and only if, the content is equal.

Types count (``1``, ``1.0`` and ``True`` differ), as does the order of lists; the order of dicts and sets, hash
randomisation, memory layout and identity do not. Arrays and data frames are read in place.

A value is read *strictly*, as the input of a task is: what cannot be compared raises `Incomparable`, and objects say
what they consist of by their own pickling methods. Or *leniently*, as the constants are that a task's code uses:
nothing of the user's is run, and of what cannot be compared the type counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbook.core.fingerprints import code, values
from flowbook.core.fingerprints.reader import Incomparable, Reader

__all__ = ["Incomparable", "code_fingerprint", "fingerprint"]

_READERS = {**values.READERS, **code.READERS}


def fingerprint(value: Any) -> bytes:
    """32 bytes for the content of `value`. Raises Incomparable."""
    return _digest(value, lenient=False)


def code_fingerprint(fn: Callable[..., Any]) -> bytes:
    """32 bytes for the code of `fn`, and for what it uses of the user's code: helpers, constants, closures, defaults.

    Comments and line numbers do not count. Names that the code itself assigns to do not count either, and what it
    changes in place (``calls.append(x)``) counts as it was when it was first seen in this process.
    """
    return _digest(fn, lenient=True)


def _digest(value: Any, *, lenient: bool) -> bytes:
    reader = Reader(_READERS, values.read_other, lenient=lenient)
    try:
        reader.read(value)
    except Incomparable:
        raise
    except RecursionError:
        raise Incomparable("it is nested too deeply, or contains itself") from None
    except Exception as error:  # of somebody's pickling method; or another thread changes the value meanwhile
        raise Incomparable(f"{type(error).__name__}: {error}") from None
    return reader.digest()
