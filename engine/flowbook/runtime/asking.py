"""How the modules of `flowbook.runtime` answer: a table of names, asked of the run that the calling code is part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flowbook.errors import did_you_mean

R = TypeVar("R")


def answer(
    module: str, fields: Mapping[str, tuple[Callable[[R], Any], Any]], name: str, run: Callable[[], R | None]
) -> Any:
    """The field `name` of the run, or what it is without one. Raises AttributeError for a name that is not there."""
    if name not in fields:
        raise AttributeError(f"{module} has no attribute {name!r}.{did_you_mean(name, fields)}")
    ask, otherwise = fields[name]
    found = run()
    return otherwise() if found is None and callable(otherwise) else otherwise if found is None else ask(found)
