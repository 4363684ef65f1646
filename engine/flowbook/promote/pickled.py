"""Flows that no file defines as they are (of a notebook's kernel, with options changed), kept as signed pickles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.errors import FlowbookError, StoreError, UsageError
from flowbook.store.signing import is_right, signature

if TYPE_CHECKING:
    from flowbook.flows import Flow

_TITLE = "flow"
_SIGNED = 32


def pickle_flow(flow: Flow[..., Any], home: Path) -> bytes:
    """The flow by value, signed with the key of the home folder. Raises UsageError if it cannot be pickled."""
    from flowbook.run.pickles import dumps, why_not_by_value

    try:
        content = dumps(flow)
    except Exception as error:
        why = why_not_by_value(flow.fn) or f"it cannot be pickled: {error}"
        raise UsageError(
            f"Flow {flow.name!r} cannot be deployed from here, because {why}. "
            "Define it at the top of a Python file, or promote its notebook."
        ) from error
    signed = signature(home, _TITLE)
    signed.update(content)
    return signed.digest() + content


def unpickle_flow(content: bytes, home: Path) -> Flow[..., Any]:
    """The flow that `pickle_flow` was given. Raises StoreError unless it was signed with the key of this `home`."""
    import pickle

    signed = signature(home, _TITLE)
    signed.update(content[_SIGNED:])
    if not is_right(signed, content[:_SIGNED]):
        raise StoreError(
            f"The pickled flow was not signed with the key of {home}, so it is not loaded. Machines that share a "
            "database need the same `key` file in FLOWBOOK_HOME for flows that are not defined in a file."
        )
    try:
        flow: Flow[..., Any] = pickle.loads(content[_SIGNED:])  # noqa: S301 - signed by us
    except Exception as error:
        raise FlowbookError(
            f"The pickled flow cannot be loaded in Python {sys.version.split()[0]}: {type(error).__name__}: {error}."
        ) from error
    return flow
